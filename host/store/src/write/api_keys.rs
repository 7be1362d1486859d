//! Writing agents' API keys.

use redb::ReadableTable;

use super::agents::read_head;
use super::batch::Batch;
use super::job::Staged;
use crate::api_key::{ApiKey, MAX_API_KEYS};
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, KeyId};
use crate::{row, tables};

/// Gives an agent a key.
pub(crate) fn add_api_key(batch: &mut Batch<'_>, key: &ApiKey) -> Result<Staged<()>, StoreError> {
    let place = (key.agent.key(), key.id.key());
    read_head(batch, key.agent)?;
    if read(batch, place)?.is_some_and(|old| old == *key) {
        return Ok(Staged::unchanged(()));
    }
    if batch.tables.api_key_tokens()?.get(key.token_hash.as_bytes())?.is_some() {
        return Err(StoreError::TokenInUse);
    }
    if batch.tables.api_keys()?.range(of(key.agent))?.count() >= MAX_API_KEYS {
        return Err(StoreError::TooManyApiKeys);
    }

    batch.tables.api_keys()?.insert(place, row::encode(key)?.as_slice())?;
    batch.tables.api_key_tokens()?.insert(key.token_hash.as_bytes(), place)?;
    Ok(Staged::changed(()))
}

/// Takes a key away.
pub(crate) fn remove_api_key(batch: &mut Batch<'_>, agent: AgentId, id: KeyId) -> Result<Staged<()>, StoreError> {
    let place = (agent.key(), id.key());
    let key = read(batch, place)?.ok_or(StoreError::NotFound(Missing::ApiKey(id)))?;

    batch.tables.api_key_tokens()?.remove(key.token_hash.as_bytes())?;
    batch.tables.api_keys()?.remove(place)?;
    Ok(Staged::changed(()))
}

/// Notes that a key was used.
pub(crate) fn note_api_key_use(
    batch: &mut Batch<'_>,
    agent: AgentId,
    id: KeyId,
    at: i64,
) -> Result<Staged<()>, StoreError> {
    let place = (agent.key(), id.key());
    let Some(key) = read(batch, place)?.filter(|key| key.last_used_at < Some(at)) else {
        return Ok(Staged::unchanged(()));
    };

    let used = ApiKey { last_used_at: Some(at), ..key };
    batch.tables.api_keys()?.insert(place, row::encode(&used)?.as_slice())?;
    Ok(Staged::changed(()))
}

/// Where an agent's keys lie.
fn of(agent: AgentId) -> std::ops::RangeInclusive<(u128, u128)> {
    (agent.key(), 0)..=(agent.key(), u128::MAX)
}

fn read(batch: &mut Batch<'_>, place: (u128, u128)) -> Result<Option<ApiKey>, StoreError> {
    tables::row(batch.tables.api_keys()?, place, "api_keys")
}
