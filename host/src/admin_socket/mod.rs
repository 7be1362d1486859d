//! The operator's commands to a running server, over `admin.sock` in its data directory.
//!
//! A command of the command line is a [`Request`]. [`ask`] carries it to the server that runs on the data directory, or
//! says that none does; then the command line opens the store itself and lets an [`Operator`] of its own carry it out. So
//! there is one implementation of each command, and the socket only carries it.
//!
//! To add one: a variant of [`Request`] and of [`Answer`], and its arm in [`Operator::carry_out`].
//!
//! On the wire a request is one line of JSON, and so is its answer, before which lines may say how far a long command is; then
//! the connection ends. The socket belongs to the user
//! that the server runs as, mode 0600, and the server asks the kernel who is at the other end.

mod client;
mod judges;
mod listener;
mod operator;
mod plugins;

use std::path::PathBuf;

use gavel_log::Hash;
use gavel_store::{AgentId, User, UserId, UserRole};
use serde::{Deserialize, Serialize};

use crate::backtest::{Candidate, Progress, Report};
use crate::replay::ReplayedLeaf;
use crate::vault::NewMasterKey;

pub use client::{AskError, ask};
pub(crate) use judges::Judges;
pub(crate) use listener::listen;
pub use operator::Operator;
pub use plugins::{PluginSummary, PluginsAtHand, PurgedPlugin};

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "admin.sock";
/// Most bytes of a request's line.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Most bytes of an answer's line.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What an operator wants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A new user with a token. Answered by [`Answer::Token`].
    AddUser {
        /// A name that nobody has.
        name: UserId,
        /// What the user may see and do.
        role: UserRole,
    },
    /// Another token for a user; the old one ends. Answered by [`Answer::Token`].
    RenewUser {
        /// The user's name.
        name: UserId,
    },
    /// All users. Answered by [`Answer::Users`].
    ListUsers {},
    /// The end of a user's token, and of the keys of the user's agents. Answered by [`Answer::Done`].
    RevokeUser {
        /// The user's name.
        name: UserId,
    },
    /// Another master key in the place of the one in use. Answered by [`Answer::Rotated`].
    RotateVault {
        /// The new key; none for one that is made.
        new_key: Option<NewMasterKey>,
    },
    /// The verdicts of a leaf, computed again. Answered by [`Answer::Replayed`].
    Replay {
        /// The leaf's hash.
        leaf: Hash,
    },
    /// The stored history, judged again. Answered by [`Answer::Progress`], any number of times, and
    /// [`Answer::Backtested`].
    Backtest {
        /// The policy whose recorded verdicts are compared with.
        policy: String,
        /// What judges.
        candidate: Candidate,
        /// Its configuration.
        config: serde_json::Value,
        /// The one agent whose history is judged; none for all.
        agent: Option<AgentId>,
        /// From this time on, in milliseconds since the Unix epoch.
        since: Option<i64>,
        /// Before this time, likewise.
        until: Option<i64>,
    },
    /// A plugin out of a file, which whoever carries it out reads: a component is larger than a line may be. Answered by
    /// [`Answer::Plugin`].
    InstallPlugin {
        /// The component's file, by its absolute path.
        file: PathBuf,
        /// The file of its signature.
        signature: Option<PathBuf>,
    },
    /// A plugin out of a registry. Answered by [`Answer::Plugin`].
    PullPlugin {
        /// Where it is.
        reference: String,
    },
    /// What plugins there are. Answered by [`Answer::Plugins`].
    ListPlugins {},
    /// A version less on the list. Answered by [`Answer::Plugin`].
    RemovePlugin {
        /// `name`, `name@version` or `name@sha256:…`.
        plugin: String,
    },
    /// The bytes of components that nobody can come by any more are removed. Answered by [`Answer::Purged`].
    PurgePlugins {
        /// Whether that is only told.
        dry_run: bool,
    },
    /// What a provider asks for is granted to it. Answered by [`Answer::Plugin`].
    ApprovePlugin {
        /// `name`, `name@version` or `name@sha256:…`.
        plugin: String,
    },
}

/// What became of it. It may hold a secret, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A user with a new token, which is shown this once.
    Token {
        /// The user.
        user: UserSummary,
        /// The token.
        token: String,
    },
    /// All users, by name.
    Users {
        /// They.
        users: Vec<UserSummary>,
    },
    /// The master key has been changed.
    Rotated {
        /// The new key's name.
        master_key: String,
        /// Data keys that it wraps.
        data_keys: u64,
        /// The file that the server reads it from; none where it is to be set in the environment.
        file: Option<PathBuf>,
    },
    /// A leaf's verdicts have been computed again.
    Replayed {
        /// The leaf, and what came of it.
        leaf: Box<ReplayedLeaf>,
    },
    /// It is under way: another answer follows.
    Progress(Progress),
    /// A history has been judged again.
    Backtested {
        /// What would change.
        report: Box<Report>,
    },
    /// The version that was asked for something.
    Plugin {
        /// As it stands then.
        plugin: PluginSummary,
    },
    /// All plugins.
    Plugins {
        /// They.
        plugins: Vec<PluginSummary>,
    },
    /// Components whose bytes are removed, or would be.
    Purged {
        /// They.
        plugins: Vec<PurgedPlugin>,
    },
    /// It is done.
    Done {},
    /// It cannot be done as things are, and nothing was changed.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// Doing it failed.
    Failed {
        /// What failed, in words.
        reason: String,
    },
}

/// A user as an operator sees them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSummary {
    /// The name.
    pub name: UserId,
    /// What the user may see and do.
    pub role: UserRole,
    /// Whether the user has a token; not after a revocation.
    pub active: bool,
    /// When the user was made, as RFC 3339.
    pub created_at: String,
}

impl From<User> for UserSummary {
    fn from(user: User) -> Self {
        Self {
            name: user.id,
            role: user.role,
            active: user.token_hash.is_some(),
            created_at: crate::clock::rfc3339_ms(user.created_at),
        }
    }
}
