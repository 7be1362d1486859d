//! Reading agents' API keys.

use gavel_log::Hash;

use super::agents::read_agent;
use crate::agent::Agent;
use crate::api_key::{ApiKey, MAX_API_KEYS};
use crate::error::StoreError;
use crate::id::{AgentId, KeyId};
use crate::store::Store;
use crate::user::User;
use crate::{row, tables};

impl Store {
    /// The API key whose token has this SHA-256, with the agent that it opens; none where the agent's owner has been
    /// revoked, since a key acts for its owner. An owner for whom an issuer vouches has no row here.
    ///
    /// # Errors
    /// As of every read.
    pub fn api_key_by_token(&self, token_hash: &Hash) -> Result<Option<(ApiKey, Agent)>, StoreError> {
        self.disk().read(|transaction| {
            let tokens = transaction.open_table(tables::API_KEY_TOKENS)?;
            let Some(place) = tokens.get(token_hash.as_bytes())?.map(|place| place.value()) else {
                return Ok(None);
            };
            let key: Option<ApiKey> = tables::row(&transaction.open_table(tables::API_KEYS)?, place, "api_keys")?;
            let agent = read_agent(transaction, AgentId::from_key(place.0))?;
            let found = key.zip(agent);
            if let Some((_, agent)) = &found {
                let users = transaction.open_table(tables::USERS)?;
                let owner: Option<User> = tables::row(&users, agent.owner.as_str(), "users")?;
                if owner.is_some_and(|owner| owner.token_hash.is_none()) {
                    return Ok(None);
                }
            }
            Ok(found)
        })
    }

    /// An agent's API key of this id.
    ///
    /// # Errors
    /// As of every read.
    pub fn api_key(&self, agent: &AgentId, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let place = (agent.key(), id.key());
        self.disk().read(|transaction| tables::row(&transaction.open_table(tables::API_KEYS)?, place, "api_keys"))
    }

    /// All of an agent's API keys, oldest first; at most [`MAX_API_KEYS`].
    ///
    /// # Errors
    /// As of every read.
    pub fn api_keys(&self, agent: &AgentId) -> Result<Vec<ApiKey>, StoreError> {
        let of_agent = (agent.key(), 0)..=(agent.key(), u128::MAX);
        self.disk().read(|transaction| {
            let keys = transaction.open_table(tables::API_KEYS)?;
            let rows = keys.range(of_agent)?.take(MAX_API_KEYS);
            rows.map(|entry| row::decode("api_keys", entry?.1.value())).collect()
        })
    }
}
