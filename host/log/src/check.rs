//! Strict verification of Merkle proofs, as RFC 9162 prescribes it step by step.

use crate::hash::Hash;

/// Why a Merkle proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The leaf's index is not below the tree's size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    Index {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {from} leaves does not precede one of {to}")]
    Order {
        /// The older tree's size.
        from: u64,
        /// The newer tree's size.
        to: u64,
    },
    /// The path has too many or too few hashes for this place in this tree.
    #[error("the path's length does not fit the tree's size")]
    Length,
    /// The path leads to another root.
    #[error("the path leads to another root")]
    Root,
    /// The proof leads to another root of the older tree.
    #[error("the proof leads to another root of the older tree")]
    OldRoot,
}

/// Checks that `leaf` is the leaf hash at `index` of the tree of `size` leaves under `root` (RFC 9162 §2.1.3.2).
///
/// A path does not bind the size on its own: take `size` and `root` from one checkpoint.
///
/// # Errors
/// When it is not, or the path is one hash longer or shorter than it has to be.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::Index { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(VerifyError::Length);
        }
        if is_odd(node) || node == last {
            hash = Hash::node(sibling, &hash);
            (node, last) = skip_promoted(node, last);
        } else {
            hash = Hash::node(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::Length);
    }
    if hash == *root { Ok(()) } else { Err(VerifyError::Root) }
}

/// Checks that the tree of `to` leaves under `new_root` continues that of `from` leaves under `old_root` (RFC 9162
/// §2.1.4.2).
///
/// The RFC leaves two cases open: equal sizes need equal roots, and the empty tree, whose root is SHA-256 of
/// nothing, precedes every tree; both with an empty proof.
///
/// # Errors
/// When it does not, or the proof is one hash longer or shorter than it has to be.
pub fn verify_consistency(
    from: u64,
    to: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyError> {
    if from > to {
        return Err(VerifyError::Order { from, to });
    }
    if from == 0 || from == to {
        return check_trivial(from, to, old_root, new_root, proof);
    }
    // An old tree that is one complete subtree stands in the proof by its root, which the verifier has.
    let known = from.is_power_of_two().then_some(old_root);
    let mut hashes = known.into_iter().chain(proof);
    let first = *hashes.next().ok_or(VerifyError::Length)?;

    let height = from.trailing_zeros();
    let (mut node, mut last) = ((from - 1) >> height, (to - 1) >> height);
    let (mut old, mut new) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return Err(VerifyError::Length);
        }
        if is_odd(node) || node == last {
            old = Hash::node(sibling, &old);
            new = Hash::node(sibling, &new);
            (node, last) = skip_promoted(node, last);
        } else {
            new = Hash::node(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::Length);
    }
    if old != *old_root {
        return Err(VerifyError::OldRoot);
    }
    if new == *new_root { Ok(()) } else { Err(VerifyError::Root) }
}

fn check_trivial(from: u64, to: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> Result<(), VerifyError> {
    if !proof.is_empty() {
        return Err(VerifyError::Length);
    }
    if from == 0 && *old_root != Hash::of(&[]) {
        return Err(VerifyError::OldRoot);
    }
    if from == to && old_root != new_root { Err(VerifyError::Root) } else { Ok(()) }
}

fn is_odd(node: u64) -> bool {
    node & 1 == 1
}

/// Past the levels at which a right end's node rises without a sibling.
fn skip_promoted(mut node: u64, mut last: u64) -> (u64, u64) {
    while !is_odd(node) && node != 0 {
        node >>= 1;
        last >>= 1;
    }
    (node, last)
}
