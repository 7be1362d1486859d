//! Commands about plugins: the words of the plugins' own room, for people at a command line.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavel_log::Hash;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;
use gavel_store::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::Answer;
use crate::clock::rfc3339_ms;
use crate::config::Config;
use crate::plugins::trust::{Evidence, MAX_SIGNATURE_BYTES};
use crate::plugins::{
    ApproveError, InstallError, PluginError, PluginStatus, Plugins, Purged, RetireError, Source, kind_name, source_name,
};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::vault::{RotateError, Vault};

/// A version of a plugin as an operator sees it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSummary {
    /// Its name; of a file that never was a plugin the file's own.
    pub name: String,
    /// `policy` or `provider`, where that is known.
    pub kind: Option<String>,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// `sha256:` and the digest of its bytes, where they could be read.
    pub digest: Option<String>,
    /// Where it came from.
    pub source: String,
    /// What the source calls it.
    pub reference: Option<String>,
    /// `serving`, `pending` or `refused`.
    pub state: String,
    /// The key that signed it.
    pub signed_by: Option<String>,
    /// Why it cannot serve.
    pub error: Option<String>,
    /// When it was installed, as RFC 3339.
    pub installed_at: Option<String>,
}

impl From<PluginStatus> for PluginSummary {
    fn from(status: PluginStatus) -> Self {
        Self {
            name: status.name,
            kind: status.kind.map(|kind| kind_name(kind).to_owned()),
            version: status.version,
            digest: status.digest.map(|digest| digest.tagged()),
            source: source_name(status.source).to_owned(),
            reference: status.reference,
            state: status.state.as_str().to_owned(),
            signed_by: status.signed_by,
            error: status.error,
            installed_at: status.installed_at.map(rfc3339_ms),
        }
    }
}

/// A component whose bytes are removed, or would be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgedPlugin {
    /// `sha256:` and the digest of its bytes.
    pub digest: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// How many records name it: they can no longer be computed again.
    pub records: u64,
    /// The leaf hashes of the oldest and the newest of them.
    pub leaves: Option<[String; 2]>,
}

impl From<Purged> for PurgedPlugin {
    fn from(Purged { digest, version, records }: Purged) -> Self {
        let (name, version) = version.unzip();
        let leaves = records.leaves.map(|(oldest, newest)| [oldest.tagged(), newest.tagged()]);
        Self { digest: digest.tagged(), name, version, records: records.count, leaves }
    }
}

/// The plugins of an installation: the running server's, or opened when a command first asks for them.
#[derive(Clone)]
pub struct PluginsAtHand(Arc<Place>);

enum Place {
    Server(Arc<Plugins>),
    Installation { config: Arc<Config>, store: Store, tasks: Tasks, opened: OnceCell<Arc<Plugins>> },
}

