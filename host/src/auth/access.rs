//! From what a request shows to who makes it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use gavel_log::Hash;
use gavel_store::{ApiKey, KeyId, Store, StoreError};
use subtle::ConstantTimeEq;

use super::caller::KeyHolder;
use super::credentials::Credentials;
use super::oidc::{MAX_TOKEN_BYTES, Vouched};
use super::{Caller, Issuer, OidcError, Token, TokenError, TokenKind};
use crate::clock::now_ms;
use crate::tasks::Tasks;

/// A key's last use is written down again after so many milliseconds.
const USE_NOTED_EVERY_MS: i64 = 60_000;

/// Why nobody is let in with what was shown.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is nobody's, or not any more.
    #[error("the token is not valid")]
    Unknown,
    /// An issuer's token is not good, or the issuer's keys are not known.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The API key's time is over.
    #[error("the API key has expired")]
    Expired,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets callers in by what they show, and knows which of them are still there. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    store: Store,
    tasks: Tasks,
    credentials: Credentials,
    issuer: Option<Arc<Issuer>>,
    /// The keys whose use is being written down.
    noting: Arc<Mutex<HashSet<KeyId>>>,
}

impl Access {
    /// Access to what this store keeps, for local users and their keys.
    #[must_use]
    pub fn new(store: Store, tasks: Tasks) -> Self {
        Self { store, tasks, credentials: Credentials::default(), issuer: None, noting: Arc::default() }
    }

    /// The same, for those too for whom this issuer vouches.
    #[must_use]
    pub fn with_issuer(self, issuer: Issuer) -> Self {
        Self { issuer: Some(Arc::new(issuer)), ..self }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What callers who stay have shown.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The caller who shows this text.
    ///
    /// # Errors
    /// When it is no token, nobody's, or expired.
    pub async fn authenticate(&self, shown: &str) -> Result<Caller, AccessError> {
        if let Some(issuer) = &self.issuer
            && is_issuers(shown)
        {
            let Vouched { user, ends_at } = issuer.vouch(shown).await?;
            return Ok(Caller::Vouched { user, ends_at });
        }
        let token = Token::parse(shown)?;
        match token.kind() {
            TokenKind::User => self.user(&token.hash()),
            TokenKind::Key => self.key(&token.hash()),
        }
    }

    /// Whether what the caller showed still lets them in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_still(&self, caller: &Caller) -> Result<bool, AccessError> {
        let found = match (caller.ends_at(), caller.token_hash()) {
            (Some(end), _) if end <= now_ms() => Err(AccessError::Expired),
            (_, Some(hash)) if caller.key().is_some() => self.key(hash),
            (_, Some(hash)) => self.user(hash),
            (_, None) => return Ok(matches!(caller, Caller::Vouched { .. })),
        };
        match found {
            Ok(_) => Ok(true),
            Err(error @ AccessError::Store(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn user(&self, hash: &Hash) -> Result<Caller, AccessError> {
        let user = self.store.user_by_token(hash)?;
        let user = user.filter(|user| user.token_hash.is_some_and(|kept| same(&kept, hash)));
        user.map(Caller::User).ok_or(AccessError::Unknown)
    }

    fn key(&self, hash: &Hash) -> Result<Caller, AccessError> {
        let found = self.store.api_key_by_token(hash)?.filter(|(key, _)| same(&key.token_hash, hash));
        let (key, agent) = found.ok_or(AccessError::Unknown)?;
        let now = now_ms();
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(AccessError::Expired);
        }
        self.note_use(&key, now);
        Ok(Caller::Key(KeyHolder::new(&key, agent.owner)))
    }

    /// Writes down that a key was used, beside the request and at most once a minute.
    fn note_use(&self, key: &ApiKey, now: i64) {
        if key.last_used_at.is_some_and(|last| now.saturating_sub(last) < USE_NOTED_EVERY_MS) {
            return;
        }
        if !self.noting.lock().unwrap_or_else(PoisonError::into_inner).insert(key.id) {
            return;
        }
        let (store, noting, agent, id) = (self.store.clone(), self.noting.clone(), key.agent, key.id);
        self.tasks.spawn(async move {
            if let Err(error) = store.note_api_key_use(&agent, &id, now).await {
                tracing::warn!(%error, key = %id, "a key's use could not be noted");
            }
            noting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
}

/// Whether it has the form of an issuer's token: three parts with dots between, which none of ours has.
fn is_issuers(shown: &str) -> bool {
    shown.len() <= MAX_TOKEN_BYTES && shown.split('.').count() == 3
}

/// Compares in a time that says nothing of where the two differ.
fn same(one: &Hash, other: &Hash) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
