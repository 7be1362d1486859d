//! Reading the log: leaves, entries, tiles and proofs.

use gavel_log::{Hash, TileId};

use crate::error::StoreError;
use crate::leaf::{LeafRow, RecordRow};
use crate::store::Store;
use crate::tables;
use crate::tiles::{StoredTiles, tree_error};

/// Most entries of one [`Store::entries`]: a C2SP entry bundle's.
pub const MAX_ENTRIES: u64 = 256;

impl Store {
    /// All that is kept of the leaf with this hash.
    ///
    /// # Errors
    /// As of every read.
    pub fn leaf(&self, hash: &Hash) -> Result<Option<LeafRow>, StoreError> {
        self.disk().read(|transaction| {
            let Some(index) = transaction.open_table(tables::LEAF_INDEX)?.get(hash.as_bytes())? else {
                return Ok(None);
            };
            let index = index.value();
            let missing = |what: &str| StoreError::Corrupt(format!("leaf {index} has no {what}"));
            let entries = transaction.open_table(tables::ENTRIES)?;
            let entry = entries.get(index)?.ok_or_else(|| missing("entry"))?.value().to_vec();
            let records = transaction.open_table(tables::RECORDS)?;
            let row = records.get(index)?.ok_or_else(|| missing("record"))?;
            let RecordRow { agent, session, nonce, record } = RecordRow::decode(row.value())?;
            let opening = transaction.open_table(tables::OPENINGS)?.get(index)?.map(|bytes| bytes.value().to_vec());
            Ok(Some(LeafRow { index, agent, session, entry, record, nonce, opening }))
        })
    }

    /// The RFC 9162 inclusion proof of leaf `index` in the tree of `size` leaves.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] unless `index < size` and `size` is at most the log's; and as of every read.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        let head = self.head().size;
        if index >= size || size > head {
            return Err(StoreError::OutOfRange { from: index, to: size, size: head });
        }
        self.disk().read(|transaction| {
            let tiles = transaction.open_table(tables::TILES)?;
            gavel_log::inclusion_proof(&StoredTiles(&tiles), index, size).map_err(tree_error)
        })
    }

    /// The RFC 9162 consistency proof between the trees of `from` and of `to` leaves.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] unless `from` is at least 1 and at most `to`, and `to` at most the log's size; and as
    /// of every read.
    pub fn consistency_proof(&self, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
        let size = self.head().size;
        if from == 0 || from > to || to > size {
            return Err(StoreError::OutOfRange { from, to, size });
        }
        self.disk().read(|transaction| {
            let tiles = transaction.open_table(tables::TILES)?;
            gavel_log::consistency_proof(&StoredTiles(&tiles), from, to).map_err(tree_error)
        })
    }

    /// The first `width` hashes of a tile, 1 to 256; none if the tile has not that many.
    ///
    /// # Errors
    /// As of every read.
    pub fn tile(&self, id: TileId, width: u16) -> Result<Option<Vec<Hash>>, StoreError> {
        if width == 0 {
            return Ok(None);
        }
        self.disk().read(|transaction| StoredTiles(&transaction.open_table(tables::TILES)?).prefix(id, width))
    }

    /// The entries with indices from `from` up to, but not including, `to`; at most [`MAX_ENTRIES`].
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for more than that, an end before its start, or beyond the log's size; and as of every
    /// read.
    pub fn entries(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let size = self.head().size;
        if to > size || to.checked_sub(from).is_none_or(|count| count > MAX_ENTRIES) {
            return Err(StoreError::OutOfRange { from, to, size });
        }
        self.disk().read(|transaction| {
            let entries = transaction.open_table(tables::ENTRIES)?;
            let found: Vec<Vec<u8>> = entries
                .range(from..to)?
                .map(|entry| Ok(entry?.1.value().to_vec()))
                .collect::<Result<_, StoreError>>()?;
            if u64::try_from(found.len()) == Ok(to - from) {
                Ok(found)
            } else {
                Err(StoreError::Corrupt(format!("entries between {from} and {to} are missing")))
            }
        })
    }
}
