//! Removing the bytes of components that nobody can come by any more: those that are not listed and that no binding is
//! pinned to. What they judged is then on record and can no longer be computed again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gavel_log::Hash;
use gavel_store::{MAX_PAGE, Store, StoreError, VerdictFilter};

use super::catalogue::split;
use super::{PluginError, Plugins};

/// A component whose bytes are removed.
#[derive(Clone, Debug)]
pub struct Purged {
    /// Its digest.
    pub digest: Hash,
    /// Name and version, where they are known.
    pub version: Option<(String, String)>,
    /// The records that name it.
    pub records: Records,
}

/// Records that name a component.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records {
    /// How many.
    pub count: u64,
    /// The oldest one's leaf, and the newest one's.
    pub leaves: Option<(Hash, Hash)>,
}

impl Plugins {
    /// Removes the bytes that nobody can come by any more, or tells which they are.
    ///
    /// # Errors
    /// If the store or the archive fails. What was removed before stays so.
    pub async fn purge(self: &Arc<Self>, remove: bool) -> Result<Vec<Purged>, PluginError> {
        let plugins = Arc::clone(self);
        let purging = self.tasks.spawn(async move { plugins.purge_alone(remove).await });
        purging.await.unwrap_or_else(|error| Err(PluginError::Engine(error.to_string())))
    }

    async fn purge_alone(self: Arc<Self>, remove: bool) -> Result<Vec<Purged>, PluginError> {
        // The log may be long: nobody who installs has to wait while it is read.
        let unneeded = self.unneeded().await?;
        let (store, wanted) = (self.store.clone(), unneeded.clone());
        let records = blocking(move || records_of(&store, &wanted)).await??;
        let _changing = self.changes.lock().await;
        let still = if remove { self.unneeded().await? } else { unneeded.clone() };
        let known = self.store.plugins()?.versions;
        let mut purged = Vec::new();
        for digest in unneeded.intersection(&still) {
            if remove {
                self.components.remove(*digest).await?;
                tracing::info!(digest = digest.tagged(), "a component's bytes are removed");
            }
            let version = known.iter().find(|row| row.digest == *digest);
            purged.push(Purged {
                digest: *digest,
                version: version.map(|row| (row.name.clone(), row.version.clone())),
                records: records.get(digest).copied().unwrap_or_default(),
            });
        }
        Ok(purged)
    }

    /// What is in the archive, not on the list, and not what a binding is pinned to.
    async fn unneeded(self: &Arc<Self>) -> Result<BTreeSet<Hash>, PluginError> {
        let plugins = Arc::clone(self);
        blocking(move || {
            let catalogue = plugins.catalogue();
            let mut unneeded = plugins.components.archived()?;
            unneeded.retain(|digest| catalogue.version(digest).is_none());
            if !unneeded.is_empty() {
                for binding in &plugins.operators_bindings {
                    keep_pinned(&mut unneeded, &binding.policy);
                }
                keep_bound(&plugins.store, &mut unneeded)?;
            }
            Ok(unneeded)
        })
        .await?
    }
}

/// In pages: there may be many agents, and a long read keeps old pages alive.
fn keep_bound(store: &Store, unneeded: &mut BTreeSet<Hash>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.bindings_of_all(after.as_ref(), MAX_PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        let bindings = page.iter().flat_map(|(_, bindings)| bindings);
        bindings.for_each(|binding| keep_pinned(unneeded, &binding.policy));
    }
}

fn keep_pinned(unneeded: &mut BTreeSet<Hash>, binding: &str) {
    if let Some(pinned) = split(binding).1.and_then(|pin| Hash::parse_tagged(pin).ok()) {
        unneeded.remove(&pinned);
    }
}

/// The records that name these components, from the newest to the oldest.
fn records_of(store: &Store, components: &BTreeSet<Hash>) -> Result<BTreeMap<Hash, Records>, StoreError> {
    let mut found = BTreeMap::<Hash, Records>::new();
    let (everything, mut below) = (VerdictFilter::default(), None);
    if components.is_empty() {
        return Ok(found);
    }
    loop {
        let page = store.verdicts(&everything, below, MAX_PAGE)?;
        for row in &page.rows {
            let named: BTreeSet<_> = row.record.verdicts.iter().map(|verdict| verdict.component).collect();
            for component in named.intersection(components) {
                let records = found.entry(*component).or_default();
                records.count += 1;
                let newest = records.leaves.map_or(row.leaf_hash, |(_, newest)| newest);
                records.leaves = Some((row.leaf_hash, newest));
            }
        }
        below = page.below;
        if below.is_none() {
            return Ok(found);
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PluginError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PluginError::Engine(error.to_string()))
}
