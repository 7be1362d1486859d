//! The catalogue: which policies and providers there are, and agents' policies bound to their configurations.
//!
//! A plugin is bytes, known by name, version and the SHA-256 digest of its bytes. Installing makes a version visible
//! by one swap; what a turn has taken stays its own until the turn ends.

mod archive;
mod binding;
mod bound;
mod bundled;
mod catalogue;
mod check;
mod components;
mod dry_run;
mod error;
mod kept;
pub mod oci;
pub mod trust;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use gavel_log::Hash;
use gavel_sandbox::policy::{BoundPolicy, PolicyComponent, PolicyLimits, PolicyRuntime};
use gavel_sandbox::provider::{ProviderLimits, ProviderRuntime};
use gavel_store::Binding;
use serde::Serialize;

pub use archive::{Archive, ArchiveError};
pub use bound::{BoundBinding, BoundSet};
use catalogue::Catalogue;
pub use catalogue::Provider;
pub use check::{UnboundError, check_bindings};
use components::Components;
pub use dry_run::{DryRun, DryRunError};
pub use error::PluginError;
use kept::Kept;

use crate::config::Config;

/// Bytes of bound policies that are kept for the next agent with the same configuration, without their snapshots.
const BOUND_POLICIES_BYTES: usize = 64 << 20;
/// Bytes of sets of bindings that are kept for the next turn, with the policies that they alone may still hold.
const BOUND_SETS_BYTES: usize = 64 << 20;

/// An installed plugin, as a list of them shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// `policy` or `provider`.
    pub kind: &'static str,
    /// Its version.
    pub version: String,
    /// `sha256:<hex>` of its bytes.
    pub digest: String,
    /// One sentence.
    pub summary: String,
}

/// All plugins of a server.
pub struct Plugins {
    /// Runs policies.
    pub policies: Arc<PolicyRuntime>,
    /// Runs providers.
    pub providers: ProviderRuntime,
    catalogue: RwLock<Arc<Catalogue>>,
    components: Components,
    bound: Kept<(Hash, Hash), Arc<BoundPolicy>>,
    sets: Kept<(u64, Hash), Arc<BoundSet>>,
    /// Whether the policies that the configuration binds have had their snapshots made.
    warm: AtomicBool,
}

impl Plugins {
    /// Loads the bundled plugins and the configured providers. `code_key` authenticates the cache of machine code.
    ///
    /// # Errors
    /// If the engine cannot be made, or a configured provider cannot be bound.
    pub async fn open(config: &Config, code_key: [u8; 32]) -> Result<Self, PluginError> {
        let engine = |error: &dyn std::fmt::Display| PluginError::Engine(error.to_string());
        let cache = gavel_sandbox::CodeCache::open(config.code_cache_dir(), code_key, config.plugins.cache_mib << 20);
        let cache = Arc::new(cache.map_err(|error| engine(&error))?);
        let policies = PolicyRuntime::new(policy_limits(config), Some(cache.clone()))
            .map_err(|error| engine(&format!("{error:#}")))?;
        let providers = ProviderRuntime::new(&provider_limits(config), Some(cache)).map_err(|error| engine(&error))?;
        let components = Components::new(Archive::open(&config.data_dir)?, Arc::clone(&policies));
        for plugin in bundled::POLICIES.iter().chain(&bundled::PROVIDERS) {
            components.keep(plugin.bytes).await?;
        }
        let started = Instant::now();
        tracing::info!("loading the bundled plugins; a first start compiles them");
        let catalogue = Catalogue::bundled(&policies, &providers, &config.providers).await?;
        tracing::info!(ms = millis(started), "loaded the bundled plugins");
        catalogue.newest_policies().for_each(|policy| components.insert(Arc::clone(policy)));
        Ok(Self {
            components,
            policies,
            providers,
            catalogue: RwLock::new(Arc::new(catalogue)),
            bound: Kept::new(BOUND_POLICIES_BYTES),
            sets: Kept::new(BOUND_SETS_BYTES),
            warm: AtomicBool::new(false),
        })
    }

    /// Installs a policy: checked and compiled first, then visible to the next turn of every agent that follows its
    /// name.
    ///
    /// # Errors
    /// What is wrong with it; the old version then goes on serving.
    pub async fn install_policy(&self, bytes: Arc<[u8]>) -> Result<Hash, PluginError> {
        let component = self
            .policies
            .load(Arc::clone(&bytes))
            .await
            .map_err(|source| PluginError::Policy { name: "to be installed".into(), source })?;
        let digest = self.components.keep(bytes).await?;
        self.components.insert(Arc::clone(&component));
        let mut catalogue = self.catalogue.write().unwrap_or_else(PoisonError::into_inner);
        *catalogue = Arc::new(catalogue.with_policy(component));
        Ok(digest)
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

    /// Whether a policy is installed under this name, with or without version or digest.
    #[must_use]
    pub fn policy_exists(&self, name: &str) -> bool {
        self.catalogue().policy(name).is_some()
    }

    /// Whether the configuration has a provider of this name.
    #[must_use]
    pub fn provider_exists(&self, name: &str) -> bool {
        self.catalogue().configured.contains(name)
    }

    /// A provider that can serve, by its configured name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.catalogue().providers.get(name).cloned()
    }

    /// What is installed.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.catalogue().status()
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

/// The bytes of a bundled policy.
#[must_use]
pub fn bundled_policy(name: &str) -> Option<&'static [u8]> {
    bundled::POLICIES.iter().find(|plugin| plugin.name == name).map(|plugin| plugin.bytes)
}
