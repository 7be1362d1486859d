//! Reading which master key wraps the data keys, and the data keys.

use std::ops::Bound;

use crate::agent::AgentProfile;
use crate::error::StoreError;
use crate::id::AgentId;
use crate::master_key::{MasterKeyState, WrappedDataKey};
use crate::row;
use crate::store::Store;
use crate::tables::{self, MASTER_KEY};

/// Most data keys of one page: an agent's row may have 64 KiB and more.
pub const MAX_DATA_KEYS: usize = 256;

impl Store {
    /// Which master key wraps the data keys; none where it was never noted.
    ///
    /// # Errors
    /// As of every read.
    pub fn master_key(&self) -> Result<Option<MasterKeyState>, StoreError> {
        self.disk()
            .read(|transaction| tables::row(&transaction.open_table(tables::VAULT_META)?, MASTER_KEY, "vault_meta"))
    }

    /// Agents' data keys in the order of the agents' making, from the one after `after` on; at most [`MAX_DATA_KEYS`].
    ///
    /// # Errors
    /// As of every read.
    pub fn data_keys(&self, after: Option<&AgentId>) -> Result<Vec<WrappedDataKey>, StoreError> {
        let first = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.key()));
        self.disk().read(|transaction| {
            let agents = transaction.open_table(tables::AGENTS)?;
            let rows = agents.range((first, Bound::Unbounded))?.take(MAX_DATA_KEYS);
            rows.map(|entry| {
                let (agent, bytes) = entry?;
                let profile: AgentProfile = row::decode("agents", bytes.value())?;
                let agent = AgentId::from_key(agent.value());
                Ok(WrappedDataKey { agent, wrapped: profile.wrapped_data_key })
            })
            .collect()
        })
    }
}
