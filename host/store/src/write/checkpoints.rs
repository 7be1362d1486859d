//! Writing checkpoints, and going back to one.

use redb::ReadableTable;

use super::agents::{read_head, read_session, switch_session, write_head, write_session};
use super::batch::Batch;
use super::job::Staged;
use crate::agent::{AgentHead, AgentState, CheckpointDraft, CheckpointKind, SessionCheckpoint};
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, CheckpointId, SessionId};
use crate::{row, tables};

/// Stops an agent and makes a checkpoint of its session. A stopped agent gives its last one.
pub(crate) fn stop_agent(
    batch: &mut Batch<'_>,
    id: AgentId,
    draft: CheckpointDraft,
) -> Result<Staged<SessionCheckpoint>, StoreError> {
    let mut head = read_head(batch, id)?;
    if head.state == AgentState::Stopped {
        let last = head.last_checkpoint.ok_or(StoreError::NotFound(Missing::Checkpoint))?;
        return last_checkpoint(batch, id, last).map(Staged::unchanged);
    }
    let session = head.session.ok_or_else(|| StoreError::Corrupt(format!("agent {id} runs without a session")))?;
    if read_checkpoint(batch, id, draft.id)?.is_some() {
        return Err(StoreError::CheckpointExists(draft.id));
    }
    head.state = AgentState::Stopped;
    make(batch, id, &mut head, session, draft, CheckpointKind::Automatic).map(Staged::changed)
}

/// Makes a checkpoint of an agent's session as it stands. The one of this id again is no error.
pub(crate) fn create_checkpoint(
    batch: &mut Batch<'_>,
    id: AgentId,
    draft: CheckpointDraft,
) -> Result<Staged<SessionCheckpoint>, StoreError> {
    let mut head = read_head(batch, id)?;
    if let Some(made) = read_checkpoint(batch, id, draft.id)? {
        return Ok(Staged::unchanged(made));
    }
    let session = head.session.ok_or(StoreError::NotFound(Missing::Checkpoint))?;
    make(batch, id, &mut head, session, draft, CheckpointKind::Manual).map(Staged::changed)
}

fn make(
    batch: &mut Batch<'_>,
    agent: AgentId,
    head: &mut AgentHead,
    session: SessionId,
    draft: CheckpointDraft,
    kind: CheckpointKind,
) -> Result<SessionCheckpoint, StoreError> {
    let checkpoint = SessionCheckpoint {
        id: draft.id,
        agent_id: agent,
        session_id: session,
        kind,
        messages: head.messages,
        turns: head.turns,
        abandoned: read_session(batch, agent, session)?.abandoned,
        created_at: draft.now,
    };
    let key = (agent.key(), checkpoint.id.key());
    batch.tables.session_checkpoints()?.insert(key, row::encode(&checkpoint)?.as_slice())?;
    head.last_checkpoint = Some(checkpoint.id);
    head.changed_at = draft.now;
    write_head(batch, agent, head)?;
    Ok(checkpoint)
}

/// Makes a checkpoint's session the current one, with the history that it had then. What was said in it later stays
/// where it is and is history no more; what was cleared meanwhile stays cleared.
pub(crate) fn restore_checkpoint(
    batch: &mut Batch<'_>,
    id: AgentId,
    checkpoint: CheckpointId,
    now: i64,
) -> Result<Staged<SessionCheckpoint>, StoreError> {
    let mut head = read_head(batch, id)?;
    let checkpoint =
        read_checkpoint(batch, id, checkpoint)?.ok_or(StoreError::NotFound(Missing::CheckpointOf(checkpoint)))?;
    if head.state == AgentState::Running {
        return Err(StoreError::AgentRunning(id));
    }
    let session = checkpoint.session_id;
    if batch.tables.open_turns()?.range((session.key(), 0)..=(session.key(), u64::MAX))?.next().is_some() {
        return Err(StoreError::TurnsOpen(id));
    }
    let mut row = read_session(batch, id, session)?;
    let turns = if head.session == Some(session) { head.turns } else { row.turns };
    row.abandoned = checkpoint.abandoned.clone().and(checkpoint.turns.saturating_add(1), turns)?;
    write_session(batch, &row)?;
    switch_session(batch, id, &mut head, session)?;
    head.messages = if checkpoint.turns <= row.cleared.turns { 0 } else { checkpoint.messages };
    head.epoch += 1;
    head.last_checkpoint = Some(checkpoint.id);
    head.changed_at = now;
    write_head(batch, id, &head)?;
    Ok(Staged::changed(checkpoint))
}

fn read_checkpoint(
    batch: &mut Batch<'_>,
    agent: AgentId,
    id: CheckpointId,
) -> Result<Option<SessionCheckpoint>, StoreError> {
    tables::row(batch.tables.session_checkpoints()?, (agent.key(), id.key()), "session_checkpoints")
}

/// The checkpoint that an agent's head names.
pub(super) fn last_checkpoint(
    batch: &mut Batch<'_>,
    agent: AgentId,
    id: CheckpointId,
) -> Result<SessionCheckpoint, StoreError> {
    read_checkpoint(batch, agent, id)?.ok_or_else(|| StoreError::Corrupt(format!("checkpoint {id} is missing")))
}
