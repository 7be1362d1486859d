//! Installing: one way for every source. All is checked before anything is visible, and what is wrong has a name.

use std::sync::Arc;

use gavel_log::Hash;
use gavel_sandbox::policy::{self, MAX_COMPONENT_BYTES, PolicyComponent};
use gavel_sandbox::provider::{self, BindError, Grant, ProviderComponent};
use gavel_sandbox::{Interfaces, NotAPlugin, World};
use gavel_store::{PluginChange, PluginKind, PluginSource, PluginVersion};

use super::catalogue::{About, Catalogue};
use super::oci::{OciError, Pulled};
use super::trust::{Evidence, SignatureError};
use super::{PluginError, PluginStatus, Plugins};
use crate::clock::now_ms;

/// Most versions that are listed at once.
const MAX_LISTED: usize = 4096;

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this name in the watched directory. Its newest bytes replace what it gave before, of whatever version.
    Directory(String),
    /// An administrator sent them.
    Upload,
    /// A registry gave them for this reference.
    Oci(String),
}

impl Source {
    fn kind(&self) -> PluginSource {
        match self {
            Self::Directory(_) => PluginSource::Directory,
            Self::Upload => PluginSource::Upload,
            Self::Oci(_) => PluginSource::Oci,
        }
    }

    fn reference(&self) -> Option<String> {
        match self {
            Self::Directory(reference) | Self::Oci(reference) => Some(reference.clone()),
            Self::Upload => None,
        }
    }
}

/// What came of installing.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The version.
    pub status: PluginStatus,
    /// SHA-256 of its bytes.
    pub digest: Hash,
    /// Whether it was not there before.
    pub new: bool,
}

/// Why bytes are not installed. What served before goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// More bytes than a component may have.
    #[error("the file has {0} bytes, and a component has at most {MAX_COMPONENT_BYTES}")]
    TooLarge(u64),
    /// No component for one of our worlds.
    #[error(transparent)]
    NotAPlugin(#[from] NotAPlugin),
    /// No policy that this server runs.
    #[error("{0}")]
    Policy(policy::LoadError),
    /// No provider that this server runs.
    #[error("{0}")]
    Provider(provider::LoadError),
    /// It failed when it was tried out.
    #[error("the trial run failed: {0}")]
    Trial(String),
    /// The version is another component already.
    #[error("{name} {version} is installed already with the digest {}, and a version never changes: give this one another", .digest.tagged())]
    VersionTaken {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
        /// What is installed.
        digest: Hash,
    },
    /// The name is that of another kind of plugin.
    #[error("the name {name} belongs to a {}", kind_name(*.kind))]
    NameTaken {
        /// The name.
        name: String,
        /// What has it.
        kind: PluginKind,
    },
    /// It could not be pulled.
    #[error(transparent)]
    Pull(#[from] OciError),
    /// It is not signed as it has to be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The operator's bindings would be served by it, and it does not take what they say.
    #[error("the configuration binds this policy, and this version does not take it: {0}")]
    Binding(String),
    /// There is no room for another version.
    #[error("{MAX_LISTED} versions are installed, which is as many as may be: delete some first")]
    TooMany,
    /// A fault of the server's.
    #[error(transparent)]
    Failed(#[from] PluginError),
}

impl InstallError {
    /// The stable code of `docs/api.md`'s table.
    #[must_use]
    pub fn code(&self) -> &'static str {
        use provider::ManifestError;
        match self {
            Self::TooLarge(_) => "payload_too_large",
            Self::NotAPlugin(NotAPlugin::NoWorld(_) | NotAPlugin::BothWorlds)
            | Self::Policy(policy::LoadError::WrongWorld(_))
            | Self::Provider(provider::LoadError::World(_)) => "plugin_wrong_world",
            Self::NotAPlugin(NotAPlugin::UnknownVersion(_)) => "plugin_wrong_version",
            Self::Policy(policy::LoadError::ForbiddenImport(_)) | Self::Provider(provider::LoadError::Import(_)) => {
                "plugin_forbidden_import"
            }
            Self::Policy(policy::LoadError::Schema(_))
            | Self::Provider(provider::LoadError::Manifest(ManifestError::Schema(_))) => "plugin_bad_schema",
            Self::Policy(policy::LoadError::Manifest(_)) | Self::Provider(provider::LoadError::Manifest(_)) => {
                "plugin_bad_manifest"
            }
            Self::Policy(policy::LoadError::Describe(_))
            | Self::Provider(provider::LoadError::Describe(_))
            | Self::Trial(_) => "plugin_failed_trial",
            Self::NotAPlugin(_) | Self::Policy(_) | Self::Provider(_) => "invalid_plugin",
            Self::VersionTaken { .. } => "plugin_version_taken",
            Self::NameTaken { .. } => "plugin_name_taken",
            Self::Pull(error) => error.code(),
            Self::Signature(SignatureError::Unsigned) => "plugin_unsigned",
            Self::Signature(_) => "plugin_signature_invalid",
            Self::Binding(_) => "plugin_breaks_binding",
            Self::TooMany => "too_many_plugins",
            Self::Failed(_) => "internal",
        }
    }
}

/// A kind's name, as the API has it.
#[must_use]
pub fn kind_name(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Policy => "policy",
        PluginKind::Provider => "provider",
    }
}

