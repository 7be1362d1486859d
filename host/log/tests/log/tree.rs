//! The tree against RFC 6962's recursive definition, and its strict verification.

use gavel_log::tree::TreeError;
use gavel_log::{
    Edge, Hash, TileId, VerifyError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};

use proptest::prelude::*;

use crate::memory::{MemoryTiles, leaves};
use crate::recursive::{mth, path, proof};

#[test]
fn every_small_tree_is_the_recursive_one() {
    let all = leaves(300);
    let mut tree = MemoryTiles::default();
    assert_eq!(tree.edge.root(), mth(&[]));
    for size in 1..=all.len() {
        let grown = tree.grow(&all[size - 1..size]);
        assert_eq!(grown, mth(&all[..size]), "root of {size}");
        // Every leaf of the sizes around a tile's end, and the edges of all others.
        let near = size <= 20 || (250..=260).contains(&size);
        for index in (0..size).filter(|index| near || [0, size / 2, size - 1].contains(index)) {
            let given = inclusion_proof(&tree, index as u64, size as u64).unwrap();
            assert_eq!(given, path(index, &all[..size]), "leaf {index} of {size}");
            verify_inclusion(&all[index], index as u64, size as u64, &given, &grown).unwrap();
        }
    }
}

#[test]
fn every_small_consistency_proof_is_the_recursive_one() {
    let all = leaves(520);
    let tree = MemoryTiles::of(&all);
    for to in (1_usize..=40).chain([255, 256, 257, 300, 511, 512, 513, 520]) {
        for from in (1_usize..=to).filter(|from| to <= 40 || from % 7 == 0 || from.is_power_of_two() || from + 2 > to) {
            let given = consistency_proof(&tree, from as u64, to as u64).unwrap();
            assert_eq!(given, proof(from, &all[..to]), "from {from} to {to}");
            verify_consistency(from as u64, to as u64, &mth(&all[..from]), &mth(&all[..to]), &given).unwrap();
        }
    }
}

#[test]
fn a_short_or_lost_tile_is_an_error() {
    let mut tree = MemoryTiles::of(&leaves(600));
    let id = TileId { level: 0, index: 1 };
    let rebuild = |tree: &MemoryTiles| Edge::rebuild(tree, 600, leaves(88)).unwrap_err();
    tree.full.get_mut(&id).unwrap().pop();
    for error in [inclusion_proof(&tree, 300, 600).unwrap_err(), rebuild(&tree)] {
        assert!(matches!(error, TreeError::Short { wanted: 256, got: 255, .. }), "{error}");
    }
    tree.full.remove(&id);
    for error in [inclusion_proof(&tree, 300, 600).unwrap_err(), rebuild(&tree)] {
        assert!(matches!(error, TreeError::Read(_)), "{error}");
    }
}

#[test]
fn sizes_and_indices_are_bounded() {
    let tree = MemoryTiles::of(&leaves(3));
    assert!(matches!(inclusion_proof(&tree, 3, 3), Err(TreeError::Range { index: 3, size: 3 })));
    assert!(matches!(inclusion_proof(&tree, 0, 0), Err(TreeError::Range { .. })));
    assert!(matches!(consistency_proof(&tree, 4, 3), Err(TreeError::Range { .. })));
    assert_eq!(consistency_proof(&tree, 0, 3).unwrap(), []);
    assert_eq!(consistency_proof(&tree, 3, 3).unwrap(), []);
}

#[test]
fn trivial_consistency_needs_an_empty_proof_and_the_right_roots() {
    let (empty, one, two) = (mth(&[]), mth(&leaves(1)), mth(&leaves(2)));
    verify_consistency(0, 0, &empty, &empty, &[]).unwrap();
    verify_consistency(0, 2, &empty, &two, &[]).unwrap();
    verify_consistency(2, 2, &two, &two, &[]).unwrap();
    assert_eq!(verify_consistency(0, 2, &one, &two, &[]), Err(VerifyError::OldRoot));
    assert_eq!(verify_consistency(0, 2, &empty, &two, &[two]), Err(VerifyError::Length));
    assert_eq!(verify_consistency(2, 2, &one, &two, &[]), Err(VerifyError::Root));
    assert_eq!(verify_consistency(1, 2, &one, &two, &[]), Err(VerifyError::Length));
    assert_eq!(verify_consistency(2, 1, &two, &one, &[]), Err(VerifyError::Order { from: 2, to: 1 }));
}

