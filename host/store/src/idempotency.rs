//! What a caller asks for under an `Idempotency-Key`, so that asking again does it once.

use gavel_log::Hash;
use serde::{Deserialize, Serialize};

use crate::id::{AgentId, CheckpointId};

/// How long an answer is kept, in milliseconds.
pub const ANSWER_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Most bytes of an answer's body.
pub const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// A request under a key.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Whose key it is and which: a hash of both.
    pub slot: Hash,
    /// What is asked for: a hash of all of it.
    pub fingerprint: Hash,
    /// What it makes gets its id from this, should nobody have asked before.
    pub seed: Seed,
    /// The time, in milliseconds since the Unix epoch.
    pub now: i64,
}

/// Where the id of something comes from that is made once, however often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(AgentId);

/// What became of a request under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody has an answer yet. What it makes gets its id from the seed, so that it is found where it was made before.
    Open(Seed),
    /// It was answered thus.
    Answered(KeptAnswer),
    /// It was answered, and what it made has been deleted since.
    Gone,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Where what was made is.
    pub location: Option<String>,
    /// The body, JSON.
    pub body: String,
}

impl Seed {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(AgentId::generate())
    }

    /// The agent that is made of it.
    #[must_use]
    pub fn agent(self) -> AgentId {
        self.0
    }

    /// The checkpoint that is made of it.
    #[must_use]
    pub fn checkpoint(self) -> CheckpointId {
        CheckpointId::from_key(self.0.key())
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyedRequest {
    pub(crate) fingerprint: Hash,
    pub(crate) seed: Seed,
    pub(crate) asked_at: i64,
    pub(crate) outcome: Outcome,
}

/// How far a request is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Open,
    Answered(KeptAnswer),
    Gone,
}
