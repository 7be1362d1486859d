//! One write transaction and the leaves that it will add to the log.

use std::sync::Arc;

use gavel_log::Edge;
use redb::WriteTransaction;

use super::verdicts;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::leaf::{LeafPlace, LogHead, Sealed};
use crate::tables::Tables;

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
/// Invariant: `leaves` are what is kept of the leaves added so far, the first of them has the index `first`, and `edge`
/// is that of the tree with all of them.
pub(crate) struct Batch<'t> {
    pub(super) tables: Tables<'t>,
    pub(super) first: u64,
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) edge: Edge,
    /// A wrapped key was destroyed: with the commit, the journal is to lose what it holds of it.
    pub(super) keys_destroyed: bool,
}

impl<'t> Batch<'t> {
    /// An empty batch on the newest committed head.
    pub(super) fn open(transaction: &'t WriteTransaction, disk: &Disk) -> Self {
        let edge = disk.head().edge.clone();
        Self { tables: Tables::of(transaction), first: edge.size(), leaves: Vec::new(), edge, keys_destroyed: false }
    }

    /// Stores the leaves with the head that they make, which is to be made known after the commit. None if there are
    /// no leaves.
    pub(super) fn finish(mut self, disk: &Disk) -> Result<Option<LogHead>, StoreError> {
        let Some(last) = self.leaves.last_mut() else {
            return Ok(None);
        };
        let head = disk.sign(self.edge);
        last.extend_from_slice(head.checkpoint.as_bytes());
        for (index, leaf) in (self.first..).zip(&self.leaves) {
            self.tables.leaves()?.insert(index, leaf.as_slice())?;
        }
        verdicts::close_blocks(&mut self.tables, self.first, head.size)?;
        Ok(Some(head))
    }
}
