//! An agent's own keys for providers.

use gavel_store::{Agent, VaultKey, VaultKeyPut};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AgentError, Agents, FieldError};
use crate::clock::now_ms;
use crate::vault::{ApiKey, KeyPlace};

/// A key to be put into an agent's vault, as its owner gives it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"provider": "openai", "api_key": "sk-0123456789abcdef"})))]
pub struct NewVaultKey {
    /// The name of a provider that exists.
    #[schema(required, value_type = String)]
    pub provider: Option<String>,
    /// 8 to 4,096 characters of printable ASCII without spaces.
    #[schema(required, value_type = String, min_length = 8, max_length = 4096, pattern = "^[!-~]{8,4096}$")]
    pub api_key: Option<ApiKey>,
}

impl Agents {
    /// Puts a key into an agent's vault, encrypted for the origins that its provider is granted now; it is used from
    /// the next turn on. A key that the agent has for the same provider is replaced.
    ///
    /// # Errors
    /// When a field is missing or not acceptable, the agent's data key does not open, or the store fails.
    pub async fn put_vault_key(&self, agent: &Agent, new: NewVaultKey) -> Result<VaultKeyPut, AgentError> {
        let (provider, key) = self.checked(new)?;
        // A provider whose plugin is not installed is granted nothing yet.
        let origins = self.plugins.provider(&provider).map(|provider| provider.origins()).unwrap_or_default();
        let place = KeyPlace { agent: &agent.id, provider: &provider, origins: &origins };
        let sealed = self.vault.seal_api_key(place, &agent.wrapped_data_key, &key)?;
        let now = now_ms();
        let key = VaultKey { provider, prefix: key.prefix(), origins, sealed, created_at: now, updated_at: now };
        let put = self.store.put_vault_key(&agent.id, key).await?;
        tracing::info!(agent = %agent.id, provider = put.key.provider, replaced = put.replaced, "vault key put");
        Ok(put)
    }

    /// An agent's keys by their providers' names.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn vault_keys(&self, agent: &Agent) -> Result<Vec<VaultKey>, AgentError> {
        Ok(self.store.vault_keys(&agent.id)?)
    }

    /// Removes a key, also one for a provider that the configuration no longer has. Says whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_vault_key(&self, agent: &Agent, provider: &str) -> Result<bool, AgentError> {
        let removed = self.store.remove_vault_key(&agent.id, provider).await?;
        if removed {
            tracing::info!(agent = %agent.id, provider, "vault key removed");
        }
        Ok(removed)
    }

    /// Both fields, or everything that is wrong with them at once.
    fn checked(&self, new: NewVaultKey) -> Result<(String, ApiKey), AgentError> {
        let fault = |pointer: &str, detail: String| FieldError { pointer: pointer.to_owned(), detail };
        let mut faults = Vec::new();
        match &new.provider {
            None => faults.push(fault("/provider", "is required".to_owned())),
            Some(name) if !self.plugins.provider_exists(name) => {
                faults.push(fault("/provider", "there is no such provider".to_owned()));
            }
            Some(_) => {}
        }
        match &new.api_key {
            None => faults.push(fault("/api_key", "is required".to_owned())),
            Some(key) => faults.extend(key.fault().map(|detail| fault("/api_key", detail))),
        }
        match (new.provider, new.api_key) {
            (Some(provider), Some(key)) if faults.is_empty() => Ok((provider, key)),
            _ => Err(AgentError::Invalid(faults)),
        }
    }
}
