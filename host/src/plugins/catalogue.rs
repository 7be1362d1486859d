//! What is installed at one moment. A change makes a new catalogue; whoever holds the old one keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use gavel_sandbox::policy::{PolicyComponent, PolicyRuntime};
use gavel_sandbox::provider::{BindError, Grant, ProviderBinding, ProviderComponent, ProviderRuntime};
use secrecy::SecretString;

use super::bundled::{self, Bundled};
use super::{PluginError, PluginStatus};
use crate::config::ProviderConfig;

/// A configured provider: plugin, configuration and grant, and the operator's key.
pub struct Provider {
    /// What chats run on.
    pub binding: Arc<ProviderBinding>,
    /// Used where the agent's vault has no key of its own.
    pub operator_key: Option<SecretString>,
}

impl Provider {
    /// The origins that it is granted, each once and sorted: what an agent's own key for it is bound to.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        let origins: BTreeSet<_> = self.binding.grant().origins.iter().map(ToString::to_string).collect();
        origins.into_iter().collect()
    }
}

/// Policies by name, each with its versions from the oldest to the newest; configured providers by name.
pub(super) struct Catalogue {
    /// Differs between any two catalogues of a server.
    pub(super) generation: u64,
    policies: BTreeMap<String, Vec<Arc<PolicyComponent>>>,
    components: BTreeMap<String, Arc<ProviderComponent>>,
    /// Providers that can serve.
    pub(super) providers: BTreeMap<String, Arc<Provider>>,
    /// Every provider that the configuration names, also where its plugin is not installed.
    pub(super) configured: BTreeSet<String>,
}

impl Catalogue {
    /// The bundled plugins, and the providers of the configuration bound to them.
    pub(super) async fn bundled(
        policies: &Arc<PolicyRuntime>,
        providers: &ProviderRuntime,
        configured: &BTreeMap<String, ProviderConfig>,
    ) -> Result<Self, PluginError> {
        let loaded = try_join_all(bundled::POLICIES.iter().map(|plugin| load_policy(policies, plugin))).await?;
        let components: BTreeMap<_, _> =
            try_join_all(bundled::PROVIDERS.iter().map(|plugin| load_provider(providers, plugin)))
                .await?
                .into_iter()
                .map(|component| (component.manifest().name.clone(), component))
                .collect();
        let mut bound = BTreeMap::new();
        for (name, config) in configured {
            if let Some(component) = components.get(&config.plugin) {
                let provider = bind(providers, component, config)
                    .await
                    .map_err(|error| PluginError::ProviderConfig { name: name.clone(), detail: describe(&error) })?;
                bound.insert(name.clone(), Arc::new(provider));
            }
        }
        Ok(Self {
            generation: 0,
            policies: loaded.into_iter().map(|policy| (policy.manifest.name.clone(), vec![policy])).collect(),
            components,
            providers: bound,
            configured: configured.keys().cloned().collect(),
        })
    }

    /// This catalogue with one more policy, the newest of its name.
    pub(super) fn with_policy(&self, policy: Arc<PolicyComponent>) -> Self {
        let mut policies = self.policies.clone();
        let versions = policies.entry(policy.manifest.name.clone()).or_default();
        versions.retain(|version| version.digest != policy.digest);
        versions.push(policy);
        Self {
            generation: self.generation + 1,
            policies,
            components: self.components.clone(),
            providers: self.providers.clone(),
            configured: self.configured.clone(),
        }
    }

    /// The policy that a binding names: `pii`, `pii@1.2.0` or `pii@sha256:<hex>`.
    pub(super) fn policy(&self, named: &str) -> Option<Arc<PolicyComponent>> {
        let (name, version) = named.split_once('@').map_or((named, None), |(name, version)| (name, Some(version)));
        let mut newest_first = self.policies.get(name)?.iter().rev();
        let found = match version {
            None => newest_first.next(),
            Some(version) => {
                newest_first.find(|policy| policy.manifest.version == version || policy.digest.tagged() == version)
            }
        };
        found.cloned()
    }

    /// The newest version of each policy.
    pub(super) fn newest_policies(&self) -> impl Iterator<Item = &Arc<PolicyComponent>> {
        self.policies.values().filter_map(|versions| versions.last())
    }

    pub(super) fn status(&self) -> Vec<PluginStatus> {
        let policies = self.newest_policies().map(|policy| PluginStatus {
            name: policy.manifest.name.clone(),
            kind: "policy",
            version: policy.manifest.version.clone(),
            digest: policy.digest.tagged(),
            summary: policy.manifest.summary.clone(),
        });
        let providers = self.components.values().map(|provider| PluginStatus {
            name: provider.manifest().name.clone(),
            kind: "provider",
            version: provider.manifest().version.to_string(),
            digest: provider.digest().tagged(),
            summary: provider.manifest().summary.clone(),
        });
        policies.chain(providers).collect()
    }
}

async fn load_policy(runtime: &Arc<PolicyRuntime>, plugin: &Bundled) -> Result<Arc<PolicyComponent>, PluginError> {
    runtime.load(plugin.bytes.into()).await.map_err(|source| PluginError::Policy { name: plugin.name.into(), source })
}

async fn load_provider(runtime: &ProviderRuntime, plugin: &Bundled) -> Result<Arc<ProviderComponent>, PluginError> {
    let loaded = runtime.load(plugin.bytes).await;
    loaded.map(Arc::new).map_err(|source| PluginError::Provider { name: plugin.name.into(), source })
}

/// Binds a bundled plugin with the grant that its manifest asks for and the operator's leave for private addresses.
async fn bind(
    runtime: &ProviderRuntime,
    component: &Arc<ProviderComponent>,
    config: &ProviderConfig,
) -> Result<Provider, BindError> {
    let mut grant = Grant::from_manifest(component.manifest(), &config.config)?;
    grant.allow_private = config.allow_private;
    let binding = runtime.bind(Arc::clone(component), &config.config.to_string(), grant).await?;
    let key = config.api_key_env.as_ref().and_then(|name| std::env::var(name).ok());
    Ok(Provider { binding: Arc::new(binding), operator_key: key.filter(|key| !key.is_empty()).map(SecretString::from) })
}

fn describe(error: &BindError) -> String {
    match error {
        BindError::Config(faults) => format!("{error}: {}", super::error::places(faults)),
        other => other.to_string(),
    }
}
