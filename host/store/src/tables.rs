//! The tables of the database: names, keys and values. Ids are keys by their 128 bits, which sort by time.
//!
//! What a turn writes lies in few tables, and in each of them side by side, since a commit's price is the number of
//! pages that it touches. Rows of metadata are the JSON of [`crate::row`]; leaves, messages and tiles have forms of
//! their own. A change that an older binary would misread raises [`SCHEMA`].

use std::borrow::Borrow;

use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};

use crate::error::StoreError;

/// The version of all of this.
pub(crate) const SCHEMA: u32 = 4;
const SCHEMA_KEY: &str = "schema";

/// Under which [`VAULT_META`] says which master key wraps the data keys.
pub(crate) const MASTER_KEY: &str = "master_key";

/// Under which [`GENERATIONS`] counts the changes of [`PLUGINS`] and [`PLUGIN_GRANTS`].
pub(crate) const PLUGINS_GENERATION: &str = "plugins";

/// A metadata row's bytes.
pub(crate) type Row = &'static [u8];
/// A session and a turn's number.
pub(crate) type TurnKey = (u128, u64);
/// A session, a turn's number, and [`TURN`] or the key of a [`crate::message::TurnPart`].
pub(crate) type PartKey = (u128, u64, u8);
/// The level of a block of 256 leaves.
pub(crate) const NARROW: u8 = 0;
/// The level of a block of 256 narrow blocks.
pub(crate) const WIDE: u8 = 1;
/// The last part of the key of a turn's own row: it comes before the turn's messages.
pub(crate) const TURN: u8 = 0;

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident $field:ident: $key:ty => $value:ty = $name:literal;)*) => {
        $($(#[$doc])* pub(crate) const $constant: TableDefinition<'static, $key, $value> = TableDefinition::new($name);)*

        /// The tables of a write transaction. Each is opened when it is first asked for: most writes need few.
        pub(crate) struct Tables<'t> {
            transaction: &'t WriteTransaction,
            $($field: Option<Table<'t, $key, $value>>,)*
        }

        impl<'t> Tables<'t> {
            pub(crate) fn of(transaction: &'t WriteTransaction) -> Self {
                Self { transaction, $($field: None,)* }
            }

            /// Makes those that are missing: a reader cannot.
            fn make(&mut self) -> Result<(), StoreError> {
                $(self.$field()?;)*
                Ok(())
            }

            $($(#[$doc])* pub(crate) fn $field(&mut self) -> Result<&mut Table<'t, $key, $value>, StoreError> {
                match &mut self.$field {
                    Some(table) => Ok(table),
                    closed => Ok(closed.insert(self.transaction.open_table($constant)?)),
                }
            })*
        }
    };
}

tables! {
    /// The schema's version.
    META meta: &'static str => u32 = "meta";
    /// User id → `User`.
    USERS users: &'static str => Row = "users";
    /// A token's SHA-256 → user id.
    USER_TOKENS user_tokens: &'static [u8; 32] => &'static str = "user_tokens";
    /// Agent and key → `ApiKey`.
    API_KEYS api_keys: (u128, u128) => Row = "api_keys";
    /// An API key's SHA-256 → its agent and its id.
    API_KEY_TOKENS api_key_tokens: &'static [u8; 32] => (u128, u128) = "api_key_tokens";
    /// Agent → `AgentProfile`.
    AGENTS agents: u128 => Row = "agents";
    /// Agent → `AgentHead`.
    AGENT_HEADS agent_heads: u128 => Row = "agent_heads";
    /// Owner and agent, for lists.
    AGENTS_BY_OWNER agents_by_owner: (&'static str, u128) => () = "agents_by_owner";
    /// [`MASTER_KEY`] → `MasterKeyState`.
    VAULT_META vault_meta: &'static str => Row = "vault_meta";
    /// Agent and provider → `VaultKey`.
    VAULT_KEYS vault_keys: (u128, &'static str) => Row = "vault_keys";
    /// Agent and session, for what is done to all of an agent's.
    SESSIONS_BY_AGENT sessions_by_agent: (u128, u128) => () = "sessions_by_agent";
    /// Session → `Session`.
    SESSIONS sessions: u128 => Row = "sessions";
    /// Agent and checkpoint → `SessionCheckpoint`.
    SESSION_CHECKPOINTS session_checkpoints: (u128, u128) => Row = "session_checkpoints";
    /// A turn's `TurnRow`, and each of its messages as a `MessageRow`.
    CONVERSATIONS conversations: PartKey => Row = "conversations";
    /// Turn → what its caller needs after a crash; only while it is open.
    OPEN_TURNS open_turns: TurnKey => &'static [u8] = "open_turns";
    /// Agent and message id → its place; an answer's from its turn's beginning on, before its row is there.
    MESSAGE_PLACES message_places: (u128, u128) => PartKey = "message_places";
    /// Agent and file → `StoredFile`.
    FILES files: (u128, u128) => Row = "files";
    /// Agent → bytes of its files.
    FILE_BYTES file_bytes: u128 => u64 = "file_bytes";
    /// Agent and file of each object that no row of [`FILES`] vouches for: it is being written, or is to be removed.
    UNCLAIMED_OBJECTS unclaimed_objects: (u128, u128) => () = "unclaimed_objects";
    /// The hash of a user and an idempotency key → `KeyedRequest`.
    KEYED_REQUESTS keyed_requests: &'static [u8; 32] => Row = "keyed_requests";
    /// When it was asked, and that hash: what is to be let go of first.
    KEYED_BY_TIME keyed_by_time: (u64, &'static [u8; 32]) => () = "keyed_by_time";
    /// The agent that was made, and that hash.
    KEYED_BY_AGENT keyed_by_agent: (u128, &'static [u8; 32]) => () = "keyed_by_agent";
    /// Agent and session whose cleared rows are still to be removed; without a session, an agent that is deleted and of
    /// which all is still to be removed.
    ERASURES erasures: (u128, u128) => () = "erasures";
    /// A configuration's SHA-256 → its canonical JSON, as [`crate::config`] writes it.
    CONFIGS configs: &'static [u8; 32] => &'static [u8] = "configs";
    /// A plugin's digest → `PluginVersion`.
    PLUGINS plugins: &'static [u8; 32] => Row = "plugins";
    /// A plugin's name → `PluginGrant`.
    PLUGIN_GRANTS plugin_grants: &'static str => Row = "plugin_grants";
    /// [`PLUGINS_GENERATION`] → how often it has changed.
    GENERATIONS generations: &'static str => u64 = "generations";
    /// Leaf hash → index.
    LEAF_INDEX leaf_index: &'static [u8; 32] => u64 = "leaf_index";
    /// Index → `Leaf`. The last leaf of each commit holds the log's signed checkpoint after it.
    LEAVES leaves: u64 => &'static [u8] = "leaves";
    /// Index → an opening that is too large to lie in its leaf, encrypted.
    OPENINGS openings: u64 => &'static [u8] = "openings";
    /// Level and index → a full tile's 256 hashes. The partial ones are in the log's head, in memory.
    TILES tiles: (u8, u64) => &'static [u8] = "tiles";
    /// Level and index → which of a block's 256 leaves or narrower blocks have what, for searches. Complete ones alone.
    VERDICT_BLOCKS verdict_blocks: (u8, u64) => &'static [u8] = "verdict_blocks";
}

/// The schema's version in the file: none in a file that holds nothing yet.
pub(crate) fn schema(transaction: &ReadTransaction) -> Result<Option<u32>, StoreError> {
    let mut empty = true;
    for table in transaction.list_tables()? {
        if table.name() == META.name() {
            let found = transaction.open_table(META)?.get(SCHEMA_KEY)?.map(|version| version.value());
            return if found == Some(SCHEMA) { Ok(found) } else { Err(unknown(found)) };
        }
        empty = false;
    }
    if empty { Ok(None) } else { Err(unknown(None)) }
}

fn unknown(found: Option<u32>) -> StoreError {
    StoreError::Schema { found, known: SCHEMA }
}

/// Makes the tables of a new file.
pub(crate) fn create(tables: &mut Tables<'_>) -> Result<(), StoreError> {
    tables.make()?;
    tables.meta()?.insert(SCHEMA_KEY, SCHEMA)?;
    Ok(())
}

/// A value of a table of rows, decoded.
pub(crate) fn row<'k, K, T>(
    table: &impl ReadableTable<K, Row>,
    key: impl Borrow<K::SelfType<'k>>,
    what: &'static str,
) -> Result<Option<T>, StoreError>
where
    K: redb::Key + 'static,
    T: serde::de::DeserializeOwned,
{
    table.get(key)?.map(|bytes| crate::row::decode(what, bytes.value())).transpose()
}
