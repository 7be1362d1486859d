//! Deleting a version: it is no longer listed. Its bytes stay, since records name them.

use std::sync::Arc;

use gavel_log::Hash;
use gavel_store::{AgentId, MAX_PAGE, PluginChange, PluginKind, PluginSource, Store, StoreError};

use super::catalogue::{Catalogue, Version, is_pinned, split};
use super::{PluginError, Plugins};

/// Why a version is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// There is no such version.
    #[error("there is no such version")]
    Unknown,
    /// Something relies on it.
    #[error("it is bound: {0}")]
    Bound(String),
    /// It would be back at once.
    #[error("its file {0} is in the plugins' directory: remove the file instead")]
    InDirectory(String),
    /// A fault of the server's.
    #[error(transparent)]
    Failed(#[from] PluginError),
}

impl Plugins {
    /// Takes a version off the list, unless a binding is pinned to it or could follow no other.
    ///
    /// # Errors
    /// Why it stays.
    pub async fn retire(self: &Arc<Self>, name: &str, digest: Hash) -> Result<(), RetireError> {
        let (plugins, name) = (Arc::clone(self), name.to_owned());
        let retiring = self.tasks.spawn(async move { plugins.retire_alone(&name, digest).await });
        let broken_off = |error: tokio::task::JoinError| PluginError::Engine(error.to_string()).into();
        retiring.await.unwrap_or_else(|error| Err(broken_off(error)))
    }

    async fn retire_alone(&self, name: &str, digest: Hash) -> Result<(), RetireError> {
        let _changing = self.changes.lock().await;
        let catalogue = self.catalogue();
        let version = catalogue.version(&digest).filter(|version| version.name == name).ok_or(RetireError::Unknown)?;
        if version.source == PluginSource::Directory {
            return Err(RetireError::InDirectory(version.reference.clone().unwrap_or_default()));
        }
        if let Some(why) = self.relies_on(&catalogue, version).await? {
            return Err(RetireError::Bound(why));
        }
        tracing::info!(plugin = name, digest = digest.tagged(), "no longer listed");
        Ok(self.change(PluginChange { list: Vec::new(), unlist: vec![digest] }).await?)
    }

    /// What could not go on without a version.
    async fn relies_on(&self, catalogue: &Catalogue, version: &Version) -> Result<Option<String>, PluginError> {
        let others: Vec<_> =
            catalogue.versions_of(&version.name).filter(|other| other.digest != version.digest).collect();
        if version.kind == PluginKind::Provider {
            let served = catalogue.providers.iter().find(|(_, provider)| {
                let serving = provider.binding.component().digest() == version.digest;
                serving && !others.iter().any(|other| self.may_serve(catalogue, other))
            });
            return Ok(served.map(|(name, _)| format!("the provider {name} of the configuration has no other version")));
        }
        let others: Vec<_> = others.into_iter().cloned().collect();
        let (name, digest) = (version.name.clone(), version.digest);
        let number = version.version.to_string();
        let breaks = move |binding: &str| match split(binding) {
            (bound, _) if bound != name => false,
            (_, None) => others.is_empty(),
            (_, Some(pin)) if pin == digest.tagged() => true,
            (_, Some(pin)) => pin == number && !others.iter().any(|other| is_pinned(other, pin)),
        };
        if let Some(binding) = self.operators_bindings.iter().find(|binding| breaks(&binding.policy)) {
            return Ok(Some(format!("the configuration binds {}", binding.policy)));
        }
        let store = self.store.clone();
        let found = tokio::task::spawn_blocking(move || bound_by(&store, &breaks)).await;
        let found = found.map_err(|error| PluginError::Engine(error.to_string()))??;
        Ok(found.map(|agent| format!("the agent {agent} binds it")))
    }

    /// Whether any configured provider could go on with this version.
    fn may_serve(&self, catalogue: &Catalogue, version: &Version) -> bool {
        let granted = catalogue.granted(&version.name);
        let mut configs = super::catalogue::of_plugin(&self.configured, &version.name);
        version.about.asks.as_ref().is_some_and(|asks| configs.all(|config| granted.of(asks, config).is_ok()))
    }
}

/// An agent with a binding that breaks. In pages: there may be many agents, and a long read keeps old pages alive.
fn bound_by(store: &Store, breaks: &impl Fn(&str) -> bool) -> Result<Option<AgentId>, StoreError> {
    let mut after = None;
    loop {
        let page = store.bindings_of_all(after.as_ref(), MAX_PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(*last);
        let bound = page.iter().find(|(_, bindings)| bindings.iter().any(|binding| breaks(&binding.policy)));
        if let Some((agent, _)) = bound {
            return Ok(Some(*agent));
        }
    }
}
