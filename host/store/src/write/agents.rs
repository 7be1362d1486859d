//! Writing agents: making, changing and starting them.

use redb::ReadableTable;

use super::batch::Batch;
use super::checkpoints::last_checkpoint;
use super::job::Staged;
use crate::agent::{Agent, AgentChange, AgentHead, AgentProfile, AgentState, StartSession, Started};
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, SessionId};
use crate::session::Session;
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
        Some(last) if !force_new => Some(last_checkpoint(batch, id, last)?),
        _ => None,
    };
    if checkpoint.is_none() && batch.tables.sessions()?.get(new.key())?.is_some() {
        return Err(StoreError::SessionExists(new));
    }

    head.resumed_from = checkpoint.as_ref().map(|checkpoint| checkpoint.id);
    match checkpoint {
        Some(checkpoint) => switch_session(batch, id, &mut head, checkpoint.session_id)?,
        None => {
            write_session(batch, &Session::new(new, id, wrapped_key, now))?;
            batch.tables.sessions_by_agent()?.insert((id.key(), new.key()), ())?;
            switch_session(batch, id, &mut head, new)?;
        }
    }
    head.state = AgentState::Running;
    head.changed_at = now;
    write_head(batch, id, &head)?;
    started(id, profile, &head).map(Staged::changed)
}

/// Makes another session the current one. What was counted of the old one goes to its row.
pub(super) fn switch_session(
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
        let AgentHead { turns, messages, epoch, .. } = *head;
        write_session(batch, &Session { turns, messages, epoch, ..old })?;
    }
    let new = read_session(batch, agent, id)?;
    (head.session, head.turns, head.messages, head.epoch) = (Some(id), new.turns, new.messages, new.epoch);
    Ok(())
}

fn started(id: AgentId, profile: AgentProfile, head: &AgentHead) -> Result<Started, StoreError> {
    let session_id = head.session.ok_or_else(|| StoreError::Corrupt(format!("agent {id} runs without a session")))?;
    Ok(Started { agent: Agent::from_rows(id, profile, head), session_id, resumed_from: head.resumed_from })
}

pub(super) fn read_profile(batch: &mut Batch<'_>, id: AgentId) -> Result<Option<AgentProfile>, StoreError> {
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
