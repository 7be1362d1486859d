//! Agents: their making, their life between start and stop, and the turns that are open on them.

mod conversation;
mod draft;
mod lifecycle;
mod live;
mod open_turns;
mod replay;
mod vault_keys;

use std::sync::Arc;

use gavel_log::Chain;
use gavel_store::{Agent, AgentId, AgentState, Store, StoreError, UserId};

use crate::clock::now_ms;
use crate::config::Config;
use crate::plugins::{PluginError, Plugins};
use crate::random::random;
use crate::tasks::Tasks;
use crate::vault::{Vault, VaultError};

pub use conversation::{Conversations, Said};
pub use draft::{ChangedAgent, FieldError, NewAgent};
pub use lifecycle::STOP_GRACE;
pub use live::{LiveTurn, Reader};
pub use open_turns::{Claim, OpenTurns};
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
    /// A task of the server ended before it had answered.
    #[error("the operation was broken off")]
    BrokenOff,
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
    lifecycle: Arc<lifecycle::Locks>,
}

impl Agents {
    /// Agents kept in `store`, whose open turns are in `open_turns`.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        store: Store,
        vault: Arc<Vault>,
        plugins: Arc<Plugins>,
        open_turns: Arc<OpenTurns>,
        tasks: Tasks,
    ) -> Self {
        Self { config, store, vault, plugins, open_turns, tasks, lifecycle: Arc::default() }
    }

    /// Makes a stopped agent.
    ///
    /// # Errors
    /// When a field is not acceptable, the mode is laxer than the installation allows, or the store fails.
    pub async fn create(&self, owner: &UserId, new: NewAgent) -> Result<Agent, AgentError> {
        let traits = new.checked(&self.config, &self.plugins)?;
        self.plugins.bind(&traits.policies).await.map_err(draft::binding_error)?;
        let id = AgentId::generate();
        let now = now_ms();
        let agent = Agent {
            id,
            owner: owner.clone(),
            name: traits.name,
            model: traits.model,
            provider: traits.provider,
            mode: traits.mode,
            system_prompt: traits.system_prompt,
            labels: traits.labels,
            policies: traits.policies,
            state: AgentState::Stopped,
            session: None,
            last_checkpoint: None,
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
