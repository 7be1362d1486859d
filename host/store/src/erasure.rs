//! What a deletion still has to remove.

use crate::id::{AgentId, SessionId};

/// Something of which rows are still to be removed. They are out of reach already: their key is destroyed, and no read
/// gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// What was cleared of a session.
    Session(AgentId, SessionId),
    /// All of an agent that was deleted.
    Agent(AgentId),
}

/// Stands for a whole agent where a session's key would be: no session has it, since ids hold the time.
const WHOLE: u128 = 0;

impl Erasure {
    /// Whose rows they are.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        match self {
            Self::Session(agent, _) | Self::Agent(agent) => *agent,
        }
    }

    pub(crate) fn key(self) -> (u128, u128) {
        match self {
            Self::Session(agent, session) => (agent.key(), session.key()),
            Self::Agent(agent) => (agent.key(), WHOLE),
        }
    }

    pub(crate) fn from_key((agent, session): (u128, u128)) -> Self {
        let agent = AgentId::from_key(agent);
        if session == WHOLE { Self::Agent(agent) } else { Self::Session(agent, SessionId::from_key(session)) }
    }
}
