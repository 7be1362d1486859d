//! The catalogue: which policies and providers there are, and agents' policies bound to their configurations.
//!
//! A plugin is bytes, known by name, version and the SHA-256 digest of its bytes. Installing makes a version visible
//! by one swap; what a turn has taken stays its own until the turn ends.

mod bound;
mod bundled;
mod catalogue;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_log::record::MAX_POLICIES;
use gavel_sandbox::ConfigFault;
use gavel_sandbox::policy::{self, BoundPolicy, PolicyComponent, PolicyLimits, PolicyRuntime};
use gavel_sandbox::provider::{self, ProviderLimits, ProviderRuntime};
use gavel_store::Binding;
use lru::LruCache;
use serde::Serialize;

pub use bound::{BoundBinding, BoundSet};
use catalogue::Catalogue;
pub use catalogue::Provider;

use crate::config::Config;

/// Bound policies that are kept for the next agent with the same configuration.
const BOUND_POLICIES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Sets of bindings that are kept for the next turn.
const BOUND_SETS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Why plugins could not be loaded or bound.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The engine cannot run on this machine with these limits.
    #[error("the sandbox cannot be made: {0}")]
    Engine(String),
    /// A component is no policy.
    #[error("the policy {name}: {source}")]
    Policy {
        /// Its name, where known.
        name: String,
        /// What is wrong.
        source: policy::LoadError,
    },
    /// A component is no provider.
    #[error("the provider {name}: {source}")]
    Provider {
        /// Its name, where known.
        name: String,
        /// What is wrong.
        source: provider::LoadError,
    },
    /// A configured provider cannot be bound.
    #[error("the provider {name} of the configuration: {detail}")]
    ProviderConfig {
        /// The configured name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A binding names a policy that is not installed.
    #[error("there is no policy {policy}")]
    UnknownPolicy {
        /// Its place in the list.
        index: usize,
        /// As the binding names it.
        policy: String,
    },
    /// A binding's configuration does not satisfy the policy's schema.
    #[error("the configuration of {policy} does not satisfy its schema")]
    Schema {
        /// Its place in the list.
        index: usize,
        /// The policy.
        policy: String,
        /// Where and what.
        faults: Vec<ConfigFault>,
    },
    /// A policy refused its configuration, or cannot judge a stage that the binding names.
    #[error("{policy}: {detail}")]
    Refused {
        /// Its place in the list.
        index: usize,
        /// The policy.
        policy: String,
        /// Why.
        detail: String,
    },
    /// More bindings than a record can name.
    #[error("an agent has at most {MAX_POLICIES} policies")]
    TooMany,
}

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
    bound: Mutex<LruCache<(Hash, Hash), Arc<BoundPolicy>>>,
    sets: Mutex<LruCache<(u64, Hash), Arc<BoundSet>>>,
    /// Held while a policy is bound, which costs half a second of compiling: two turns must not pay for the same.
    binder: tokio::sync::Mutex<()>,
}

