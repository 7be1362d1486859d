//! The harness of Gavel's stories. It starts the real binary, plays the users who talk with it, and plays the model
//! provider behind it:
//!
//! ```ignore
//! let (server, upstream, alice) = gavel().await;
//! let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
//! let mut chat = alice.chat(&agent).await;
//! let turn = chat.say("What is your card number?").await;
//! ```
//!
//! Every wait has the same [`DEADLINE`], and nothing sleeps: a story waits for what it needs to have happened, or makes
//! it happen.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking, as its tests do, and JSON that lacks a member reads as null"
)]

mod answer;
mod chat;
mod command;
mod completion;
mod cost;
mod figures;
mod form;
mod issuer;
mod public_log;
mod registry;
mod script;
mod server;
mod signer;
mod tls;
mod turn;
mod upstream;
mod user;

use std::time::Duration;

pub use answer::Answer;
pub use chat::{Chat, Heard};
pub use command::{Ran, gavel_binary, gavel_command, gavel_command_in};
pub use completion::Completion;
pub use cost::{Memory, cpu_seconds};
pub use figures::{Figures, Sample};
pub use form::Form;
pub use issuer::{AUDIENCE, Issuer, IssuerKey, now};
pub use public_log::PublicLog;
pub use registry::{Access, Fault, Pushed, Registry, WASM_LAYER};
pub use script::{Pace, Script};
pub use server::{GavelServer, MOCK_KEY, Setup};
pub use signer::Signer;
pub use tls::Authority;
pub use turn::Turn;
pub use upstream::{Received, Upstream};
pub use user::{Agent, User};

/// How long anything may take that a story waits for: longer than the server's own graces.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A server with a scripted provider behind it, and its first user.
pub async fn gavel() -> (GavelServer, Upstream, User) {
    gavel_with("").await
}

/// The same, with more configuration: TOML sections, limits for instance.
pub async fn gavel_with(toml: &str) -> (GavelServer, Upstream, User) {
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream).toml(toml)).await;
    let admin = server.admin();
    (server, upstream, admin)
}

/// Waits for something that has to come.
///
/// # Panics
/// When it does not come within [`DEADLINE`].
pub async fn within<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, coming).await.unwrap_or_else(|_| panic!("{what}: nothing within {DEADLINE:?}"))
}

/// A new message's id, as a client makes it.
#[must_use]
pub fn message_id() -> String {
    format!("msg_{}", ulid::Ulid::generate().to_string().to_ascii_lowercase())
}
