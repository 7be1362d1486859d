//! Adding a record to the log.

use gavel_log::{Entry, record_hash};

use super::batch::Batch;
use crate::agent::AgentHead;
use crate::error::StoreError;
use crate::id::{AgentId, SessionId};
use crate::leaf::{INLINE_OPENING_BYTES, Leaf, LeafDraft, LeafPlace, Opening};
use crate::tiles;

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
    let place = LeafPlace { hash: entry.leaf_hash(), index: batch.edge.size(), seq: head.seq };

    let opening = match draft.opening.as_deref() {
        None => Opening::None,
        Some(opening) if opening.len() <= INLINE_OPENING_BYTES => Opening::Inline(opening),
        Some(opening) => {
            batch.tables.openings()?.insert(place.index, opening)?;
            Opening::Apart
        }
    };
    let leaf = Leaf {
        agent: of.agent,
        session: of.session,
        nonce: draft.nonce,
        entry: &entry.to_bytes(),
        record: &draft.record,
        opening,
        checkpoint: None,
    };
    batch.leaves.push(leaf.encode());
    batch.tables.leaf_index()?.insert(place.hash.as_bytes(), place.index)?;
    for (id, hashes) in batch.edge.push(place.hash).map_err(|error| StoreError::Tree(error.to_string()))? {
        batch.tables.tiles()?.insert((id.level, id.index), tiles::to_bytes(&hashes).as_slice())?;
    }
    head.seq += 1;
    head.prev = place.hash;
    Ok(place)
}
