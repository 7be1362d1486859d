//! The tree's tiles as the log reads them.

use gavel_log::{Hash, TileId, TileReader, TreeError};
use redb::ReadableTable;

use crate::error::StoreError;

/// Bytes of a hash.
const HASH: usize = 32;

/// Reads tiles out of a table, in whichever transaction it is open.
pub(crate) struct StoredTiles<'a, T>(pub(crate) &'a T);

impl<T: ReadableTable<(u8, u64), &'static [u8]>> StoredTiles<'_, T> {
    /// The first `width` hashes of a tile; none unless it has that many.
    pub(crate) fn prefix(&self, id: TileId, width: u16) -> Result<Option<Vec<Hash>>, StoreError> {
        let Some(bytes) = self.0.get(&(id.level, id.index))? else {
            return Ok(None);
        };
        let Some(prefix) = bytes.value().get(..usize::from(width) * HASH) else {
            return Ok(None);
        };
        Ok(Some(prefix.as_chunks::<HASH>().0.iter().map(|hash| Hash(*hash)).collect()))
    }
}

impl<T: ReadableTable<(u8, u64), &'static [u8]>> TileReader for StoredTiles<'_, T> {
    type Error = StoreError;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, StoreError> {
        self.prefix(id, width)?.ok_or_else(|| {
            let TileId { level, index } = id;
            StoreError::Tree(format!("tile {index} of level {level} has not the {width} hashes that it should have"))
        })
    }
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
