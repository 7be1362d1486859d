//! RFC 6962's tree by its recursive definition.

use gavel_log::{Hash, TileId};

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// MTH of RFC 6962 §2.1.
pub(crate) fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Hash::node(&mth(left), &mth(right))
        }
    }
}

/// The hashes of the tile that C2SP tlog-tiles defines, complete subtrees alone: partial at the row's end, or empty.
pub(crate) fn tile(id: TileId, leaves: &[Hash]) -> Vec<Hash> {
    let first = usize::try_from(id.index).unwrap() * 256;
    leaves.chunks_exact(256_usize.pow(id.level.into())).skip(first).take(256).map(mth).collect()
}

/// PATH of RFC 6962 §2.1.1.
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if index < k { (path(index, left), mth(right)) } else { (path(index - k, right), mth(left)) };
    path.push(sibling);
    path
}

/// PROOF of RFC 6962 §2.1.2.
pub(crate) fn proof(from: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(from, leaves, true)
}

fn subproof(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if from <= k {
        (subproof(from, left, whole), mth(right))
    } else {
        (subproof(from - k, right, false), mth(left))
    };
    proof.push(sibling);
    proof
}
