//! What is installed at one moment. A change makes a new catalogue of what the store holds then; whoever has taken the old one
//! keeps it. So a running server knows what it would know after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_sandbox::provider::{Asks, BindError, ProviderBinding, ProviderComponent, ProviderRuntime};
use gavel_store::{KeptPlugins, PluginKind, PluginSource, PluginVersion};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::components::Components;
use super::grants::{Granted, Withheld};
use super::trust::Trust;
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

/// What is kept of a manifest, so that a version can be listed without being loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) summary: String,
    /// A policy's.
    #[serde(default)]
    pub(super) stages: Vec<Stage>,
    /// A provider's.
    #[serde(default)]
    pub(super) asks: Option<Asks>,
}

/// A version that is listed.
pub(super) struct Version {
    pub(super) digest: Hash,
    pub(super) name: String,
    pub(super) version: semver::Version,
    pub(super) kind: PluginKind,
    pub(super) source: PluginSource,
    pub(super) reference: Option<String>,
    pub(super) installed_at: i64,
    pub(super) about: About,
    pub(super) signed_by: Option<String>,
    /// Why the operator's keys say that it may not serve.
    distrusted: Option<String>,
}

impl Version {
    fn read(kept: &PluginVersion, trust: &Trust) -> Option<Self> {
        Some(Self {
            digest: kept.digest,
            name: kept.name.clone(),
            version: kept.version.parse().ok()?,
            kind: kept.kind,
            source: kept.source,
            reference: kept.reference.clone(),
            installed_at: kept.installed_at,
            about: serde_json::from_value(kept.manifest.clone()).ok()?,
            signed_by: kept.signed_by.clone(),
            distrusted: (kept.source != PluginSource::Bundled)
                .then(|| trust.still_accepts(kept.signed_by.as_deref()).err().map(|why| why.to_string()))
                .flatten(),
        })
    }

    /// Whether a file in the watched directory gave it.
    pub(super) fn is_from_file(&self, file: &str) -> bool {
        self.source == PluginSource::Directory && self.reference.as_deref() == Some(file)
    }

    fn asks(&self) -> Option<&Asks> {
        self.about.asks.as_ref()
    }
}

/// Whether a version serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It serves whoever follows its name or pins it.
    #[default]
    Serving,
    /// It asks for more than is granted.
    Pending,
    /// It cannot serve, for this reason.
    Refused(String),
}

/// All versions that are listed, and the providers that can serve.
#[derive(Default)]
pub(super) struct Catalogue {
    /// Differs between any two catalogues of a server.
    pub(super) generation: u64,
    /// Versions that are not signed as they have to be, listed or not.
    distrusted: BTreeSet<Hash>,
    /// By name, each from the oldest to the newest: by semantic version, then by the time of installation.
    plugins: BTreeMap<String, Vec<Arc<Version>>>,
    granted: BTreeMap<String, Granted>,
    /// Of providers' versions that do not serve.
    standings: BTreeMap<Hash, Standing>,
    /// Providers that can serve, by their configured names.
    pub(super) providers: BTreeMap<String, Arc<Provider>>,
    /// Configured providers of which no version takes the configuration, and why.
    pub(super) unbound: BTreeMap<String, String>,
}

impl Catalogue {
    /// What the store holds. No provider serves yet.
    pub(super) fn of(kept: &KeptPlugins, trust: &Trust) -> Self {
        let mut catalogue = Self { generation: kept.generation, ..Self::default() };
        for (name, grant) in &kept.grants {
            catalogue.granted.entry(name.clone()).or_default().approved = grant.clone();
        }
        for row in &kept.versions {
            let Some(version) = Version::read(row, trust) else {
                tracing::error!(plugin = row.name, digest = row.digest.tagged(), "a version cannot be read");
                continue;
            };
            if let (PluginSource::Bundled, Some(asks)) = (version.source, version.asks()) {
                catalogue.granted.entry(version.name.clone()).or_default().bundled.push(asks.clone());
            }
            if version.distrusted.is_some() {
                catalogue.distrusted.insert(version.digest);
            }
            if row.listed {
                catalogue.plugins.entry(version.name.clone()).or_default().push(Arc::new(version));
            }
        }
        for versions in catalogue.plugins.values_mut() {
            versions.sort_by(|a, b| {
                let installed = (a.installed_at, a.digest).cmp(&(b.installed_at, b.digest));
                a.version.cmp_precedence(&b.version).then(installed)
            });
        }
        catalogue
    }