/// Its hashes are right, but for another size: only the count of steps tells.
#[test]
fn a_proof_for_another_size_fails() {
    let all = leaves(7);
    let root = mth(&all[..4]);
    let (inclusion, consistency) = (path(2, &all[..4]), proof(3, &all[..4]));
    let old = mth(&all[..3]);
    for size in 5..=7 {
        let included = verify_inclusion(&all[2], 2, size, &inclusion, &root);
        assert_eq!(included, Err(VerifyError::Length), "{size}");
        let consistent = verify_consistency(3, size, &old, &root, &consistency);
        assert_eq!(consistent, Err(VerifyError::Length), "{size}");
    }
}

/// A leaf of a tree of up to 2,000 leaves: its index and the tree's size.
fn leaf_of_a_tree() -> impl Strategy<Value = (usize, usize)> {
    (1_usize..2000).prop_flat_map(|size| (0..size, Just(size)))
}

/// One change to a proof that makes another of it.
fn change(proof: &[Hash], at: prop::sample::Index, kind: u8, extra: Hash) -> Vec<Hash> {
    let mut changed = proof.to_vec();
    match kind {
        0 => changed.insert(at.index(proof.len() + 1), extra),
        _ if proof.is_empty() => changed.push(extra),
        1 => drop(changed.remove(at.index(proof.len()))),
        _ => changed[at.index(proof.len())].0[at.index(32)] ^= 1,
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn inclusion_holds_for_its_leaf_alone((index, size) in leaf_of_a_tree(), other in 0_usize..4000) {
        let all = leaves(size);
        let given = inclusion_proof(&MemoryTiles::of(&all), index as u64, size as u64).unwrap();
        prop_assert_eq!(&given, &path(index, &all));
        let root = mth(&all);
        let holds = |leaf: &Hash, index: usize| verify_inclusion(leaf, index as u64, size as u64, &given, &root).is_ok();
        prop_assert!(holds(&all[index], index));
        if other != index {
            prop_assert!(!holds(&all[index], other));
            prop_assert!(!holds(&Hash::leaf(other.to_string().as_bytes()), index));
        }
    }

    #[test]
    fn a_changed_path_fails(
        (index, size) in leaf_of_a_tree(), at: prop::sample::Index, kind in 0_u8..3, extra: [u8; 32],
    ) {
        let all = leaves(size);
        let (leaf, root) = (all[index], mth(&all));
        let changed = change(&path(index, &all), at, kind, Hash(extra));
        prop_assert!(verify_inclusion(&leaf, index as u64, size as u64, &changed, &root).is_err());
    }

    #[test]
    fn consistency_holds_for_its_trees_alone(
        (from, to) in leaf_of_a_tree().prop_map(|(index, size)| (index + 1, size)),
        at: prop::sample::Index, kind in 0_u8..3, extra: [u8; 32],
    ) {
        let all = leaves(to);
        let (from_size, to_size) = (from as u64, to as u64);
        let given = consistency_proof(&MemoryTiles::of(&all), from_size, to_size).unwrap();
        prop_assert_eq!(&given, &proof(from, &all));
        let (old, new) = (mth(&all[..from]), mth(&all));
        verify_consistency(from_size, to_size, &old, &new, &given).unwrap();

        let changed = change(&given, at, kind, Hash(extra));
        prop_assert!(verify_consistency(from_size, to_size, &old, &new, &changed).is_err());
        let strange = Hash(extra);
        prop_assert!(verify_consistency(from_size, to_size, &strange, &new, &given).is_err());
        prop_assert!(verify_consistency(from_size, to_size, &old, &strange, &given).is_err());
    }

    #[test]
    fn verification_never_panics(
        index: u64, size: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70), one: [u8; 32], two: [u8; 32],
    ) {
        let hashes: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let (one, two) = (Hash(one), Hash(two));
        prop_assert!(verify_inclusion(&one, index, size, &hashes, &two).is_err());
        let _ = verify_consistency(index, size, &one, &two, &hashes);
    }
}
