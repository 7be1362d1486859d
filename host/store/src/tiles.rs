//! The tree's tiles as the log reads them: full ones from their table, partial ones from the edge of a head.

use gavel_log::tile::TILE_WIDTH;
use gavel_log::{Edge, Hash, TileId, TileReader, TreeError};
use redb::ReadableTable;

use crate::error::StoreError;

/// Bytes of a hash.
const HASH: usize = 32;

/// The full tiles of a table, in whichever transaction it is open.
pub(crate) struct FullTiles<'a, T>(pub(crate) &'a T);

/// The tiles of a head. Its transaction must not be older than it.
pub(crate) struct Tiles<'a, T> {
    pub(crate) full: FullTiles<'a, T>,
    pub(crate) edge: &'a Edge,
}

impl<T: ReadableTable<(u8, u64), &'static [u8]>> FullTiles<'_, T> {
    /// The first `width` hashes of a full tile; none if it is not there, or for more than it has.
    fn prefix(&self, id: TileId, width: u16) -> Result<Option<Vec<Hash>>, StoreError> {
        let Some(bytes) = self.0.get(&(id.level, id.index))? else {
            return Ok(None);
        };
        let Some(prefix) = bytes.value().get(..usize::from(width) * HASH) else {
            return Ok(None);
        };
        Ok(Some(prefix.as_chunks::<HASH>().0.iter().map(|hash| Hash(*hash)).collect()))
    }
}

impl<T: ReadableTable<(u8, u64), &'static [u8]>> Tiles<'_, T> {
    /// The first `width` hashes of a tile; none unless it has that many.
    pub(crate) fn prefix(&self, id: TileId, width: u16) -> Result<Option<Vec<Hash>>, StoreError> {
        match self.edge.tile(id, width) {
            Some(hashes) => Ok(Some(hashes.to_vec())),
            None => self.full.prefix(id, width),
        }
    }
}

impl<T: ReadableTable<(u8, u64), &'static [u8]>> TileReader for FullTiles<'_, T> {
    type Error = StoreError;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, StoreError> {
        self.prefix(id, width)?.ok_or_else(|| lost(id, width))
    }
}

impl<T: ReadableTable<(u8, u64), &'static [u8]>> TileReader for Tiles<'_, T> {
    type Error = StoreError;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, StoreError> {
        self.prefix(id, width)?.ok_or_else(|| lost(id, width))
    }
}

fn lost(TileId { level, index }: TileId, width: u16) -> StoreError {
    StoreError::Tree(format!("tile {index} of level {level} has not the {width} hashes that it should have"))
}

/// The index of the first leaf that no full tile holds.
pub(crate) fn unfinished(size: u64) -> u64 {
    size - size % u64::from(TILE_WIDTH)
}

/// A tile's bytes in the database.
pub(crate) fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// A tree's error as the store's.
pub(crate) fn tree_error(error: TreeError<StoreError>) -> StoreError {
    match error {
        TreeError::Read(error) => error,
        other => StoreError::Tree(other.to_string()),
    }
}
