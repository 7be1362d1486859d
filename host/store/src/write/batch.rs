//! One write transaction and the leaves that it will add to the log.

use std::sync::Arc;

use gavel_log::Hash;
use redb::WriteTransaction;

use crate::disk::Disk;
use crate::error::StoreError;
use crate::leaf::{LeafPlace, LogHead, Sealed};
use crate::tables::Tables;
use crate::tiles::{self, StoredTiles, tree_error};

/// What a committed batch has to say to its jobs.
pub(crate) struct Committed {
    /// The log's head after it.
    pub(super) checkpoint: Arc<str>,
}

impl Committed {
    /// The seal of a leaf of this batch.
    pub(super) fn seal(&self, place: LeafPlace) -> Sealed {
        Sealed::new(place, Arc::clone(&self.checkpoint))
    }
}

/// An open batch.
///
/// Invariant: `leaves` are the hashes of the entries written so far, and the first of them will have index `size`.
pub(crate) struct Batch<'t> {
    pub(super) tables: Tables<'t>,
    pub(super) size: u64,
    pub(super) leaves: Vec<Hash>,
}

impl<'t> Batch<'t> {
    /// An empty batch on the newest committed head.
    pub(super) fn open(transaction: &'t WriteTransaction, disk: &Disk) -> Result<Self, StoreError> {
        Ok(Self { tables: Tables::open(transaction)?, size: disk.head().size, leaves: Vec::new() })
    }

    /// Appends the leaves to the tree and stores its signed head, which is to be made known after the commit.
    /// None if there are no leaves.
    pub(super) fn finish(mut self, disk: &Disk) -> Result<Option<LogHead>, StoreError> {
        if self.leaves.is_empty() {
            return Ok(None);
        }
        let appended =
            gavel_log::append(&StoredTiles(&self.tables.tiles), self.size, &self.leaves).map_err(tree_error)?;
        for (id, hashes) in &appended.tiles {
            self.tables.tiles.insert((id.level, id.index), tiles::to_bytes(hashes).as_slice())?;
        }
        let head = disk.sign(appended.size, appended.root);
        self.tables.signed_heads.insert(head.size, &*head.checkpoint)?;
        Ok(Some(head))
    }
}
