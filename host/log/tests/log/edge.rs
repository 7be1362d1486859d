//! The edge against RFC 6962's recursive definition of the tree and C2SP's of its tiles.

use gavel_log::tree::TreeError;
use gavel_log::{Edge, Hash, TileId, TileReader};

use proptest::prelude::*;

use crate::memory::{MemoryTiles, leaves};
use crate::recursive::{mth, tile};

/// The leaves behind the last full tile.
fn last(leaves: &[Hash]) -> &[Hash] {
    leaves.chunks_exact(256).remainder()
}

/// All that an edge is asked for, against the definitions.
fn check(tree: &MemoryTiles, all: &[Hash]) {
    let size = all.len() as u64;
    assert_eq!(tree.edge.size(), size);
    assert_eq!(tree.edge.root(), mth(all), "root of {size}");
    let mut full = 0;
    for level in 0..4_u8 {
        let index = size >> (8 * (level + 1));
        full += usize::try_from(index).unwrap();
        let id = TileId { level, index };
        let partial = tile(id, all);
        for width in (1..=255).filter(|&width| usize::from(width) <= partial.len()) {
            assert_eq!(tree.edge.tile(id, width), partial.get(..width.into()), "tile {id:?} of {size}");
        }
        let wider = u16::try_from(partial.len() + 1).unwrap();
        assert_eq!(tree.edge.tile(id, wider), None, "tile {id:?} of {size}");
        for index in [index.wrapping_sub(1), index + 1] {
            assert_eq!(tree.edge.tile(TileId { level, index }, 1), None, "tile {index} of {level} of {size}");
        }
    }
    assert_eq!(tree.full.len(), full, "full tiles of {size}");
    assert_eq!(Edge::rebuild(tree, size, last(all).to_vec()).unwrap(), tree.edge, "the edge of {size}");
}

#[test]
fn every_small_edge_is_as_defined() {
    let all = leaves(1030);
    let mut tree = MemoryTiles::default();
    assert_eq!(tree.edge, Edge::empty());
    check(&tree, &[]);
    for size in 1..=all.len() {
        tree.grow(&all[size - 1..size]);
        check(&tree, &all[..size]);
    }
    for (id, hashes) in &tree.full {
        assert_eq!(*hashes, tile(*id, &all));
    }
}

#[test]
fn edges_around_a_full_tile_of_tiles_are_as_defined() {
    const FULL: usize = 1 << 16;
    let all = leaves(FULL + 600);
    let mut tree = MemoryTiles::default();
    for size in [FULL - 257, FULL - 256, FULL - 1, FULL, FULL + 1, FULL + 255, FULL + 256, FULL + 257, FULL + 600] {
        let grown = usize::try_from(tree.edge.size()).unwrap();
        tree.grow(&all[grown..size]);
        check(&tree, &all[..size]);
    }
    for (id, hashes) in &tree.full {
        assert_eq!(*hashes, tile(*id, &all), "{id:?}");
    }
}

#[test]
fn a_push_gives_the_tiles_that_it_fills_and_no_other() {
    let all = leaves(1 << 16);
    let mut edge = Edge::empty();
    for (number, leaf) in (1_u64..).zip(&all) {
        let ids: Vec<_> = edge.push(*leaf).unwrap().iter().map(|(id, _)| (id.level, id.index)).collect();
        let expected = match number {
            65_536 => vec![(0, 255), (1, 0)],
            _ if number % 256 == 0 => vec![(0, number / 256 - 1)],
            _ => vec![],
        };
        assert_eq!(ids, expected, "leaf {number}");
    }
}

#[test]
fn an_edge_is_rebuilt_from_full_tiles_and_the_right_number_of_leaves() {
    struct Nothing;
    impl TileReader for Nothing {
        type Error = String;
        fn read_tile(&self, id: TileId, _: u16) -> Result<Vec<Hash>, String> {
            Err(format!("{id:?} was asked for"))
        }
    }
    assert_eq!(Edge::rebuild(&Nothing, 0, Vec::new()).unwrap(), Edge::empty());
    assert_eq!(Edge::rebuild(&Nothing, 255, leaves(255)).unwrap().root(), mth(&leaves(255)));
    for (size, given, wanted) in [(0, 1, 0), (5, 4, 5), (5, 6, 5), (256, 256, 0), (300, 0, 44)] {
        let error = Edge::rebuild(&Nothing, size, leaves(given)).unwrap_err();
        assert!(matches!(error, TreeError::Leaves { wanted: w, got } if (w, got) == (wanted, given)), "{error}");
    }
    assert!(matches!(Edge::rebuild(&Nothing, 1 << 53, Vec::new()), Err(TreeError::Size)));
    assert!(matches!(Edge::rebuild(&Nothing, u64::MAX, leaves(255)), Err(TreeError::Size)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_edge_is_as_defined_and_grows_on_when_rebuilt(
        all in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..1600), at: prop::sample::Index,
    ) {
        let size = at.index(all.len() + 1);
        let mut tree = MemoryTiles::of(&all[..size]);
        check(&tree, &all[..size]);
        tree.edge = Edge::rebuild(&tree, size as u64, last(&all[..size]).to_vec()).unwrap();
        tree.grow(&all[size..]);
        check(&tree, &all);
    }
}
