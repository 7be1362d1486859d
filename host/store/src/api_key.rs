//! An agent's API keys and the hashes of their tokens.

use gavel_log::Hash;
use serde::{Deserialize, Serialize};

use crate::id::{AgentId, KeyId};

/// Most API keys of one agent, expired ones included.
pub const MAX_API_KEYS: usize = 100;

/// A key that opens one agent to whoever holds its token, as far as its scopes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's id.
    pub id: KeyId,
    /// The agent that it opens.
    pub agent: AgentId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows, in the words of the API.
    pub scopes: Vec<String>,
    /// The token's first characters, by which people recognise it.
    pub prefix: String,
    /// SHA-256 of the token.
    pub token_hash: Hash,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// From when on it is refused; none for one that does not expire.
    pub expires_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
}
