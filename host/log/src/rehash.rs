//! Hashing within one tile: at most 256 hashes, the last of which may stand for an incomplete subtree.
//!
//! A row's odd last node rises unchanged, which for such rows is RFC 6962's MTH.

use rs_merkle::{Hasher, MerkleTree};

use crate::hash::Hash;

/// The root over a row of hashes; none over an empty row.
pub(crate) fn row_root(row: &[Hash]) -> Option<Hash> {
    let mut row = row.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(Hash::node(left, right)),
                [single] => Some(*single),
                _ => None,
            })
            .collect();
    }
    row.first().copied()
}

/// The path from the hash at `position` of a row to the row's root, siblings from below.
pub(crate) fn row_path(row: &[Hash], position: usize) -> Vec<Hash> {
    let leaves: Vec<[u8; 32]> = row.iter().map(|hash| hash.0).collect();
    let tree = MerkleTree::<Rfc6962>::from_leaves(&leaves);
    tree.proof(&[position]).proof_hashes().iter().copied().map(Hash).collect()
}

/// RFC 6962's hashes for `rs_merkle`, which promotes an odd node by itself.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Hash::leaf(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| Hash::node(&Hash(*left), &Hash(*right)).0)
    }
}
