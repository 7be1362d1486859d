//! The catalogue: which policies and providers there are, and agents' policies bound to their configurations.
//!
//! A plugin is bytes, known by name, version and the SHA-256 digest of its bytes. Installing makes a version visible
//! by one swap; what a turn has taken stays its own until the turn ends.

mod approve;
mod archive;
mod binding;
mod bound;
mod bundled;
mod catalogue;
mod check;
mod components;
mod directory;
mod dry_run;
mod error;
mod grants;
mod install;
mod kept;
pub mod oci;
mod purge;
mod retire;
mod status;
pub mod trust;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use gavel_log::Hash;
use gavel_sandbox::policy::{BoundPolicy, PolicyComponent, PolicyLimits, PolicyRuntime};
use gavel_sandbox::provider::{ProviderLimits, ProviderRuntime};
use gavel_store::{Binding, PluginChange, Store};
use tokio::sync::Semaphore;

pub use approve::{ApproveError, Approved};
pub use archive::{Archive, ArchiveError};
pub use bound::{BoundBinding, BoundSet};
pub use bundled::bundled_policy;
use catalogue::Catalogue;
pub use catalogue::Provider;
pub use check::{UnboundError, check_bindings};
use components::Components;
use directory::Directory;
pub use dry_run::{DryRun, DryRunError};
pub use error::PluginError;
pub use install::{InstallError, Installed, Source, kind_name, source_name};
use kept::Kept;
use oci::Registries;
pub use purge::{Purged, Records};
pub use retire::RetireError;
pub use status::{PluginDetail, PluginState, PluginStatus};
use trust::Trust;

use crate::config::{Config, ProviderConfig};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Bytes of bound policies that are kept for the next agent with the same configuration, without their snapshots.
const BOUND_POLICIES_BYTES: usize = 64 << 20;
/// Bytes of sets of bindings that are kept for the next turn, with the policies that they alone may still hold.
const BOUND_SETS_BYTES: usize = 64 << 20;

/// Components that may be sent at once.
const UPLOADS: usize = 4;

/// All plugins of a server.
pub struct Plugins {
    /// Runs policies.
    pub policies: Arc<PolicyRuntime>,
    /// Runs providers.
    pub providers: ProviderRuntime,
    /// Taken by whoever sends a component: each is held in memory while it is checked.
    pub uploads: Semaphore,
    store: Store,
    tasks: Tasks,
    metrics: Arc<Metrics>,
    /// The configuration's providers.
    configured: BTreeMap<String, ProviderConfig>,
    /// The configuration's default and mandatory bindings.
    operators_bindings: Vec<Binding>,
    catalogue: RwLock<Arc<Catalogue>>,
    components: Components,
    directory: Directory,
    registries: Registries,
    trust: Trust,
    /// Held by whoever changes what is installed or granted, from reading the catalogue to the new one.
    changes: tokio::sync::Mutex<()>,
    bound: Kept<(Hash, Hash), Arc<BoundPolicy>>,
    sets: Kept<(u64, Hash), Arc<BoundSet>>,
    /// Whether the policies that the configuration binds have had their snapshots made.
    warm: AtomicBool,
}