    /// All listed versions.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.plugins.values().flatten()
    }

    /// How many versions are listed.
    pub(super) fn len(&self) -> usize {
        self.plugins.values().map(Vec::len).sum()
    }

    /// The versions of each name, from the newest to the oldest.
    pub(super) fn names(&self) -> impl Iterator<Item = impl Iterator<Item = &Arc<Version>>> {
        self.plugins.values().map(|versions| versions.iter().rev())
    }

    /// The versions of one name, from the newest to the oldest.
    pub(super) fn versions_of(&self, name: &str) -> impl Iterator<Item = &Arc<Version>> {
        self.plugins.get(name).into_iter().flatten().rev()
    }

    /// The listed version with this digest.
    pub(super) fn version(&self, digest: &Hash) -> Option<&Arc<Version>> {
        self.versions().find(|version| version.digest == *digest)
    }

    /// Whether a version, listed or not, is not signed as it has to be.
    pub(super) fn distrusts(&self, digest: &Hash) -> bool {
        self.distrusted.contains(digest)
    }

    /// The policy that a binding names: `pii`, `pii@1.2.0` or `pii@sha256:<hex>`.
    pub(super) fn policy(&self, named: &str) -> Option<&Arc<Version>> {
        let (name, pin) = split(named);
        let able = |version: &&Arc<Version>| version.kind == PluginKind::Policy && version.distrusted.is_none();
        let mut newest_first = self.versions_of(name).filter(able);
        match pin {
            None => newest_first.next(),
            Some(pin) => newest_first.find(|version| is_pinned(version, pin)),
        }
    }

    /// The digests of the policies that bindings without a pin follow.
    pub(super) fn followed_policies(&self) -> impl Iterator<Item = Hash> {
        let newest =
            self.plugins.values().filter_map(|versions| versions.iter().rfind(|version| version.distrusted.is_none()));
        newest.filter(|version| version.kind == PluginKind::Policy).map(|version| version.digest)
    }

    pub(super) fn granted(&self, name: &str) -> Granted {
        self.granted.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn standing(&self, version: &Version) -> Standing {
        match &version.distrusted {
            Some(why) => Standing::Refused(why.clone()),
            None => self.standings.get(&version.digest).cloned().unwrap_or_default(),
        }
    }

    /// Binds each configured provider to the newest version of its plugin that is granted what it asks for and takes the
    /// configuration. What `old` has bound alike is taken over.
    pub(super) async fn serve(
        &mut self,
        configured: &BTreeMap<String, ProviderConfig>,
        runtime: &ProviderRuntime,
        components: &Components,
        old: &Self,
    ) {
        self.note_what_is_pending(configured);
        let mut loaded = BTreeMap::new();
        for (name, config) in configured {
            let granted = self.granted(&config.plugin);
            let mut fault = None;
            for version in self.versions_of(&config.plugin).cloned().collect::<Vec<_>>() {
                if version.distrusted.is_some() {
                    continue;
                }
                let Some(Ok(grant)) = version.asks().map(|asks| granted.of(asks, config)) else { continue };
                let same = old.providers.get(name).filter(|provider| {
                    provider.binding.component().digest() == version.digest && *provider.binding.grant() == grant
                });
                let bound = match same {
                    Some(provider) => Ok(Arc::clone(provider)),
                    None => match load(runtime, components, &mut loaded, &version).await {
                        Ok(component) => {
                            let bound = runtime.bind(component, &config.config.to_string(), grant).await;
                            bound.map(|binding| Arc::new(provider(binding, config))).map_err(|error| describe(&error))
                        }
                        Err(error) => Err(error),
                    },
                };
                match bound {
                    Ok(provider) => {
                        self.providers.insert(name.clone(), provider);
                        break;
                    }
                    Err(detail) => {
                        let detail = format!("the provider {name} of the configuration: {detail}");
                        self.standings.insert(version.digest, Standing::Refused(detail.clone()));
                        fault.get_or_insert(detail);
                    }
                }
            }
            if let (Some(fault), false) = (fault, self.providers.contains_key(name)) {
                self.unbound.insert(name.clone(), fault);
            }
        }
    }

    /// A version waits where one of the providers that it is for may not have it yet.
    fn note_what_is_pending(&mut self, configured: &BTreeMap<String, ProviderConfig>) {
        let nobody = ProviderConfig::default();
        let mut standings = BTreeMap::new();
        for version in self.versions() {
            let Some(asks) = version.asks() else { continue };
            let granted = self.granted(&version.name);
            let configs = of_plugin(configured, &version.name).collect::<Vec<_>>();
            let configs = if configs.is_empty() { vec![&nobody] } else { configs };
            let withheld = configs.into_iter().find_map(|config| granted.of(asks, config).err());
            match withheld {
                Some(Withheld::Ungranted) => standings.insert(version.digest, Standing::Pending),
                Some(Withheld::Impossible(error)) => {
                    standings.insert(version.digest, Standing::Refused(error.to_string()))
                }
                None => None,
            };
        }
        self.standings = standings;
    }
}

