//! Policies by their digest: those in use and the last ones that were asked for in memory, every other one in the archive.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use gavel_log::Hash;
use gavel_sandbox::policy::{PolicyComponent, PolicyRuntime};
use lru::LruCache;

use super::archive::{Archive, ArchiveError};
use super::{PluginError, lock};

/// Components that are kept loaded, some 4 MB each. A bound policy keeps its own besides.
const LOADED: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// The components that may be loaded, whether or not the catalogue lists them.
pub(super) struct Components {
    archive: Archive,
    runtime: Arc<PolicyRuntime>,
    loaded: Mutex<LruCache<Hash, Arc<PolicyComponent>>>,
    /// Held while one is loaded, which may cost a second of compiling: two callers must not pay for the same.
    loader: tokio::sync::Mutex<()>,
}

impl Components {
    pub(super) fn new(archive: Archive, runtime: Arc<PolicyRuntime>) -> Self {
        Self { archive, runtime, loaded: Mutex::new(LruCache::new(LOADED)), loader: tokio::sync::Mutex::new(()) }
    }

    /// Keeps bytes in the archive, on a thread that may wait for the disk.
    pub(super) async fn keep(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Hash, ArchiveError> {
        let archive = self.archive.clone();
        blocking(move || archive.keep(bytes.as_ref())).await
    }

    /// The bytes with this digest.
    pub(super) async fn bytes(&self, digest: Hash) -> Result<Vec<u8>, PluginError> {
        let archive = self.archive.clone();
        blocking(move || archive.read(&digest)).await?.ok_or(PluginError::UnknownComponent(digest))
    }

    /// The digests of all that is in the archive.
    pub(super) fn archived(&self) -> Result<BTreeSet<Hash>, ArchiveError> {
        self.archive.digests()
    }

    /// Removes the bytes with this digest from the archive, and forgets the policy.
    pub(super) async fn remove(&self, digest: Hash) -> Result<(), ArchiveError> {
        lock(&self.loaded).pop(&digest);
        let archive = self.archive.clone();
        blocking(move || archive.remove(&digest)).await
    }

    /// Takes in a policy that was loaded elsewhere.
    pub(super) fn insert(&self, component: Arc<PolicyComponent>) {
        lock(&self.loaded).put(component.digest, component);
    }

    /// The policy with this digest.
    pub(super) async fn policy(&self, digest: &Hash) -> Result<Arc<PolicyComponent>, PluginError> {
        if let Some(component) = self.loaded(digest) {
            return Ok(component);
        }
        let _loading = self.loader.lock().await;
        if let Some(component) = self.loaded(digest) {
            return Ok(component);
        }
        let bytes = self.bytes(*digest).await?;
        let loaded = self.runtime.load(bytes.into()).await;
        let component = loaded.map_err(|source| PluginError::Policy { name: digest.tagged(), source })?;
        self.insert(Arc::clone(&component));
        Ok(component)
    }

    fn loaded(&self, digest: &Hash) -> Option<Arc<PolicyComponent>> {
        lock(&self.loaded).get(digest).cloned()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
