//! Users: made, given another token, listed, revoked.

use gavel_store::{StoreError, User, UserId, UserRole};

use super::{Access, Token, TokenKind};
use crate::clock::now_ms;

/// What the names of users begin with for whom an issuer vouches: no local user is called so.
pub(super) const VOUCHED_PREFIX: &str = "oidc:";

/// Why a user was not made, changed or listed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is kept for users for whom an issuer vouches.
    #[error("a local user's name does not begin with `{VOUCHED_PREFIX}`")]
    Reserved,
    /// Another user has the name.
    #[error("user {0} exists already; `--new-token` gives another token")]
    Exists(UserId),
    /// No user has the name.
    #[error("there is no user {0}")]
    Unknown(UserId),
    /// Nobody could administer the installation any more.
    #[error("{0} is the only administrator who has a token: make another one first")]
    LastAdministrator(UserId),
    /// The store fails.
    #[error(transparent)]
    Store(StoreError),
}

impl UserError {
    fn about(name: UserId) -> impl FnOnce(StoreError) -> Self {
        move |error| match error {
            StoreError::UserExists(_) => Self::Exists(name),
            StoreError::LastAdministrator(_) => Self::LastAdministrator(name),
            StoreError::NotFound(_) => Self::Unknown(name),
            error => Self::Store(error),
        }
    }
}

impl Access {
    /// Makes a user. The token is shown this once.
    ///
    /// # Errors
    /// When the name is taken or not a local one, or the store fails.
    pub async fn add_user(&self, name: UserId, role: UserRole) -> Result<(User, Token), UserError> {
        if name.as_str().starts_with(VOUCHED_PREFIX) {
            return Err(UserError::Reserved);
        }
        let token = Token::generate(TokenKind::User);
        let user = User { id: name.clone(), role, token_hash: Some(token.hash()), created_at: now_ms() };
        self.store().add_user(user.clone()).await.map_err(UserError::about(name))?;
        tracing::info!(user = %user.id, ?role, "user made");
        Ok((user, token))
    }

    /// Gives a user another token; whoever came in with the old one is sent out.
    ///
    /// # Errors
    /// When there is no such user, or the store fails.
    pub async fn renew_user(&self, name: UserId) -> Result<(User, Token), UserError> {
        let token = Token::generate(TokenKind::User);
        let renewed = self.store().renew_user(name.clone(), token.hash()).await;
        let user = renewed.map_err(UserError::about(name))?;
        self.credentials().end_token_of(&user.id);
        tracing::info!(user = %user.id, "user has another token");
        Ok((user, token))
    }

    /// All users, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn users(&self) -> Result<Vec<User>, UserError> {
        self.store().users().map_err(UserError::Store)
    }

    /// Takes a user's token away. It is refused from then on, the keys of the user's agents too, and whoever came in with
    /// one of them is sent out.
    ///
    /// # Errors
    /// When there is no such user, it is the last administrator, or the store fails.
    pub async fn revoke_user(&self, name: UserId) -> Result<(), UserError> {
        self.store().revoke_user(name.clone()).await.map_err(UserError::about(name.clone()))?;
        self.credentials().end_user(&name);
        tracing::info!(user = %name, "user revoked");
        Ok(())
    }
}
