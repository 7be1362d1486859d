//! What may go wrong in the store, told apart by what the caller can do about it.

use std::fmt;
use std::sync::Arc;

use gavel_log::Hash;

use crate::api_key::MAX_API_KEYS;
use crate::id::{AgentId, CheckpointId, FileId, KeyId, MessageId, SessionId, UserId};
use crate::usage::Metered;

/// What was asked for and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// No user has this name.
    User,
    /// No agent has this id.
    Agent(AgentId),
    /// No session of this agent has this id.
    Session(SessionId),
    /// The session has no turn of this number.
    Turn(u64),
    /// No message of this agent has this id.
    Message(MessageId),
    /// No file of this agent has this id.
    File(FileId),
    /// The agent has no API key of this id.
    ApiKey(KeyId),
    /// The agent was never started, so it has no checkpoint.
    Checkpoint,
    /// No checkpoint of this agent has this id.
    CheckpointOf(CheckpointId),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user of this name"),
            Self::Agent(id) => write!(f, "agent {id}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::Turn(number) => write!(f, "turn {number}"),
            Self::Message(id) => write!(f, "message {id}"),
            Self::File(id) => write!(f, "file {id}"),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::ApiKey(id) => write!(f, "API key {id}"),
            Self::CheckpointOf(id) => write!(f, "checkpoint {id}"),
        }
    }
}

/// Why an operation of the store was not carried out.
///
/// It can be cloned, because one failed commit answers every caller of its batch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something named by the caller does not exist.
    #[error("there is no {0}")]
    NotFound(Missing),
    /// The message's id is known for this agent: its turn has been begun already.
    #[error("message {0} has been taken already")]
    DuplicateMessage(MessageId),
    /// The agent is stopped and takes no new turns.
    #[error("agent {0} is not running")]
    AgentNotRunning(AgentId),
    /// The agent has gone on to another session.
    #[error("session {0} is no longer its agent's current one")]
    SessionEnded(SessionId),
    /// The agent is running, and has to be stopped first.
    #[error("agent {0} is running")]
    AgentRunning(AgentId),
    /// The session was cleared or restored since the turn read it.
    #[error("the history of session {0} was changed meanwhile")]
    SessionChanged(SessionId),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A turn of the agent has not ended yet.
    #[error("a turn of agent {0} is still open")]
    TurnsOpen(AgentId),
    /// The turn's input was blocked, so it has no output.
    #[error("turn {0} was blocked at its input and has no output")]
    TurnBlocked(u64),
    /// A message's id is not the one that its turn was begun with.
    #[error("the message is {given}, but its turn names {expected}")]
    WrongMessage {
        /// The id in the turn.
        expected: MessageId,
        /// The id of the message given.
        given: MessageId,
    },
    /// The agent has used up what it may use in a month.
    #[error("agent {agent} has used up its {what} of the month")]
    QuotaExceeded {
        /// The agent.
        agent: AgentId,
        /// What is used up.
        what: Metered,
    },
    /// Another agent has this id.
    #[error("agent {0} exists already")]
    AgentExists(AgentId),
    /// Another session has this id.
    #[error("session {0} exists already")]
    SessionExists(SessionId),
    /// Another checkpoint of this agent has this id.
    #[error("checkpoint {0} exists already")]
    CheckpointExists(CheckpointId),
    /// The agent's files would have more bytes than it may keep.
    #[error("agent {agent} may keep {limit} bytes of files")]
    StorageFull {
        /// The agent.
        agent: AgentId,
        /// The most bytes.
        limit: u64,
    },
    /// The token belongs to another user or key.
    #[error("the token belongs to another")]
    TokenInUse,
    /// Another user has this name.
    #[error("user {0} exists already")]
    UserExists(UserId),
    /// Without this user nobody could administer the installation.
    #[error("user {0} is the only administrator who has a token")]
    LastAdministrator(UserId),
    /// The agent has as many API keys as one may have.
    #[error("an agent has at most {MAX_API_KEYS} API keys")]
    TooManyApiKeys,
    /// A configuration is not the one with this digest.
    #[error("the configuration is not the one with the digest {}", .0.tagged())]
    WrongConfig(Hash),
    /// A value is larger than the store takes.
    #[error("{what} has {size}, more than the {limit} allowed")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size, in bytes or elements.
        size: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A place in the log that does not exist, or a range of more than one bundle.
    #[error("{from} to {to} is no range of a log of {size} entries that can be given")]
    OutOfRange {
        /// The first place or size asked for.
        from: u64,
        /// The last place or size asked for.
        to: u64,
        /// The log's size.
        size: u64,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// What is stored contradicts itself.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The file is of another version of Gavel, or none of Gavel's.
    #[error(
        "the database has {}, but this version of Gavel knows schema {known} only",
        found.map_or_else(|| "no schema of Gavel's".to_owned(), |found| format!("schema {found}"))
    )]
    Schema {
        /// The version found; none in a file that another program wrote.
        found: Option<u32>,
        /// The version that this crate writes.
        known: u32,
    },
    /// The stored log has another origin than the key given.
    #[error("the stored log is `{stored}`, but the signing key is for `{given}`")]
    Origin {
        /// The stored checkpoint's origin.
        stored: String,
        /// The signing key's origin.
        given: String,
    },
    /// The Merkle tree could not be computed from what is stored.
    #[error("the log's tree could not be computed: {0}")]
    Tree(String),
    /// A row could not be written down.
    #[error("a row could not be encoded: {0}")]
    Encode(String),
    /// An operating system's error outside the database.
    #[error("{0}")]
    Io(Arc<std::io::Error>),
    /// The database failed: the disk is full, an I/O error, or the file is open elsewhere. After a failed
    /// commit it is not known whether the operation took place; every operation may be repeated.
    #[error("the database failed: {0}")]
    Database(#[source] Arc<redb::Error>),
}

impl StoreError {
    /// Whether it ends the whole batch; any other error refuses one operation before it wrote anything.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Tree(_) | Self::Encode(_) | Self::Io(_))
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Database(Arc::new(error.into()))
            }
        }
    )*};
}

from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError
);

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
