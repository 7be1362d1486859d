//! Reading the log: leaves, entries, tiles and proofs.

use gavel_log::{Hash, TileId};
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::id::SessionId;
use crate::leaf::{Leaf, LeafRow, Opening};
use crate::session::Session;
use crate::store::Store;
use crate::tables;
use crate::tiles::tree_error;

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
            let row = transaction.open_table(tables::LEAVES)?.get(index)?.ok_or_else(|| missing("row"))?;
            let Leaf { agent, session, nonce, entry, record, opening, .. } = Leaf::decode(row.value())?;
            let opening = match opening {
                Opening::None => None,
                _ if is_cleared(transaction, session, index)? => None,
                Opening::Inline(bytes) => Some(bytes.to_vec()),
                // It goes with the messages or the agent that it was kept for.
                Opening::Apart => {
                    transaction.open_table(tables::OPENINGS)?.get(index)?.map(|apart| apart.value().to_vec())
                }
            };
            Ok(Some(LeafRow {
                index,
                agent,
                session,
                entry: entry.to_vec(),
                record: record.to_owned(),
                nonce,
                opening,
            }))
        })
    }

    /// The RFC 9162 inclusion proof of leaf `index` in the tree of `size` leaves.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] unless `index < size` and `size` is at most the log's; and as of every read.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        self.disk().read_tree(|head, tiles| {
            if index >= size || size > head.size {
                return Err(StoreError::OutOfRange { from: index, to: size, size: head.size });
            }
            gavel_log::inclusion_proof(tiles, index, size).map_err(tree_error)
        })
    }

    /// The RFC 9162 consistency proof between the trees of `from` and of `to` leaves.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] unless `from` is at least 1 and at most `to`, and `to` at most the log's size; and as
    /// of every read.
    pub fn consistency_proof(&self, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
        self.disk().read_tree(|head, tiles| {
            if from == 0 || from > to || to > head.size {
                return Err(StoreError::OutOfRange { from, to, size: head.size });
            }
            gavel_log::consistency_proof(tiles, from, to).map_err(tree_error)
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
        self.disk().read_tree(|_, tiles| tiles.prefix(id, width))
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
            let leaves = transaction.open_table(tables::LEAVES)?;
            let found: Vec<Vec<u8>> = leaves
                .range(from..to)?
                .map(|leaf| Ok(Leaf::decode(leaf?.1.value())?.entry.to_vec()))
                .collect::<Result<_, StoreError>>()?;
            if u64::try_from(found.len()) == Ok(to - from) {
                Ok(found)
            } else {
                Err(StoreError::Corrupt(format!("entries between {from} and {to} are missing")))
            }
        })
    }
}

/// Whether what opened a leaf was cleared with its session.
fn is_cleared(transaction: &ReadTransaction, session: SessionId, leaf: u64) -> Result<bool, StoreError> {
    let session: Option<Session> = tables::row(&transaction.open_table(tables::SESSIONS)?, session.key(), "sessions")?;
    Ok(session.is_some_and(|session| leaf < session.cleared.leaves))
}