/// A component that passed every check of its own.
struct Candidate {
    digest: Hash,
    name: String,
    version: String,
    kind: PluginKind,
    about: About,
    policy: Option<Arc<PolicyComponent>>,
}

impl Plugins {
    /// Installs a component: checked, tried out, compiled and kept first, then visible to the next turn of every agent
    /// that follows its name. It goes on when the caller does not wait for it.
    ///
    /// # Errors
    /// What is wrong with it; what served before then goes on serving.
    pub async fn install(
        self: &Arc<Self>,
        bytes: Arc<[u8]>,
        source: Source,
        evidence: Evidence,
    ) -> Result<Installed, InstallError> {
        let plugins = Arc::clone(self);
        let from = source.kind();
        let installing = self.tasks.spawn(async move { plugins.install_alone(bytes, source, evidence).await });
        let broken_off = |error: tokio::task::JoinError| PluginError::Engine(error.to_string()).into();
        let outcome = installing.await.unwrap_or_else(|error| Err(broken_off(error)));
        self.count_install(from, &outcome);
        outcome
    }

    /// Installs what a registry has under a reference.
    ///
    /// # Errors
    /// Why it could not be pulled, or what is wrong with it.
    pub async fn pull(self: &Arc<Self>, reference: &str) -> Result<Installed, InstallError> {
        match self.registries.pull(reference, self.trust.verifies()).await {
            Ok(Pulled { bytes, manifest, source, signatures }) => {
                let evidence = Evidence::Registry { manifest, signatures };
                self.install(bytes.into(), Source::Oci(source), evidence).await
            }
            Err(error) => {
                let outcome = Err(error.into());
                self.count_install(PluginSource::Oci, &outcome);
                outcome
            }
        }
    }

    fn count_install(&self, from: PluginSource, outcome: &Result<Installed, InstallError>) {
        let word = match &outcome {
            Ok(Installed { new: true, .. }) => "installed",
            Ok(_) => "unchanged",
            Err(error) => error.code(),
        };
        self.metrics.plugin_install(source_name(from), word);
    }

    /// One at a time: so their compilers do not take every core from the chats.
    async fn install_alone(
        self: Arc<Self>,
        bytes: Arc<[u8]>,
        source: Source,
        evidence: Evidence,
    ) -> Result<Installed, InstallError> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(InstallError::TooLarge(bytes.len() as u64));
        }
        let signed_by = self.signer(&bytes, evidence).await?;
        let _changing = self.changes.lock().await;
        let digest = Hash::of(&bytes);
        let catalogue = self.catalogue();
        if catalogue.version(&digest).is_some() {
            return self.install_again(&catalogue, digest, &source, signed_by).await;
        }
        let candidate = self.examine(&bytes).await?;
        clashes(&catalogue, &candidate, &source)?;
        self.components.keep(bytes).await.map_err(PluginError::from)?;
        if let Some(policy) = &candidate.policy {
            self.serves_the_operator(&catalogue, policy).await?;
            self.components.insert(Arc::clone(policy));
        }
        let Candidate { digest, name, version, kind, about, .. } = candidate;
        tracing::info!(plugin = name, version, digest = digest.tagged(), ?source, "installing");
        let row = PluginVersion {
            digest,
            name,
            version,
            kind,
            source: source.kind(),
            reference: source.reference(),
            installed_at: now_ms(),
            listed: true,
            manifest: serde_json::to_value(&about).map_err(|error| PluginError::Engine(error.to_string()))?,
            signed_by,
        };
        let change = PluginChange { list: vec![row], unlist: replaced(&catalogue, digest, &source) };
        self.change(change).await?;
        self.installed(digest, true)
    }

    /// The same bytes again: they may have another source now, one that does not go with a file.
    async fn install_again(
        &self,
        catalogue: &Catalogue,
        digest: Hash,
        source: &Source,
        signed_by: Option<String>,
    ) -> Result<Installed, InstallError> {
        let mut change = PluginChange { list: Vec::new(), unlist: replaced(catalogue, digest, source) };
        let rows = self.store.plugins().map_err(PluginError::from)?.versions;
        if let Some(known) = rows.into_iter().find(|row| row.digest == digest) {
            let mut row = known.clone();
            if row.source == PluginSource::Directory && !matches!(source, Source::Directory(_)) {
                (row.source, row.reference) = (source.kind(), source.reference());
            }
            // A signature that was good stays good: whoever has none now takes nothing away.
            row.signed_by = signed_by.or(row.signed_by);
            change.list.extend((row != known).then_some(row));
        }
        if !(change.list.is_empty() && change.unlist.is_empty()) {
            self.change(change).await?;
        }
        self.installed(digest, false)
    }

    /// Who signed it, if it is signed as it has to be. Hashing it all takes a while, on a thread that may.
    async fn signer(self: &Arc<Self>, bytes: &Arc<[u8]>, evidence: Evidence) -> Result<Option<String>, InstallError> {
        let (plugins, bytes) = (Arc::clone(self), Arc::clone(bytes));
        let checked = tokio::task::spawn_blocking(move || plugins.trust.check(&bytes, &evidence)).await;
        Ok(checked.map_err(|error| PluginError::Engine(error.to_string()))??)
    }

    fn installed(&self, digest: Hash, new: bool) -> Result<Installed, InstallError> {
        let status = self.status_of(&digest).ok_or(PluginError::UnknownComponent(digest))?;
        Ok(Installed { status, digest, new })
    }

    /// Checks all that can be checked of a component alone.
    async fn examine(&self, bytes: &Arc<[u8]>) -> Result<Candidate, InstallError> {
        match Interfaces::of(bytes)?.world()? {
            World::Policy => {
                let policy = self.policies.load(Arc::clone(bytes)).await.map_err(InstallError::Policy)?;
                policy.try_out().await.map_err(|error| InstallError::Trial(error.to_string()))?;
                Ok(Candidate::policy(policy))
            }
            World::Provider => {
                let provider = Arc::new(self.providers.load(bytes).await.map_err(InstallError::Provider)?);
                self.try_provider(&provider).await?;
                Ok(Candidate::provider(&provider))
            }
        }
    }

    /// Configures a provider with `{}`, where its schema and it itself allow that. It is granted nothing.
    async fn try_provider(&self, provider: &Arc<ProviderComponent>) -> Result<(), InstallError> {
        let nothing = Grant { origins: Vec::new(), credential: None, allow_private: false };
        match self.providers.bind(Arc::clone(provider), "{}", nothing).await {
            Err(error @ BindError::Failed(_)) => Err(InstallError::Trial(error.to_string())),
            _ => Ok(()),
        }
    }
}

