//! The HTTP and WebSocket edge. A handler extracts, authorises by its declared rule, calls one operation and
//! answers; nothing else happens here.

mod admin;
mod agents;
mod asset;
mod backtest;
mod body;
mod chat;
mod checkpoints;
mod completions;
mod cursor;
mod docs;
mod evaluate;
mod files;
mod guard;
mod health;
mod idempotency;
mod keys;
mod layers;
mod log;
mod messages;
mod openapi;
mod params;
mod plugins;
mod policies;
mod problem;
mod proofs;
mod quota;
mod rate;
mod router;
mod unread;
mod vault;
mod verdicts;
mod verify;

use std::sync::Arc;
use std::time::Instant;

use gavel_log::{Hash, VerifierKey};
use gavel_store::Store;
use prometheus_client::registry::Registry;

use crate::agent::{Agents, Conversations, OpenTurns};
use crate::auth::Access;
use crate::backtest::Backtests;
use crate::config::Config;
use crate::files::Files;
use crate::one_each::OneEach;
use crate::plugins::Plugins;
use crate::quota::{Quotas, Strangers};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::vault::Vault;
use crate::verdicts::Verdicts;

pub use openapi::text as openapi_text;
pub use problem::{Code, Problem};
pub use router::{admin_router, router};

/// What handlers work with: one server's parts, shared.
#[derive(Clone)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// Judges histories again.
    pub backtests: Backtests,
    /// What is kept.
    pub store: Store,
    /// Who is let in.
    pub access: Access,
    /// The keys.
    pub vault: Arc<Vault>,
    /// Policies and providers.
    pub plugins: Arc<Plugins>,
    /// Agents.
    pub agents: Agents,
    /// Their files.
    pub files: Files,
    /// What agents may use.
    pub quotas: Arc<Quotas>,
    /// Those who show no valid token.
    pub strangers: Arc<Strangers>,
    /// What was decided, for those who ask.
    pub verdicts: Verdicts,
    /// What is said to them.
    pub conversations: Conversations,
    /// The turns under way.
    pub open_turns: Arc<OpenTurns>,
    /// The server's tasks and the signals of its end.
    pub tasks: Tasks,
    /// What the log's checkpoints verify with.
    pub log_key: Arc<VerifierKey>,
    /// What is counted and measured for the operator.
    pub metrics: Arc<Metrics>,
    /// All figures, as a scrape shows them.
    pub registry: Arc<Registry>,
    /// Idempotency keys under which something is being done.
    pub keys_at_work: Arc<OneEach<Hash, tokio::sync::Mutex<()>>>,
    /// When the server began.
    pub started: Instant,
}

/// Who is at the other end of a request's connection: the client, or the proxy before us.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub std::net::IpAddr);
