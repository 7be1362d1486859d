//! Adding a record to the log.

use gavel_log::{Entry, record_hash};

use super::batch::Batch;
use crate::agent::AgentHead;
use crate::error::StoreError;
use crate::id::{AgentId, SessionId};
use crate::leaf::{LeafDraft, LeafPlace, RecordRow};

/// Whose record it is.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) agent: AgentId,
    pub(super) session: SessionId,
}

/// Writes a record's entry as the next of its agent's chain and moves the agent's head on. The caller stores the head.
pub(super) fn add_leaf(
    batch: &mut Batch<'_>,
    head: &mut AgentHead,
    of: Subject,
    draft: &LeafDraft,
) -> Result<LeafPlace, StoreError> {
    let record = record_hash(&draft.nonce, &draft.record);
    let entry = Entry { chain: head.chain, seq: head.seq, prev: head.prev, record };
    let place = LeafPlace { hash: entry.leaf_hash(), index: next_index(batch)?, seq: head.seq };

    batch.tables.leaf_index.insert(place.hash.as_bytes(), place.index)?;
    batch.tables.entries.insert(place.index, entry.to_bytes().as_slice())?;
    let row = RecordRow::encode(of.agent, of.session, draft);
    batch.tables.records.insert(place.index, row.as_slice())?;
    if let Some(opening) = &draft.opening {
        batch.tables.openings.insert(place.index, opening.as_slice())?;
    }

    batch.leaves.push(place.hash);
    head.seq += 1;
    head.prev = place.hash;
    Ok(place)
}

fn next_index(batch: &Batch<'_>) -> Result<u64, StoreError> {
    u64::try_from(batch.leaves.len())
        .ok()
        .and_then(|added| batch.size.checked_add(added))
        .ok_or_else(|| StoreError::Tree("the log is full".into()))
}