/// The configurations that name a plugin.
pub(super) fn of_plugin<'a>(
    configured: &'a BTreeMap<String, ProviderConfig>,
    plugin: &str,
) -> impl Iterator<Item = &'a ProviderConfig> {
    configured.values().filter(move |config| config.plugin == plugin)
}

/// A binding's words: the name, and what it is pinned to.
pub(super) fn split(named: &str) -> (&str, Option<&str>) {
    named.split_once('@').map_or((named, None), |(name, pin)| (name, Some(pin)))
}

/// Whether a binding's pin, a version or a digest, is this version.
pub(super) fn is_pinned(version: &Version, pin: &str) -> bool {
    version.version.to_string() == pin || version.digest.tagged() == pin
}

async fn load(
    runtime: &ProviderRuntime,
    components: &Components,
    loaded: &mut BTreeMap<Hash, Arc<ProviderComponent>>,
    version: &Version,
) -> Result<Arc<ProviderComponent>, String> {
    if let Some(component) = loaded.get(&version.digest) {
        return Ok(Arc::clone(component));
    }
    let bytes = components.bytes(version.digest).await.map_err(|error| error.to_string())?;
    let component = Arc::new(runtime.load(&bytes).await.map_err(|error| error.to_string())?);
    loaded.insert(version.digest, Arc::clone(&component));
    Ok(component)
}

fn provider(binding: ProviderBinding, config: &ProviderConfig) -> Provider {
    let key = config.api_key_env.as_ref().and_then(|name| std::env::var(name).ok());
    let operator_key = key.filter(|key| !key.is_empty()).map(SecretString::from);
    Provider { binding: Arc::new(binding), operator_key }
}

fn describe(error: &BindError) -> String {
    match error {
        BindError::Config(faults) => format!("{error}: {}", super::error::places(faults)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::TrustConfig;

    fn row(version: &str, at: i64) -> PluginVersion {
        PluginVersion {
            digest: Hash::of(format!("{version} {at}").as_bytes()),
            name: "tone".into(),
            version: version.into(),
            kind: PluginKind::Policy,
            source: PluginSource::Upload,
            reference: None,
            installed_at: at,
            listed: true,
            manifest: json!({"summary": "", "stages": ["input"]}),
            signed_by: None,
        }
    }

    fn found(rows: &[PluginVersion], named: &str) -> Option<(String, i64)> {
        let kept = KeptPlugins { versions: rows.to_vec(), ..KeptPlugins::default() };
        let trust = Trust::open(&TrustConfig::default()).unwrap();
        let catalogue = Catalogue::of(&kept, &trust);
        catalogue.policy(named).map(|version| (version.version.to_string(), version.installed_at))
    }

    #[test]
    fn the_newest_is_the_highest_version_and_of_alike_ones_the_last_installed() {
        let rows = [row("1.10.0", 1), row("1.9.0", 9), row("1.10.0-rc.1", 5), row("1.10.0+build", 3)];
        assert_eq!(found(&rows, "tone"), Some(("1.10.0+build".into(), 3)));
        assert_eq!(found(&rows, "tone@1.9.0"), Some(("1.9.0".into(), 9)));
        let digest = rows[2].digest.tagged();
        assert_eq!(found(&rows, &format!("tone@{digest}")), Some(("1.10.0-rc.1".into(), 5)));
        assert_eq!(found(&rows, &format!("other@{digest}")), None);
        assert_eq!(found(&rows, "tone@2.0.0"), None);
    }

    #[test]
    fn what_is_not_listed_is_not_found() {
        let rows = [row("1.0.0", 1), PluginVersion { listed: false, ..row("2.0.0", 2) }];
        assert_eq!(found(&rows, "tone"), Some(("1.0.0".into(), 1)));
        assert_eq!(found(&rows, "tone@2.0.0"), None);
    }
}
