//! Which master key wraps the agents' data keys, and a change from one to another while it is under way. The store
//! knows master keys by name alone.

use serde::{Deserialize, Serialize};

use crate::id::AgentId;
use crate::row::hex_bytes;

/// Which master key wraps the agents' data keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKeyState {
    /// The name of the key that wraps them all; or, during a change, that wraps those which are still to be rewrapped.
    pub current: String,
    /// The change under way.
    pub change: Option<MasterKeyChange>,
}

/// A change of the master key. Whoever has one of the two keys can open the other, until the change is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKeyChange {
    /// The name of the key that is to wrap them all.
    pub next: String,
    /// The next key under the current one.
    #[serde(with = "hex_bytes")]
    pub next_under_current: Vec<u8>,
    /// The current key under the next one.
    #[serde(with = "hex_bytes")]
    pub current_under_next: Vec<u8>,
}

/// An agent's data key as it is kept: wrapped by a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// The agent.
    pub agent: AgentId,
    /// Its data key.
    pub wrapped: Vec<u8>,
}

/// A data key that has been wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrappedDataKey {
    /// The agent.
    pub agent: AgentId,
    /// Its data key as it was wrapped.
    pub from: Vec<u8>,
    /// The same, as it is to be kept.
    pub to: Vec<u8>,
}
