//! Writing vaults.

use super::agents::read_head;
use super::batch::Batch;
use super::job::Staged;
use crate::error::StoreError;
use crate::id::AgentId;
use crate::store::{SMALL_WRITE, Store};
use crate::vault_key::{VaultKey, VaultKeyPut};
use crate::{row, tables};

impl Store {
    /// Puts a provider's key into an agent's vault, in the place of the one that it has for the same provider, whose
    /// `created_at` it takes over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the agent is gone, and the writer's.
    pub async fn put_vault_key(&self, agent: &AgentId, key: VaultKey) -> Result<VaultKeyPut, StoreError> {
        let agent = *agent;
        self.submit(SMALL_WRITE + key.sealed.len(), move |batch| put_vault_key(batch, agent, key)).await
    }

    /// Removes a provider's key from an agent's vault. Says whether there was one.
    ///
    /// # Errors
    /// The writer's.
    pub async fn remove_vault_key(&self, agent: &AgentId, provider: &str) -> Result<bool, StoreError> {
        let (agent, provider) = (*agent, provider.to_owned());
        self.submit(SMALL_WRITE, move |batch| remove_vault_key(batch, agent, &provider)).await
    }
}

/// Puts a key into an agent's vault, in the place of the one that it has for the same provider.
fn put_vault_key(batch: &mut Batch<'_>, agent: AgentId, key: VaultKey) -> Result<Staged<VaultKeyPut>, StoreError> {
    // An agent that is gone takes no more secrets.
    read_head(batch, agent)?;
    let provider = key.provider.clone();
    let place = (agent.key(), provider.as_str());
    let old: Option<VaultKey> = tables::row(batch.tables.vault_keys()?, place, "vault_keys")?;
    if let Some(old) = &old
        && old.sealed == key.sealed
    {
        let replaced = old.created_at != old.updated_at;
        return Ok(Staged::unchanged(VaultKeyPut { key: old.clone(), replaced }));
    }

    let created_at = old.as_ref().map_or(key.created_at, |old| old.created_at);
    let key = VaultKey { created_at, ..key };
    batch.tables.vault_keys()?.insert(place, row::encode(&key)?.as_slice())?;
    batch.keys_destroyed |= old.is_some();
    Ok(Staged::changed(VaultKeyPut { key, replaced: old.is_some() }))
}

/// Removes a key from an agent's vault. Says whether there was one.
fn remove_vault_key(batch: &mut Batch<'_>, agent: AgentId, provider: &str) -> Result<Staged<bool>, StoreError> {
    let removed = batch.tables.vault_keys()?.remove((agent.key(), provider))?.is_some();
    batch.keys_destroyed |= removed;
    Ok(if removed { Staged::changed(true) } else { Staged::unchanged(false) })
}
