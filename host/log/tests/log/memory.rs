//! Tiles in memory, and leaves to fill them with.

use std::collections::HashMap;

use gavel_log::{Hash, TileId, TileReader, append};

/// A log's tiles, grown by [`append`] alone.
#[derive(Default)]
pub(crate) struct MemoryTiles {
    pub(crate) size: u64,
    pub(crate) tiles: HashMap<TileId, Vec<Hash>>,
}

impl MemoryTiles {
    /// A tree of these leaves, appended in one batch.
    pub(crate) fn of(leaves: &[Hash]) -> Self {
        let mut tree = Self::default();
        tree.grow(leaves);
        tree
    }

    /// Appends leaves and gives the new root.
    pub(crate) fn grow(&mut self, leaves: &[Hash]) -> Hash {
        let appended = append(self, self.size, leaves).unwrap();
        assert_eq!(appended.size, self.size + leaves.len() as u64);
        self.size = appended.size;
        self.tiles.extend(appended.tiles);
        appended.root
    }
}

impl TileReader for MemoryTiles {
    type Error = String;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, String> {
        assert!((1..=256).contains(&width), "a tile of width {width} was asked for");
        self.tiles.get(&id).cloned().ok_or_else(|| format!("no tile {id:?}"))
    }
}

/// Leaf hashes of the decimal digits of 0, 1, …
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| Hash::leaf(number.to_string().as_bytes())).collect()
}
