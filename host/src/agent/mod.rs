//! Agents: their making, their life between start and stop, and the turns that are open on them.

mod checkpoints;
mod conversation;
mod draft;
mod erasure;
mod lifecycle;
mod live;
mod open_turns;
mod policies;
mod replay;
mod vault_keys;

use std::sync::Arc;

use gavel_log::Chain;
use gavel_store::{Agent, AgentId, AgentState, MonthUsage, Seed, Store, StoreError, UserId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::config::Config;
use crate::files::{FileError, Files};
use crate::one_each::OneEach;
use crate::plugins::{PluginError, Plugins};
use crate::random::random;
use crate::tasks::Tasks;
use crate::turn::Turns;
use crate::vault::{Vault, VaultError};

pub use conversation::{Conversations, Said};
pub use draft::{ChangedAgent, FieldError, NewAgent};
pub use lifecycle::STOP_GRACE;
pub use live::{LiveTurn, Reader};
pub use open_turns::{Claim, OpenTurns};
pub use policies::AgentPolicy;
pub use vault_keys::NewVaultKey;

/// Why something was not done to an agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Fields of the request are at fault.
    #[error("{} of the request's fields are not acceptable", .0.len())]
    Invalid(Vec<FieldError>),
    /// The installation allows no mode as lax as this.
    #[error("this installation allows no laxer mode than enforcing")]
    ModeForbidden,
    /// A list of policies touches what the operator binds to every agent.
    #[error("{} of the policies are the operator's alone", .0.len())]
    MandatoryPolicy(Vec<FieldError>),
    /// The bindings cannot be used as they are configured.
    #[error("{} of the policies' configurations are not acceptable", .0.len())]
    Configuration(Vec<FieldError>),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The plugins failed.
    #[error("the plugins: {0}")]
    Plugins(PluginError),
    /// An agent's files could not be removed.
    #[error("the agent's files: {0}")]
    Files(#[from] FileError),
    /// A session's history has too many gaps by now.
    #[error("the session has been restored too often: start another one")]
    RestoredTooOften,
    /// A task of the server ended before it had answered.
    #[error("the operation was broken off")]
    BrokenOff,
}

/// The server's parts that agents need.
pub struct AgentParts {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where they are kept.
    pub store: Store,
    /// Their keys.
    pub vault: Arc<Vault>,
    /// Their policies and providers.
    pub plugins: Arc<Plugins>,
    /// What runs their turns, and remembers what was said.
    pub turns: Arc<Turns>,
    /// Their files.
    pub files: Files,
    /// The turns that are open on them.
    pub open_turns: Arc<OpenTurns>,
    /// The server's tasks.
    pub tasks: Tasks,
}

/// What may be done to agents.
#[derive(Clone)]
pub struct Agents {
    config: Arc<Config>,
    store: Store,
    vault: Arc<Vault>,
    plugins: Arc<Plugins>,
    open_turns: Arc<OpenTurns>,
    tasks: Tasks,
    turns: Arc<Turns>,
    files: Files,
    lives: Arc<OneEach<AgentId, tokio::sync::Mutex<()>>>,
    ends: Arc<OneEach<AgentId, CancellationToken>>,
    /// Tells that a deletion left rows to be removed.
    rows_left: Arc<Notify>,
}

impl Agents {
    /// Agents that work with these parts.
    #[must_use]
    pub fn new(parts: AgentParts) -> Self {
        let AgentParts { config, store, vault, plugins, turns, files, open_turns, tasks } = parts;
        let (lives, ends, rows_left) = (Arc::default(), Arc::default(), Arc::default());
        Self { config, store, vault, plugins, turns, files, open_turns, tasks, lives, ends, rows_left }
    }

    /// Makes a stopped agent. Under a seed it is made once: again it gives the agent that was made of it.
    ///
    /// # Errors
    /// When a field is not acceptable, the mode is laxer than the installation allows, or the store fails.
    pub async fn create(&self, owner: &UserId, new: NewAgent, seed: Option<Seed>) -> Result<Agent, AgentError> {
        let traits = new.checked(&self.config, &self.plugins)?;
        let own = &traits.policies;
        self.plugins.bind(&own.bindings).await.map_err(|error| own.unbound(error))?;
        let id = seed.map_or_else(AgentId::generate, Seed::agent);
        if let Some(made) = seed.map(|_| self.store.agent(&id)).transpose()?.flatten() {
            return Ok(made);
        }
        let now = now_ms();
        let _steady = self.vault.steady().await;
        let agent = Agent {
            id,
            owner: owner.clone(),
            name: traits.name,
            model: traits.model,
            provider: traits.provider,
            mode: traits.mode,
            system_prompt: traits.system_prompt,
            labels: traits.labels,
            policies: traits.policies.bindings,
            state: AgentState::Stopped,
            session: None,
            last_checkpoint: None,
            usage: MonthUsage::default(),
            wrapped_data_key: self.vault.new_data_key(&id)?,
            chain: Chain(random()),
            created_at: now,
            updated_at: now,
        };
        self.store.create_agent(agent.clone()).await?;
        tracing::info!(agent = %id, mode = ?agent.mode, "agent made");
        Ok(agent)
    }

    /// Changes what an agent's owner sets. It holds from the next turn on: one under way keeps what it began with.
    ///
    /// # Errors
    /// When a field is not acceptable, the mode is laxer than the installation allows, or the store fails.
    pub async fn change(&self, id: &AgentId, changed: ChangedAgent) -> Result<Agent, AgentError> {
        let change = changed.checked(&self.config, &self.plugins)?;
        let agent = self.store.change_agent(id, change, now_ms()).await?;
        tracing::info!(agent = %id, mode = ?agent.mode, "agent changed");
        Ok(agent)
    }

    /// What is set when the agent is deleted. Whoever waits for it asks afterwards whether the agent was there still.
    #[must_use]
    pub fn end_of(&self, id: AgentId) -> Arc<CancellationToken> {
        self.ends.of(id)
    }

    /// The agent, where it exists.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find(&self, id: &AgentId) -> Result<Option<Agent>, AgentError> {
        Ok(self.store.agent(id)?)
    }

    /// At most `limit` of a user's agents, in the order in which they were made, from the one behind `after` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, owner: &UserId, after: Option<&AgentId>, limit: usize) -> Result<Vec<Agent>, AgentError> {
        Ok(self.store.agents(owner, after, limit)?)
    }
}
