//! Writing agents: making, changing, starting and stopping them.

use redb::ReadableTable;

use super::batch::Batch;
use super::job::Staged;
use crate::agent::{
    Agent, AgentChange, AgentHead, AgentProfile, AgentState, CheckpointDraft, CheckpointKind, Session,
    SessionCheckpoint, StartSession, Started,
};
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, CheckpointId, SessionId};
use crate::{row, tables};

/// Makes an agent. The same agent again is no error, another of the same id is.
pub(crate) fn create_agent(batch: &mut Batch<'_>, agent: Agent) -> Result<Staged<()>, StoreError> {
    let id = agent.id;
    let (profile, head) = agent.into_rows();
    if let Some(old) = read_profile(batch, id)? {
        let same = old == profile && read_head(batch, id)?.chain == head.chain;
        return if same { Ok(Staged::unchanged(())) } else { Err(StoreError::AgentExists(id)) };
    }

    batch.tables.agents_by_owner()?.insert((profile.owner.as_str(), id.key()), ())?;
    batch.tables.agents()?.insert(id.key(), row::encode(&profile)?.as_slice())?;
    write_head(batch, id, &head)?;
    Ok(Staged::changed(()))
}

/// Changes what the owner sets. It is applied to the row as it stands, so that of two changes at once none is lost.
pub(crate) fn change_agent(
    batch: &mut Batch<'_>,
    id: AgentId,
    change: AgentChange,
    now: i64,
) -> Result<Staged<Agent>, StoreError> {
    let mut profile = read_profile(batch, id)?.ok_or(StoreError::NotFound(Missing::Agent(id)))?;
    let head = read_head(batch, id)?;
    let changed = profile.change(change, now);
    if changed {
        batch.tables.agents()?.insert(id.key(), row::encode(&profile)?.as_slice())?;
    }
    let agent = Agent::from_rows(id, profile, &head);
    Ok(if changed { Staged::changed(agent) } else { Staged::unchanged(agent) })
}

/// Starts an agent: opens its first session, or resumes that of its last checkpoint, or opens another if asked to.
/// A running agent is left as it is.
pub(crate) fn start_agent(
    batch: &mut Batch<'_>,
    id: AgentId,
    start: StartSession,
) -> Result<Staged<Started>, StoreError> {
    let profile = read_profile(batch, id)?.ok_or(StoreError::NotFound(Missing::Agent(id)))?;
    let mut head = read_head(batch, id)?;
    if head.state == AgentState::Running {
        return started(id, profile, &head).map(Staged::unchanged);
    }

    let StartSession { id: new, wrapped_key, force_new, now } = start;
    let checkpoint = match head.last_checkpoint {
        Some(last) if !force_new => Some(read_checkpoint(batch, id, last)?),
        _ => None,
    };
    if checkpoint.is_none() && batch.tables.sessions()?.get(new.key())?.is_some() {
        return Err(StoreError::SessionExists(new));
    }

    head.resumed_from = checkpoint.as_ref().map(|checkpoint| checkpoint.id);
    match checkpoint {
        Some(checkpoint) => switch_session(batch, id, &mut head, checkpoint.session_id)?,
        None => {
            let session = Session { id: new, agent_id: id, wrapped_key, created_at: now, turns: 0, messages: 0 };
            write_session(batch, &session)?;
            switch_session(batch, id, &mut head, new)?;
        }
    }
    head.state = AgentState::Running;
    head.changed_at = now;
    write_head(batch, id, &head)?;
    started(id, profile, &head).map(Staged::changed)
}

