//! Writing which master key wraps the data keys, and the data keys wrapped anew.

use super::batch::Batch;
use super::job::Staged;
use crate::agent::AgentProfile;
use crate::error::StoreError;
use crate::master_key::{MasterKeyState, RewrappedDataKey};
use crate::row;
use crate::store::{SMALL_WRITE, Store};
use crate::tables::{self, MASTER_KEY};

impl Store {
    /// Notes which master key wraps the agents' data keys.
    ///
    /// # Errors
    /// The writer's.
    pub async fn put_master_key(&self, state: MasterKeyState) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| put_master_key(batch, &state)).await
    }

    /// Replaces agents' data keys by the same ones wrapped anew, all in one transaction. One that is not as it was, or
    /// whose agent is gone, is left alone.
    ///
    /// # Errors
    /// The writer's.
    pub async fn rewrap_data_keys(&self, keys: Vec<RewrappedDataKey>) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE * keys.len().max(1), move |batch| rewrap_data_keys(batch, &keys)).await
    }
}

/// Notes which master key wraps the data keys.
fn put_master_key(batch: &mut Batch<'_>, state: &MasterKeyState) -> Result<Staged<()>, StoreError> {
    let table = batch.tables.vault_meta()?;
    let old: Option<MasterKeyState> = tables::row(table, MASTER_KEY, "vault_meta")?;
    if old.as_ref() == Some(state) {
        return Ok(Staged::unchanged(()));
    }
    table.insert(MASTER_KEY, row::encode(state)?.as_slice())?;
    // At a change's end the journal loses the data keys as they were wrapped, and each master key under the other.
    batch.keys_destroyed |= state.change.is_none() && old.is_some();
    Ok(Staged::changed(()))
}

/// Replaces data keys by the same ones wrapped anew. One that is not as it was, or whose agent is gone, is left alone.
fn rewrap_data_keys(batch: &mut Batch<'_>, keys: &[RewrappedDataKey]) -> Result<Staged<()>, StoreError> {
    let mut changed = false;
    for RewrappedDataKey { agent, from, to } in keys {
        let table = batch.tables.agents()?;
        let Some(profile) = tables::row::<_, AgentProfile>(table, agent.key(), "agents")? else { continue };
        if profile.wrapped_data_key == *from {
            let profile = AgentProfile { wrapped_data_key: to.clone(), ..profile };
            table.insert(agent.key(), row::encode(&profile)?.as_slice())?;
            changed = true;
        }
    }
    Ok(if changed { Staged::changed(()) } else { Staged::unchanged(()) })
}
