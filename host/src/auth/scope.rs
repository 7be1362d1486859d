//! What an agent's API key may do.

use serde::{Deserialize, Serialize};

/// One thing that an agent's API key may do. What no scope names takes a user's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Read the agent and its policies.
    #[serde(rename = "agent:read")]
    AgentRead,
    /// Start and stop it.
    #[serde(rename = "agent:control")]
    AgentControl,
    /// Talk with it.
    #[serde(rename = "chat")]
    Chat,
    /// Read its messages.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Clear its messages.
    #[serde(rename = "messages:write")]
    MessagesWrite,
    /// Read its files.
    #[serde(rename = "files:read")]
    FilesRead,
    /// Upload and remove files.
    #[serde(rename = "files:write")]
    FilesWrite,
    /// Read proofs and verdicts.
    #[serde(rename = "proofs:read")]
    ProofsRead,
    /// Read its quota.
    #[serde(rename = "quota:read")]
    QuotaRead,
}
