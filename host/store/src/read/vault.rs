//! Reading vaults.

use super::MAX_PAGE;
use crate::error::StoreError;
use crate::id::AgentId;
use crate::store::Store;
use crate::vault_key::VaultKey;
use crate::{row, tables};

impl Store {
    /// An agent's key for a provider.
    ///
    /// # Errors
    /// As of every read.
    pub fn vault_key(&self, agent: &AgentId, provider: &str) -> Result<Option<VaultKey>, StoreError> {
        self.disk().read(|transaction| {
            tables::row(&transaction.open_table(tables::VAULT_KEYS)?, (agent.key(), provider), "vault_keys")
        })
    }

    /// An agent's keys by their providers' names; at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn vault_keys(&self, agent: &AgentId) -> Result<Vec<VaultKey>, StoreError> {
        let agent = agent.key();
        self.disk().read(|transaction| {
            let keys = transaction.open_table(tables::VAULT_KEYS)?;
            let mut found = Vec::new();
            for entry in keys.range((agent, "")..)?.take(MAX_PAGE) {
                let (key, bytes) = entry?;
                if key.value().0 != agent {
                    break;
                }
                found.push(row::decode("vault_keys", bytes.value())?);
            }
            Ok(found)
        })
    }
}
