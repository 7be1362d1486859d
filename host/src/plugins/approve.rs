//! An administrator's approval of what a provider asks for.

use std::sync::Arc;

use gavel_log::Hash;
use gavel_store::{PluginGrant, PluginKind};

use super::catalogue::{Standing, of_plugin};
use super::{PluginError, PluginStatus, Plugins, grants};

/// Why nothing was granted.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// There is no such plugin, or no such version of it.
    #[error("there is no such version")]
    Unknown,
    /// Policies have no capabilities.
    #[error("a policy asks for nothing, so there is nothing to approve")]
    Policy,
    /// A fault of the server's.
    #[error(transparent)]
    Failed(#[from] PluginError),
}

/// What was granted.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The version as it stands now.
    pub status: PluginStatus,
    /// All that it asks for, which is granted to its name from now on.
    pub granted: PluginGrant,
}

impl Plugins {
    /// Grants what a version asks for, the newest one that waits where none is named. It is granted to the plugin's name: a
    /// later version that asks for no more serves at once.
    ///
    /// # Errors
    /// If there is no such version, or the store fails.
    pub async fn approve(self: &Arc<Self>, name: &str, digest: Option<Hash>) -> Result<Approved, ApproveError> {
        let (plugins, name) = (Arc::clone(self), name.to_owned());
        let approving = self.tasks.spawn(async move { plugins.approve_alone(&name, digest).await });
        let broken_off = |error: tokio::task::JoinError| PluginError::Engine(error.to_string()).into();
        approving.await.unwrap_or_else(|error| Err(broken_off(error)))
    }

    async fn approve_alone(&self, name: &str, digest: Option<Hash>) -> Result<Approved, ApproveError> {
        let _changing = self.changes.lock().await;
        let catalogue = self.catalogue();
        let mut versions = catalogue.versions_of(name);
        let version = match digest {
            Some(digest) => versions.find(|version| version.digest == digest),
            None => {
                let waits = |version: &&Arc<_>| catalogue.standing(version) == Standing::Pending;
                catalogue.versions_of(name).find(waits).or_else(|| versions.next())
            }
        };
        let version = version.ok_or(ApproveError::Unknown)?;
        let (PluginKind::Provider, Some(asks)) = (version.kind, &version.about.asks) else {
            return Err(ApproveError::Policy);
        };
        let granted = grants::asked(asks, of_plugin(&self.configured, name));
        let whole = grants::joined(catalogue.granted(name).approved, granted.clone());
        tracing::info!(plugin = name, digest = version.digest.tagged(), origins = ?granted.origins, "approved");
        self.store.put_plugin_grant(name, whole).await.map_err(PluginError::from)?;
        self.refresh().await?;
        let status = self.status_of(&version.digest).ok_or(ApproveError::Unknown)?;
        Ok(Approved { status, granted })
    }
}
