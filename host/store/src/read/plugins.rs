//! Reading what is installed and granted, and what agents bind of it.

use std::ops::Bound;

use redb::ReadableTable as _;

use super::MAX_PAGE;
use crate::agent::{AgentProfile, Binding};
use crate::error::StoreError;
use crate::id::AgentId;
use crate::plugin::{KeptPlugins, PluginVersion};
use crate::store::Store;
use crate::{row, tables};

impl Store {
    /// All that is kept of plugins, as it stood at one moment.
    ///
    /// # Errors
    /// As of every read.
    pub fn plugins(&self) -> Result<KeptPlugins, StoreError> {
        self.disk().read(|transaction| {
            let generations = transaction.open_table(tables::GENERATIONS)?;
            let generation = generations.get(tables::PLUGINS_GENERATION)?.map_or(0, |generation| generation.value());
            let versions = transaction.open_table(tables::PLUGINS)?;
            let versions = versions.iter()?.map(|entry| row::decode::<PluginVersion>("plugins", entry?.1.value()));
            let grants = transaction.open_table(tables::PLUGIN_GRANTS)?;
            let grants = grants.iter()?.map(|entry| {
                let (name, grant) = entry?;
                Ok((name.value().to_owned(), row::decode("plugin_grants", grant.value())?))
            });
            Ok(KeptPlugins {
                generation,
                versions: versions.collect::<Result<_, StoreError>>()?,
                grants: grants.collect::<Result<_, StoreError>>()?,
            })
        })
    }

    /// What agents bind, all of them, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn bindings_of_all(
        &self,
        after: Option<&AgentId>,
        limit: usize,
    ) -> Result<Vec<(AgentId, Vec<Binding>)>, StoreError> {
        let first = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.key()));
        self.disk().read(|transaction| {
            let agents = transaction.open_table(tables::AGENTS)?;
            let page = agents.range((first, Bound::Unbounded))?.take(limit.min(MAX_PAGE));
            page.map(|entry| {
                let (id, profile) = entry?;
                let profile: AgentProfile = row::decode("agents", profile.value())?;
                Ok((AgentId::from_key(id.value()), profile.policies))
            })
            .collect()
        })
    }
}