impl Plugins {
    /// Loads the bundled plugins and the configured providers. `code_key` authenticates the cache of machine code.
    ///
    /// # Errors
    /// If the engine cannot be made, or a configured provider cannot be bound.
    pub async fn open(config: &Config, code_key: [u8; 32]) -> Result<Self, PluginError> {
        let engine = |error: &dyn std::fmt::Display| PluginError::Engine(error.to_string());
        let cache = || gavel_sandbox::CodeCache::open(config.code_cache_dir(), code_key);
        let limits = policy_limits(config);
        let policies = PolicyRuntime::new(limits, Some(cache().map_err(|error| engine(&error))?))
            .map_err(|error| engine(&format!("{error:#}")))?;
        let providers = ProviderRuntime::new(&provider_limits(config), Some(cache().map_err(|error| engine(&error))?))
            .map_err(|error| engine(&error))?;
        let catalogue = Catalogue::bundled(&policies, &providers, &config.providers).await?;
        Ok(Self {
            policies,
            providers,
            catalogue: RwLock::new(Arc::new(catalogue)),
            bound: Mutex::new(LruCache::new(BOUND_POLICIES)),
            sets: Mutex::new(LruCache::new(BOUND_SETS)),
            binder: tokio::sync::Mutex::new(()),
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
            .load(bytes)
            .await
            .map_err(|source| PluginError::Policy { name: "to be installed".into(), source })?;
        let digest = component.digest;
        let mut catalogue = self.catalogue.write().unwrap_or_else(PoisonError::into_inner);
        *catalogue = Arc::new(catalogue.with_policy(component));
        Ok(digest)
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

    /// An agent's own bindings, bound. Quick where the same were bound before.
    ///
    /// # Errors
    /// Which binding cannot be bound, and why.
    pub async fn bind(&self, own: &[Binding]) -> Result<Arc<BoundSet>, PluginError> {
        self.bind_all(&[], own).await
    }

    /// The operator's mandatory bindings and an agent's own, bound in this order.
    ///
    /// # Errors
    /// Which binding cannot be bound, and why.
    pub async fn bind_all(&self, mandatory: &[Binding], own: &[Binding]) -> Result<Arc<BoundSet>, PluginError> {
        if mandatory.len() + own.len() > MAX_POLICIES {
            return Err(PluginError::TooMany);
        }
        let catalogue = self.catalogue();
        let key = (catalogue.generation, bindings_digest(&(mandatory, own))?);
        if let Some(set) = lock(&self.sets).get(&key) {
            return Ok(Arc::clone(set));
        }
        let mut bound = Vec::with_capacity(mandatory.len() + own.len());
        for (bindings, is_mandatory) in [(mandatory, true), (own, false)] {
            for (index, binding) in bindings.iter().enumerate() {
                let policy = self.bind_one(&catalogue, index, binding).await?;
                bound.push(Arc::new(BoundBinding { mandatory: is_mandatory, ..policy }));
            }
        }
        let set = Arc::new(BoundSet::new(bound));
        lock(&self.sets).put(key, Arc::clone(&set));
        Ok(set)
    }

    async fn bind_one(
        &self,
        catalogue: &Catalogue,
        index: usize,
        binding: &Binding,
    ) -> Result<BoundBinding, PluginError> {
        let component = catalogue
            .policy(&binding.policy)
            .ok_or_else(|| PluginError::UnknownPolicy { index, policy: binding.policy.clone() })?;
        let stages = stages(&component, binding.stages.as_deref()).map_err(|detail| PluginError::Refused {
            index,
            policy: binding.policy.clone(),
            detail,
        })?;
        let policy = self.bound_policy(&component, &binding.config).await.map_err(|error| match error {
            policy::BindError::Schema(faults) => PluginError::Schema { index, policy: binding.policy.clone(), faults },
            other => PluginError::Refused { index, policy: binding.policy.clone(), detail: other.to_string() },
        })?;
        Ok(BoundBinding {
            policy,
            enforcement: binding.enforcement,
            on_error: binding.on_error,
            release: binding.release,
            mandatory: false,
            stages,
        })
    }

    async fn bound_policy(
        &self,
        component: &Arc<PolicyComponent>,
        config: &serde_json::Value,
    ) -> Result<Arc<BoundPolicy>, policy::BindError> {
        let json = gavel_log::jcs::to_string(config).map_err(|error| policy::BindError::Refused(error.to_string()))?;
        let key = (component.digest, Hash::of(json.as_bytes()));
        if let Some(policy) = lock(&self.bound).get(&key) {
            return Ok(Arc::clone(policy));
        }
        let _binding = self.binder.lock().await;
        if let Some(policy) = lock(&self.bound).get(&key) {
            return Ok(Arc::clone(policy));
        }
        let policy = component.bind(config).await?;
        lock(&self.bound).put(key, Arc::clone(&policy));
        Ok(policy)
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A cache has no state that a panic elsewhere could leave half-made.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds a bound set again. Bindings that are spelled differently are other ones here: that costs a second set, no more.
fn bindings_digest(bindings: &(&[Binding], &[Binding])) -> Result<Hash, PluginError> {
    serde_json::to_vec(bindings).map(|json| Hash::of(&json)).map_err(|error| PluginError::Engine(error.to_string()))
}

/// The stages that a binding is asked at: those that it names, if its policy can judge them all; else the policy's.
fn stages(component: &PolicyComponent, named: Option<&[Stage]>) -> Result<Vec<Stage>, String> {
    let able = &component.manifest.stages;
    let Some(named) = named else { return Ok(able.clone()) };
    match named.iter().find(|stage| !able.contains(stage)) {
        Some(stage) => Err(format!("it cannot judge the stage {}", stage_name(*stage))),
        None => Ok(named.to_vec()),
    }
}

fn stage_name(stage: Stage) -> String {
    serde_json::to_value(stage).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn policy_limits(config: &Config) -> PolicyLimits {
    PolicyLimits {
        evaluate_ms: config.plugins.evaluate_ms,
        memory_bytes: config.plugins.memory_mib << 20,
        max_instances: config.plugins.policy_instances,
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
