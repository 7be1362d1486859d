//! Agents' API keys: given, listed, taken away.

use std::collections::BTreeSet;

use gavel_store::{AgentId, ApiKey, KeyId, StoreError};

use super::{Access, Scope, Token, TokenKind};
use crate::clock::now_ms;

/// Most characters of a key's name.
const MAX_NAME_CHARS: usize = 200;

/// What an owner asks a key to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// 1 to 200 characters.
    pub name: String,
    /// What it allows: at least one, each once.
    pub scopes: Vec<Scope>,
    /// From when on it is refused, in milliseconds since the Unix epoch.
    pub expires_at: Option<i64>,
}

/// What is wrong with a wish for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewKeyFault {
    /// The name is empty or too long.
    #[error("must have 1 to {MAX_NAME_CHARS} characters")]
    Name,
    /// It would allow nothing.
    #[error("must name at least one scope")]
    NoScope,
    /// A scope stands twice.
    #[error("is named twice")]
    ScopeTwice(usize),
    /// It would be expired already.
    #[error("must be in the future")]
    Past,
}

/// Why a key was not made or not taken away.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wish is not acceptable.
    #[error("the key is not acceptable")]
    Invalid(Vec<NewKeyFault>),
    /// The store refuses it or fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NewKey {
    fn faults(&self, now: i64) -> Vec<NewKeyFault> {
        let mut faults = Vec::new();
        if !(1..=MAX_NAME_CHARS).contains(&self.name.chars().count()) {
            faults.push(NewKeyFault::Name);
        }
        if self.scopes.is_empty() {
            faults.push(NewKeyFault::NoScope);
        }
        let mut seen = BTreeSet::new();
        let twice = self.scopes.iter().enumerate().filter(|(_, scope)| !seen.insert(**scope));
        faults.extend(twice.map(|(index, _)| NewKeyFault::ScopeTwice(index)));
        if self.expires_at.is_some_and(|end| end <= now) {
            faults.push(NewKeyFault::Past);
        }
        faults
    }
}

impl Access {
    /// Gives an agent a key. The token is shown this once.
    ///
    /// # Errors
    /// When the wish is not acceptable, or the agent has as many keys as one may have.
    pub async fn give_key(&self, agent: AgentId, new: NewKey) -> Result<(ApiKey, Token), KeyError> {
        let now = now_ms();
        let faults = new.faults(now);
        if !faults.is_empty() {
            return Err(KeyError::Invalid(faults));
        }
        let token = Token::generate(TokenKind::Key);
        let key = ApiKey {
            id: KeyId::generate(),
            agent,
            name: new.name,
            scopes: new.scopes.iter().map(ToString::to_string).collect(),
            prefix: token.recognisable(),
            token_hash: token.hash(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        self.store().add_api_key(key.clone()).await?;
        tracing::info!(%agent, key = %key.id, "API key made");
        Ok((key, token))
    }

    /// An agent's keys, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keys(&self, agent: &AgentId) -> Result<Vec<ApiKey>, StoreError> {
        self.store().api_keys(agent)
    }

    /// Takes a key away: it is refused from then on, and who came in with it is sent out.
    ///
    /// # Errors
    /// When the agent has no such key, or the store fails.
    pub async fn revoke_key(&self, agent: &AgentId, id: &KeyId) -> Result<(), StoreError> {
        self.store().remove_api_key(agent, id).await?;
        self.credentials().end_key(*id);
        tracing::info!(%agent, key = %id, "API key revoked");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_with_a_wish_is_named() {
        let good = NewKey { name: "é".repeat(200), scopes: vec![Scope::Chat], expires_at: Some(11) };
        assert_eq!(good.faults(10), []);
        let bad = NewKey { name: String::new(), scopes: vec![Scope::Chat, Scope::Chat], expires_at: Some(10) };
        assert_eq!(bad.faults(10), [NewKeyFault::Name, NewKeyFault::ScopeTwice(1), NewKeyFault::Past]);
        let none = NewKey { name: "x".repeat(201), scopes: Vec::new(), expires_at: None };
        assert_eq!(none.faults(10), [NewKeyFault::Name, NewKeyFault::NoScope]);
    }
}
