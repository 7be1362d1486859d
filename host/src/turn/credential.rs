//! The key with which a turn calls its provider.

use gavel_sandbox::provider::ProviderError;
use gavel_store::Agent;
use secrecy::SecretString;

use super::Turns;
use crate::plugins::Provider;
use crate::vault::KeyPlace;

impl Turns {
    /// The agent's own key for its provider, else the operator's. Asked once for each call, and held as long as that
    /// lasts.
    ///
    /// # Errors
    /// When the agent's own key cannot be used any more. The operator's does not stand in for it: whoever gave a key
    /// of one's own did not ask for another's.
    pub(super) fn credential(&self, agent: &Agent, provider: &Provider) -> Result<Option<SecretString>, ProviderError> {
        // Without a header that is granted to carry it, no key is of use.
        if provider.binding.grant().credential.is_none() {
            return Ok(None);
        }
        let stored = self.store.vault_key(&agent.id, &agent.provider).map_err(|error| {
            tracing::error!(%error, agent = %agent.id, "a vault cannot be read");
            ProviderError::Unavailable("the agent's vault cannot be read".to_owned())
        })?;
        let Some(stored) = stored else { return Ok(provider.operator_key.clone()) };
        // A provider that goes to fewer places than the key was given for may have it.
        if !provider.origins().iter().all(|origin| stored.origins.contains(origin)) {
            return Err(ProviderError::NoKey(
                "the provider's origins have changed since the key was put into the agent's vault: put it there again",
            ));
        }
        let place = KeyPlace { agent: &agent.id, provider: &agent.provider, origins: &stored.origins };
        self.vault.open_api_key(place, &agent.wrapped_data_key, &stored.sealed).map(Some).map_err(|error| {
            tracing::error!(%error, agent = %agent.id, provider = agent.provider, "a vault's key does not open");
            ProviderError::NoKey("the key in the agent's vault cannot be opened: put it there again")
        })
    }
}
