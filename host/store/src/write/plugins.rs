//! Writing what is installed and granted. Each change raises the generation of the catalogue.

use gavel_log::Hash;
use redb::{ReadableTable, ReadableTableMetadata as _};

use super::batch::Batch;
use super::job::Staged;
use crate::error::StoreError;
use crate::plugin::{MAX_PLUGIN_VERSIONS, PluginChange, PluginGrant, PluginVersion};
use crate::store::{SMALL_WRITE, Store};
use crate::tables::PLUGINS_GENERATION;
use crate::{row, tables};

/// Versions that are forgotten at once when there are too many.
const FORGOTTEN: usize = 1024;

impl Store {
    /// Changes what is installed, and gives the generation that begins with it. The same change again does no harm.
    ///
    /// # Errors
    /// The writer's.
    pub async fn change_plugins(&self, change: PluginChange) -> Result<u64, StoreError> {
        let weight = SMALL_WRITE * (1 + change.list.len() + change.unlist.len());
        self.submit(weight, move |batch| change_plugins(batch, &change)).await
    }

    /// Grants the providers of a name these origins and credentials, instead of what they were granted before. Gives the
    /// generation that begins with it.
    ///
    /// # Errors
    /// The writer's.
    pub async fn put_plugin_grant(&self, name: &str, grant: PluginGrant) -> Result<u64, StoreError> {
        let name = name.to_owned();
        self.submit(SMALL_WRITE, move |batch| {
            batch.tables.plugin_grants()?.insert(name.as_str(), row::encode(&grant)?.as_slice())?;
            Ok(Staged::changed(next_generation(batch)?))
        })
        .await
    }
}

fn change_plugins(batch: &mut Batch<'_>, change: &PluginChange) -> Result<Staged<u64>, StoreError> {
    for digest in &change.unlist {
        let known: Option<PluginVersion> = tables::row(batch.tables.plugins()?, digest.as_bytes(), "plugins")?;
        if let Some(version) = known {
            put(batch, &PluginVersion { listed: false, ..version })?;
        }
    }
    for version in &change.list {
        put(batch, version)?;
    }
    if batch.tables.plugins()?.len()? > MAX_PLUGIN_VERSIONS {
        forget_unlisted(batch)?;
    }
    Ok(Staged::changed(next_generation(batch)?))
}

fn put(batch: &mut Batch<'_>, version: &PluginVersion) -> Result<(), StoreError> {
    batch.tables.plugins()?.insert(version.digest.as_bytes(), row::encode(version)?.as_slice())?;
    Ok(())
}

/// Forgets the oldest versions that are not listed: only what they were called, since their bytes are kept elsewhere.
fn forget_unlisted(batch: &mut Batch<'_>) -> Result<(), StoreError> {
    let mut unlisted: Vec<(i64, Hash)> = Vec::new();
    for entry in batch.tables.plugins()?.iter()? {
        let version: PluginVersion = row::decode("plugins", entry?.1.value())?;
        if !version.listed {
            unlisted.push((version.installed_at, version.digest));
        }
    }
    unlisted.sort_unstable();
    for (_, digest) in unlisted.into_iter().take(FORGOTTEN) {
        batch.tables.plugins()?.remove(digest.as_bytes())?;
    }
    Ok(())
}

fn next_generation(batch: &mut Batch<'_>) -> Result<u64, StoreError> {
    let generations = batch.tables.generations()?;
    let next = generations.get(PLUGINS_GENERATION)?.map_or(0, |generation| generation.value()) + 1;
    generations.insert(PLUGINS_GENERATION, next)?;
    Ok(next)
}
