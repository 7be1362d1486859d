//! Reading users, agents, sessions and checkpoints.

use std::ops::Bound;

use gavel_log::Hash;
use redb::{ReadTransaction, ReadableTable};

use super::MAX_PAGE;
use crate::agent::{Agent, AgentHead, AgentProfile, SessionCheckpoint};
use crate::erasure::Erasure;
use crate::error::StoreError;
use crate::id::{AgentId, CheckpointId, SessionId, UserId};
use crate::session::Session;
use crate::store::Store;
use crate::user::User;
use crate::{row, tables};

impl Store {
    /// The user whose token has this SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`] or [`StoreError::Closed`], as of every read.
    pub fn user_by_token(&self, token_hash: &Hash) -> Result<Option<User>, StoreError> {
        self.disk().read(|transaction| {
            let tokens = transaction.open_table(tables::USER_TOKENS)?;
            let Some(name) = tokens.get(token_hash.as_bytes())? else {
                return Ok(None);
            };
            tables::row(&transaction.open_table(tables::USERS)?, name.value(), "users")
        })
    }

    /// The user of this name.
    ///
    /// # Errors
    /// As of every read.
    pub fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.disk().read(|transaction| tables::row(&transaction.open_table(tables::USERS)?, id.as_str(), "users"))
    }

    /// All users, by name.
    ///
    /// # Errors
    /// As of every read.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        self.disk().read(|transaction| {
            let users = transaction.open_table(tables::USERS)?;
            users.iter()?.map(|entry| row::decode("users", entry?.1.value())).collect()
        })
    }

    /// The agent of this id.
    ///
    /// # Errors
    /// As of every read.
    pub fn agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError> {
        self.disk().read(|transaction| read_agent(transaction, *id))
    }

    /// An owner's agents, oldest first, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn agents(&self, owner: &UserId, after: Option<&AgentId>, limit: usize) -> Result<Vec<Agent>, StoreError> {
        let first = match after {
            Some(after) => match after.key().checked_add(1) {
                Some(first) => first,
                None => return Ok(Vec::new()),
            },
            None => 0,
        };
        self.disk().read(|transaction| {
            let by_owner = transaction.open_table(tables::AGENTS_BY_OWNER)?;
            let mut agents = Vec::new();
            for entry in
                by_owner.range((owner.as_str(), first)..=(owner.as_str(), u128::MAX))?.take(limit.min(MAX_PAGE))
            {
                let id = AgentId::from_key(entry?.0.value().1);
                let agent = read_agent(transaction, id)?
                    .ok_or_else(|| StoreError::Corrupt(format!("agent {id} is in its owner's list only")))?;
                agents.push(agent);
            }
            Ok(agents)
        })
    }

    /// The session of this id, with what has been counted of it so far.
    ///
    /// # Errors
    /// As of every read.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.disk().read(|transaction| {
            let row: Option<Session> = tables::row(&transaction.open_table(tables::SESSIONS)?, id.key(), "sessions")?;
            let Some(session) = row else {
                return Ok(None);
            };
            // Of an agent that was deleted the sessions go a little later.
            if !exists(transaction, session.agent_id)? {
                return Ok(None);
            }
            let head = read_head(transaction, session.agent_id)?;
            Ok(Some(if head.session == Some(session.id) {
                Session { turns: head.turns, messages: head.messages, epoch: head.epoch, ..session }
            } else {
                session
            }))
        })
    }

    /// An agent's checkpoint of this id.
    ///
    /// # Errors
    /// As of every read.
    pub fn session_checkpoint(
        &self,
        agent: &AgentId,
        id: &CheckpointId,
    ) -> Result<Option<SessionCheckpoint>, StoreError> {
        self.disk().read(|transaction| {
            let checkpoints = transaction.open_table(tables::SESSION_CHECKPOINTS)?;
            tables::row(&checkpoints, (agent.key(), id.key()), "session_checkpoints")
        })
    }

    /// An agent's checkpoints, oldest first, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn session_checkpoints(
        &self,
        agent: &AgentId,
        after: Option<&CheckpointId>,
        limit: usize,
    ) -> Result<Vec<SessionCheckpoint>, StoreError> {
        let after = after.map_or(Bound::Included((agent.key(), 0)), |id| Bound::Excluded((agent.key(), id.key())));
        let last = Bound::Included((agent.key(), u128::MAX));
        self.disk().read(|transaction| {
            let checkpoints = transaction.open_table(tables::SESSION_CHECKPOINTS)?;
            let page = checkpoints.range::<(u128, u128)>((after, last))?.take(limit.min(MAX_PAGE));
            page.map(|entry| row::decode("session_checkpoints", entry?.1.value())).collect()
        })
    }

    /// What deletions still have to remove; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn erasures(&self, limit: usize) -> Result<Vec<Erasure>, StoreError> {
        self.disk().read(|transaction| {
            let erasures = transaction.open_table(tables::ERASURES)?;
            let left = erasures.iter()?.take(limit.min(MAX_PAGE));
            left.map(|entry| Ok(Erasure::from_key(entry?.0.value()))).collect()
        })
    }
}

fn exists(transaction: &ReadTransaction, agent: AgentId) -> Result<bool, StoreError> {
    Ok(transaction.open_table(tables::AGENTS)?.get(agent.key())?.is_some())
}

pub(super) fn read_agent(transaction: &ReadTransaction, id: AgentId) -> Result<Option<Agent>, StoreError> {
    let profile: Option<AgentProfile> = tables::row(&transaction.open_table(tables::AGENTS)?, id.key(), "agents")?;
    let Some(profile) = profile else {
        return Ok(None);
    };
    Ok(Some(Agent::from_rows(id, profile, &read_head(transaction, id)?)))
}

fn read_head(transaction: &ReadTransaction, id: AgentId) -> Result<AgentHead, StoreError> {
    tables::row(&transaction.open_table(tables::AGENT_HEADS)?, id.key(), "agent_heads")?
        .ok_or_else(|| StoreError::Corrupt(format!("agent {id} has no head")))
}