/// Why a command about plugins was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum PluginsError {
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Approve(#[from] ApproveError),
    #[error(transparent)]
    Retire(#[from] RetireError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("there is no plugin {0}")]
    Unknown(String),
    #[error("{name} has {versions} versions: name one, {name}@VERSION")]
    Several { name: String, versions: usize },
    #[error(transparent)]
    Plugins(#[from] PluginError),
    #[error("the vault: {0}")]
    Vault(#[from] RotateError),
}

impl PluginsError {
    /// Whether nothing is wrong with the installation itself.
    fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Install(InstallError::Failed(_))
                | Self::Approve(ApproveError::Failed(_))
                | Self::Retire(RetireError::Failed(_))
                | Self::Plugins(_)
                | Self::Vault(_)
        )
    }
}

impl PluginsAtHand {
    /// Those of the server that this is.
    #[must_use]
    pub fn of_server(plugins: Arc<Plugins>) -> Self {
        Self(Arc::new(Place::Server(plugins)))
    }

    /// Those of an installation without a server.
    #[must_use]
    pub fn of_installation(config: Arc<Config>, store: Store, tasks: Tasks) -> Self {
        Self(Arc::new(Place::Installation { config, store, tasks, opened: OnceCell::new() }))
    }

    async fn get(&self) -> Result<&Arc<Plugins>, PluginsError> {
        match &*self.0 {
            Place::Server(plugins) => Ok(plugins),
            Place::Installation { config, store, tasks, opened } => {
                let open = || async {
                    let vault = Vault::existing(config).map_err(RotateError::from)?;
                    vault.settle(store).await?;
                    let code_key = vault.machine_code_key();
                    let metrics = Arc::<Metrics>::default();
                    Ok(Plugins::open(config, code_key, store.clone(), tasks.clone(), metrics).await?)
                };
                opened.get_or_try_init(open).await
            }
        }
    }

    /// Installs the component of a file, with the signature that another one holds.
    pub(super) async fn install(&self, file: PathBuf, signature: Option<PathBuf>) -> Result<Answer, PluginsError> {
        let evidence = match signature {
            Some(path) => Evidence::Detached(read(path, MAX_SIGNATURE_BYTES).await?),
            None => Evidence::None,
        };
        let bytes = read(file, MAX_COMPONENT_BYTES as u64).await?;
        let installed = self.get().await?.install(bytes.into(), Source::Upload, evidence).await?;
        Ok(Answer::Plugin { plugin: installed.status.into() })
    }

    /// Installs what a registry has.
    pub(super) async fn pull(&self, reference: &str) -> Result<Answer, PluginsError> {
        let installed = self.get().await?.pull(reference).await?;
        Ok(Answer::Plugin { plugin: installed.status.into() })
    }

    pub(super) async fn list(&self) -> Result<Answer, PluginsError> {
        let plugins = self.get().await?.list();
        Ok(Answer::Plugins { plugins: plugins.into_iter().map(PluginSummary::from).collect() })
    }

    /// Removes the bytes of components that nobody can come by any more.
    pub(super) async fn purge(&self, dry_run: bool) -> Result<Answer, PluginsError> {
        let purged = self.get().await?.purge(!dry_run).await?;
        Ok(Answer::Purged { plugins: purged.into_iter().map(PurgedPlugin::from).collect() })
    }

    /// Takes a version off the list, and tells which one it was.
    pub(super) async fn remove(&self, named: &str) -> Result<Answer, PluginsError> {
        let plugins = self.get().await?;
        let (name, pin) = split(named);
        let mut found = found(plugins, name, pin)?;
        let (Some(status), true) = (found.pop(), found.is_empty()) else {
            return Err(PluginsError::Several { name: name.to_owned(), versions: found.len() + 1 });
        };
        let digest = status.digest.ok_or_else(|| PluginsError::Unknown(named.to_owned()))?;
        plugins.retire(name, digest).await?;
        Ok(Answer::Plugin { plugin: status.into() })
    }

    /// Grants what a version asks for: the newest that waits, where none is named.
    pub(super) async fn approve(&self, named: &str) -> Result<Answer, PluginsError> {
        let plugins = self.get().await?;
        let (name, pin) = split(named);
        let digest: Option<Hash> = match pin {
            Some(_) => found(plugins, name, pin)?.into_iter().find_map(|status| status.digest),
            None => None,
        };
        let approved = plugins.approve(name, digest).await?;
        Ok(Answer::Plugin { plugin: approved.status.into() })
    }
}

/// A name, and the version or digest behind it.
fn split(named: &str) -> (&str, Option<&str>) {
    named.split_once('@').map_or((named, None), |(name, pin)| (name, Some(pin)))
}

/// The versions that are meant; at least one.
fn found(plugins: &Plugins, name: &str, pin: Option<&str>) -> Result<Vec<PluginStatus>, PluginsError> {
    let meant = |status: &PluginStatus| {
        let is = |pin: &str| {
            status.version.as_deref() == Some(pin) || status.digest.is_some_and(|digest| digest.tagged() == pin)
        };
        pin.is_none_or(is)
    };
    let found: Vec<_> = plugins.versions(name).unwrap_or_default().into_iter().filter(meant).collect();
    if found.is_empty() {
        let pin = pin.map_or_else(String::new, |pin| format!("@{pin}"));
        return Err(PluginsError::Unknown(format!("{name}{pin}")));
    }
    Ok(found)
}

/// Reads a file of at most so many bytes, on a thread that may wait for the disk.
async fn read(path: PathBuf, max: u64) -> Result<Vec<u8>, PluginsError> {
    let place = path.clone();
    let read = tokio::task::spawn_blocking(move || bounded(&path, max)).await;
    let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
    read.map_err(|source| PluginsError::File { path: place, source })
}

fn bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    // What is no file may never end, or never begin.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {max} bytes")));
    }
    Ok(bytes)
}

/// The answer to a request, or why there is none.
pub(super) fn answered(outcome: Result<Answer, PluginsError>) -> Answer {
    match outcome {
        Ok(answer) => answer,
        Err(error) if error.is_refusal() => Answer::Refused { reason: error.to_string() },
        Err(error) => {
            tracing::error!(%error, "an operator's request failed");
            Answer::Failed { reason: error.to_string() }
        }
    }
}
