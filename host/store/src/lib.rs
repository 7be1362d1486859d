//! What Gavel keeps: users, agents, sessions, messages and the log, in one redb file.
//!
//! Operations are those of the domain. Writes go through one writer, which commits what is waiting in one
//! transaction with an fsync: entries, tiles, the signed checkpoint, messages and counters together, so that after a
//! crash they agree. A [`Sealed`] is given out after its commit alone: who holds one may announce what it seals.
//!
//! The store knows nothing of plugins, HTTP or plaintext: texts and openings come and go encrypted.

mod agent;
mod api_key;
mod config;
mod disk;
mod erasure;
mod error;
mod file;
mod id;
mod idempotency;
mod journal;
mod leaf;
mod master_key;
mod message;
mod observe;
mod plugin;
mod read;
mod row;
mod session;
mod store;
mod tables;
mod tiles;
mod turn;
mod usage;
mod user;
mod vault_key;
mod verdict;
mod write;

#[cfg(test)]
mod tests;

pub use agent::{
    Agent, AgentChange, AgentState, Binding, CheckpointDraft, CheckpointKind, Release, SessionCheckpoint, StartSession,
    Started,
};
pub use api_key::{ApiKey, MAX_API_KEYS};
pub use config::MAX_CONFIG_BYTES;
pub use disk::{FILE_NAME, JOURNAL_NAME};
pub use erasure::Erasure;
pub use error::{Missing, StoreError};
pub use file::{FileSeal, FileVerdict, FilesSeal, MAX_FILES, ObjectId, StoredFile};
pub use id::{AgentId, CheckpointId, FileId, IdError, KeyId, MAX_USER_ID_CHARS, MessageId, SessionId, UserId};
pub use idempotency::{ANSWER_KEPT_MS, Ask, Asked, KeptAnswer, MAX_ANSWER_BYTES, Seed};
pub use leaf::{LeafDraft, LeafPlace, LeafRow, LogHead, MAX_BLOB_BYTES, Sealed};
pub use master_key::{MasterKeyChange, MasterKeyState, RewrappedDataKey, WrappedDataKey};
pub use message::{Attachments, MessageDraft, MessagePosition, PositionError, StoredMessage, TurnPart};
pub use observe::{Commit, CommitObserver, StoreStatus};
pub use plugin::{
    KeptPlugins, MAX_PLUGIN_VERSIONS, PluginChange, PluginGrant, PluginKind, PluginSource, PluginVersion,
};
pub use read::{LeafPage, MAX_DATA_KEYS, MAX_ENTRIES, MAX_LOOKBACK, MAX_PAGE};
pub use session::Session;
pub use store::{Store, StoreOptions};
pub use turn::{
    BLOCKED, DetachedSession, Exchange, InputFate, InputSeal, InputSealed, MAX_EARLIER, MAX_FINISH_REASON_BYTES,
    OpenTurn, OutputSeal, OutputSealed, TurnEnd, TurnRow, TurnState, Usage,
};
pub use usage::{Metered, Month, MonthLimits, MonthUsage};
pub use user::{User, UserRole};
pub use vault_key::{VaultKey, VaultKeyPut};
pub use verdict::{POLICY_ERROR_RULE, VerdictFilter, VerdictPage, VerdictRow};