impl Candidate {
    pub(super) fn policy(policy: Arc<PolicyComponent>) -> Self {
        let manifest = &policy.manifest;
        Self {
            digest: policy.digest,
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            kind: PluginKind::Policy,
            about: About::policy(&policy),
            policy: Some(policy),
        }
    }

    pub(super) fn provider(provider: &ProviderComponent) -> Self {
        let manifest = provider.manifest();
        Self {
            digest: provider.digest(),
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            kind: PluginKind::Provider,
            about: About::provider(provider),
            policy: None,
        }
    }
}

impl About {
    pub(super) fn policy(policy: &PolicyComponent) -> Self {
        let manifest = &policy.manifest;
        Self { summary: manifest.summary.clone(), stages: manifest.stages.clone(), asks: None }
    }

    pub(super) fn provider(provider: &ProviderComponent) -> Self {
        let manifest = provider.manifest();
        Self { summary: manifest.summary.clone(), stages: Vec::new(), asks: Some(manifest.asks()) }
    }
}

/// What stands against a component that is fine by itself.
fn clashes(catalogue: &Catalogue, new: &Candidate, source: &Source) -> Result<(), InstallError> {
    if catalogue.len() >= MAX_LISTED {
        return Err(InstallError::TooMany);
    }
    // What the same file gives anew takes the place of what it gave before.
    let file = if let Source::Directory(file) = source { file } else { "" };
    let mut others = catalogue.versions_of(&new.name).filter(|other| !other.is_from_file(file));
    if let Some(other) = others.find(|other| other.kind != new.kind) {
        return Err(InstallError::NameTaken { name: new.name.clone(), kind: other.kind });
    }
    // A file is what someone works on: it may be built again under the same version.
    let taken = catalogue.versions_of(&new.name).find(|other| other.version.to_string() == new.version);
    match (taken, source) {
        (Some(taken), Source::Upload | Source::Oci(_)) => Err(InstallError::VersionTaken {
            name: new.name.clone(),
            version: new.version.clone(),
            digest: taken.digest,
        }),
        _ => Ok(()),
    }
}

/// What a file gave before.
fn replaced(catalogue: &Catalogue, digest: Hash, source: &Source) -> Vec<Hash> {
    let Source::Directory(file) = source else { return Vec::new() };
    let given = catalogue.versions().filter(|version| version.is_from_file(file) && version.digest != digest);
    given.map(|version| version.digest).collect()
}

/// A source's name, as the API and metrics have it.
#[must_use]
pub fn source_name(source: PluginSource) -> &'static str {
    match source {
        PluginSource::Bundled => "bundled",
        PluginSource::Directory => "directory",
        PluginSource::Upload => "upload",
        PluginSource::Oci => "oci",
    }
}
