//! The plugins that every binary carries, as `build.rs` built them.

use std::sync::Arc;

use futures_util::future::try_join_all;
use gavel_log::Hash;
use gavel_store::{PluginChange, PluginKind, PluginSource, PluginVersion};

use super::catalogue::About;
use super::{PluginError, Plugins};
use crate::clock::now_ms;

/// A bundled component.
pub(crate) struct Bundled {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

macro_rules! bundled {
    ($name:literal, $file:literal) => {
        Bundled { name: $name, bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".wasm")) }
    };
}

/// The policies.
pub(crate) const POLICIES: [Bundled; 2] =
    [bundled!("pii", "gavel_policy_pii"), bundled!("secrets", "gavel_policy_secrets")];

/// The providers. A provider's grants are what its manifest asks for: the binary vouches for these.
pub(crate) const PROVIDERS: [Bundled; 3] = [
    bundled!("demo", "gavel_provider_demo"),
    bundled!("openai", "gavel_provider_openai"),
    bundled!("workers-ai", "gavel_provider_workers_ai"),
];

impl Plugins {
    /// Keeps and lists the bundled plugins. One that was deleted stays off the list. Bundled versions of earlier binaries stay on it,
    /// for those who are pinned to them, but of one version number this binary's is the only one.
    pub(super) async fn settle_bundled(&self) -> Result<(), PluginError> {
        let policies = try_join_all(POLICIES.iter().map(|plugin| self.bundled_policy(plugin))).await?;
        let providers = try_join_all(PROVIDERS.iter().map(|plugin| self.bundled_provider(plugin))).await?;
        let known = self.store.plugins()?.versions;
        let mut change = PluginChange::default();
        for bundled in policies.into_iter().chain(providers) {
            if !known.iter().any(|row| row.digest == bundled.digest) {
                let earlier = known.iter().filter(|row| {
                    let same = row.name == bundled.name && row.version == bundled.version;
                    row.listed && row.source == PluginSource::Bundled && same
                });
                change.unlist.extend(earlier.map(|row| row.digest));
                change.list.push(bundled);
            }
        }
        if !change.list.is_empty() {
            self.store.change_plugins(change).await?;
        }
        let _changing = self.changes.lock().await;
        self.refresh().await
    }

    async fn bundled_policy(&self, plugin: &Bundled) -> Result<PluginVersion, PluginError> {
        self.components.keep(plugin.bytes).await?;
        let loaded = self.policies.load(plugin.bytes.into()).await;
        let policy = loaded.map_err(|source| PluginError::Policy { name: plugin.name.into(), source })?;
        self.components.insert(Arc::clone(&policy));
        let version = policy.manifest.version.clone();
        row(plugin, policy.digest, version, PluginKind::Policy, &About::policy(&policy))
    }

    async fn bundled_provider(&self, plugin: &Bundled) -> Result<PluginVersion, PluginError> {
        self.components.keep(plugin.bytes).await?;
        let loaded = self.providers.load(plugin.bytes).await;
        let provider = loaded.map_err(|source| PluginError::Provider { name: plugin.name.into(), source })?;
        let version = provider.manifest().version.to_string();
        row(plugin, provider.digest(), version, PluginKind::Provider, &About::provider(&provider))
    }
}

fn row(
    plugin: &Bundled,
    digest: Hash,
    version: String,
    kind: PluginKind,
    about: &About,
) -> Result<PluginVersion, PluginError> {
    Ok(PluginVersion {
        digest,
        name: plugin.name.to_owned(),
        version,
        kind,
        source: PluginSource::Bundled,
        reference: None,
        installed_at: now_ms(),
        listed: true,
        manifest: serde_json::to_value(about).map_err(|error| PluginError::Engine(error.to_string()))?,
        signed_by: None,
    })
}

/// The bytes of a bundled policy.
#[must_use]
pub fn bundled_policy(name: &str) -> Option<&'static [u8]> {
    POLICIES.iter().find(|plugin| plugin.name == name).map(|plugin| plugin.bytes)
}