impl Plugins {
    /// Loads the bundled plugins, what is installed and the files of the watched directory, and binds the configured
    /// providers. `code_key` authenticates the cache of machine code.
    ///
    /// # Errors
    /// If the engine cannot be made, the store fails, or a configured provider cannot be bound.
    pub async fn open(
        config: &Config,
        code_key: [u8; 32],
        store: Store,
        tasks: Tasks,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, PluginError> {
        let engine = |error: &dyn std::fmt::Display| PluginError::Engine(error.to_string());
        let cache = gavel_sandbox::CodeCache::open(config.code_cache_dir(), code_key, config.plugins.cache_mib << 20);
        let cache = Arc::new(cache.map_err(|error| engine(&error))?);
        let policies = PolicyRuntime::new(policy_limits(config), Some(cache.clone()))
            .map_err(|error| engine(&format!("{error:#}")))?;
        let providers = ProviderRuntime::new(&provider_limits(config), Some(cache)).map_err(|error| engine(&error))?;
        let governance = &config.governance;
        let operators = governance.default_policies.iter().chain(&governance.mandatory_policies);
        let plugins = Arc::new(Self {
            components: Components::new(Archive::open(&config.data_dir)?, Arc::clone(&policies)),
            directory: Directory::open(&config.data_dir).map_err(PluginError::Directory)?,
            registries: Registries::open(&config.plugins.oci).map_err(|error| engine(&error))?,
            trust: Trust::open(&config.plugins.trust)?,
            policies,
            providers,
            uploads: Semaphore::new(UPLOADS),
            store,
            tasks,
            metrics,
            configured: config.providers.clone(),
            operators_bindings: operators.cloned().map(Into::into).collect(),
            catalogue: RwLock::default(),
            changes: tokio::sync::Mutex::new(()),
            bound: Kept::new(BOUND_POLICIES_BYTES),
            sets: Kept::new(BOUND_SETS_BYTES),
            warm: AtomicBool::new(false),
        });
        let started = Instant::now();
        tracing::info!("loading the bundled plugins; a first start compiles them");
        plugins.settle_bundled().await?;
        tracing::info!(ms = millis(started), "loaded the bundled plugins");
        if config.plugins.watch {
            plugins.settle_directory().await;
        }
        let catalogue = plugins.catalogue();
        if let Some((name, detail)) = catalogue.unbound.first_key_value() {
            return Err(PluginError::ProviderConfig { name: name.clone(), detail: detail.clone() });
        }
        Ok(plugins)
    }

    /// The policy with this digest, whether or not it is listed: from memory, else from the archive of all that ever
    /// served. Nothing becomes visible by it.
    ///
    /// # Errors
    /// If nothing with this digest was ever kept, or it is no policy that this engine runs.
    pub async fn component(&self, digest: &Hash) -> Result<Arc<PolicyComponent>, PluginError> {
        self.components.policy(digest).await
    }

    /// Binds what most agents will be bound to, and waits for its snapshots. What cannot be bound is reported, and left to
    /// whoever binds it.
    pub async fn warm_up(&self, bindings: &[Binding]) {
        let started = Instant::now();
        for binding in bindings {
            match self.bind(std::slice::from_ref(binding)).await {
                Ok(set) => {
                    for bound in &set.bindings {
                        bound.policy.warm().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(policy = binding.policy, %error, "a policy of the configuration cannot be bound");
                }
            }
        }
        tracing::info!(ms = millis(started), "the configuration's policies are ready");
        self.warm.store(true, Ordering::Relaxed);
    }

    /// Whether [`warm_up`](Self::warm_up) has ended.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Relaxed)
    }

    /// Whether a policy is listed under this name, with or without version or digest.
    #[must_use]
    pub fn policy_exists(&self, name: &str) -> bool {
        self.catalogue().policy(name).is_some()
    }

    /// Whether the configuration has a provider of this name.
    #[must_use]
    pub fn provider_exists(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }

    /// A provider that can serve, by its configured name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.catalogue().providers.get(name).cloned()
    }

    /// Records a change and makes it visible. The caller holds [`Self::changes`].
    async fn change(&self, change: PluginChange) -> Result<(), PluginError> {
        self.store.change_plugins(change).await?;
        self.refresh().await
    }

    /// Makes visible what the store holds, by one swap. The caller holds [`Self::changes`].
    async fn refresh(&self) -> Result<(), PluginError> {
        let old = self.catalogue();
        let mut new = Catalogue::of(&self.store.plugins()?, &self.trust);
        new.serve(&self.configured, &self.providers, &self.components, &old).await;
        for (name, detail) in &new.unbound {
            tracing::warn!(provider = name, detail, "a configured provider cannot serve");
        }
        let new = Arc::new(new);
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        self.forget_replaced(&old, &new);
        Ok(())
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A cache has no state that a panic elsewhere could leave half-made.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn policy_limits(config: &Config) -> PolicyLimits {
    PolicyLimits {
        evaluate_ms: config.plugins.evaluate_ms,
        memory_bytes: config.plugins.memory_mib << 20,
        max_instances: config.plugins.policy_instances,
        snapshot_bytes: config.plugins.snapshots_mib << 20,
        ..PolicyLimits::default()
    }
}

fn provider_limits(config: &Config) -> ProviderLimits {
    let ms = std::time::Duration::from_millis;
    ProviderLimits {
        connect: ms(config.limits.upstream_connect_ms),
        first_byte: ms(config.limits.upstream_first_byte_ms),
        idle: ms(config.limits.upstream_idle_ms),
        max_instances: config.plugins.provider_instances,
        ..ProviderLimits::default()
    }
}
