//! Tiles in memory, and leaves to fill them with.

use std::collections::HashMap;

use gavel_log::{Edge, Hash, TileId, TileReader};

/// A log's tiles, grown by [`Edge::push`] alone: the full ones, and the edge.
#[derive(Default)]
pub(crate) struct MemoryTiles {
    pub(crate) full: HashMap<TileId, Vec<Hash>>,
    pub(crate) edge: Edge,
}

impl MemoryTiles {
    /// A tree of these leaves.
    pub(crate) fn of(leaves: &[Hash]) -> Self {
        let mut tree = Self::default();
        tree.grow(leaves);
        tree
    }

    /// Appends leaves and gives the new root.
    pub(crate) fn grow(&mut self, leaves: &[Hash]) -> Hash {
        let size = self.edge.size() + leaves.len() as u64;
        for leaf in leaves {
            for (id, hashes) in self.edge.push(*leaf).unwrap() {
                assert_eq!(self.full.insert(id, hashes), None, "a full tile is given once");
            }
        }
        assert_eq!(self.edge.size(), size);
        self.edge.root()
    }
}

impl TileReader for MemoryTiles {
    type Error = String;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, String> {
        assert!((1..=256).contains(&width), "a tile of width {width} was asked for");
        let partial = || self.edge.tile(id, width).map(<[Hash]>::to_vec);
        self.full.get(&id).cloned().or_else(partial).ok_or_else(|| format!("no tile {id:?} of {width}"))
    }
}

/// Leaf hashes of the decimal digits of 0, 1, …
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| Hash::leaf(number.to_string().as_bytes())).collect()
}