/// Stops an agent and makes a checkpoint of its session. A stopped agent gives its last one.
pub(crate) fn stop_agent(
    batch: &mut Batch<'_>,
    id: AgentId,
    draft: CheckpointDraft,
) -> Result<Staged<SessionCheckpoint>, StoreError> {
    let mut head = read_head(batch, id)?;
    if head.state == AgentState::Stopped {
        let last = head.last_checkpoint.ok_or(StoreError::NotFound(Missing::Checkpoint))?;
        return read_checkpoint(batch, id, last).map(Staged::unchanged);
    }
    let session_id = head.session.ok_or_else(|| StoreError::Corrupt(format!("agent {id} runs without a session")))?;
    let key = (id.key(), draft.id.key());
    if batch.tables.session_checkpoints()?.get(&key)?.is_some() {
        return Err(StoreError::CheckpointExists(draft.id));
    }

    let checkpoint = SessionCheckpoint {
        id: draft.id,
        agent_id: id,
        session_id,
        kind: CheckpointKind::Automatic,
        messages: head.messages,
        turns: head.turns,
        created_at: draft.now,
    };
    batch.tables.session_checkpoints()?.insert(key, row::encode(&checkpoint)?.as_slice())?;
    head.state = AgentState::Stopped;
    head.last_checkpoint = Some(checkpoint.id);
    head.changed_at = draft.now;
    write_head(batch, id, &head)?;
    Ok(Staged::changed(checkpoint))
}

/// Makes another session the current one. What was counted of the old one goes to its row.
fn switch_session(
    batch: &mut Batch<'_>,
    agent: AgentId,
    head: &mut AgentHead,
    id: SessionId,
) -> Result<(), StoreError> {
    if head.session == Some(id) {
        return Ok(());
    }
    if let Some(old) = head.session {
        let old = read_session(batch, agent, old)?;
        write_session(batch, &Session { turns: head.turns, messages: head.messages, ..old })?;
    }
    let new = read_session(batch, agent, id)?;
    (head.session, head.turns, head.messages) = (Some(id), new.turns, new.messages);
    Ok(())
}

fn started(id: AgentId, profile: AgentProfile, head: &AgentHead) -> Result<Started, StoreError> {
    let session_id = head.session.ok_or_else(|| StoreError::Corrupt(format!("agent {id} runs without a session")))?;
    Ok(Started { agent: Agent::from_rows(id, profile, head), session_id, resumed_from: head.resumed_from })
}

fn read_profile(batch: &mut Batch<'_>, id: AgentId) -> Result<Option<AgentProfile>, StoreError> {
    tables::row(batch.tables.agents()?, id.key(), "agents")
}

pub(super) fn read_head(batch: &mut Batch<'_>, id: AgentId) -> Result<AgentHead, StoreError> {
    tables::row(batch.tables.agent_heads()?, id.key(), "agent_heads")?.ok_or(StoreError::NotFound(Missing::Agent(id)))
}

pub(super) fn write_head(batch: &mut Batch<'_>, id: AgentId, head: &AgentHead) -> Result<(), StoreError> {
    batch.tables.agent_heads()?.insert(id.key(), row::encode(head)?.as_slice())?;
    Ok(())
}

/// The session, if it is this agent's. What is counted of the current one is in its agent's head.
pub(super) fn read_session(batch: &mut Batch<'_>, agent: AgentId, id: SessionId) -> Result<Session, StoreError> {
    tables::row(batch.tables.sessions()?, id.key(), "sessions")?
        .filter(|session: &Session| session.agent_id == agent)
        .ok_or(StoreError::NotFound(Missing::Session(id)))
}

pub(super) fn write_session(batch: &mut Batch<'_>, session: &Session) -> Result<(), StoreError> {
    batch.tables.sessions()?.insert(session.id.key(), row::encode(session)?.as_slice())?;
    Ok(())
}

fn read_checkpoint(batch: &mut Batch<'_>, agent: AgentId, id: CheckpointId) -> Result<SessionCheckpoint, StoreError> {
    tables::row(batch.tables.session_checkpoints()?, (agent.key(), id.key()), "session_checkpoints")?
        .ok_or_else(|| StoreError::Corrupt(format!("checkpoint {id} is missing")))
}
