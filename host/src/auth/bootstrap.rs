//! The first user of an empty data directory.

use std::path::PathBuf;

use gavel_store::{IdError, Store, StoreError, User, UserRole};

use super::{Token, TokenKind};
use crate::clock::now_ms;
use crate::data_dir::{DataDir, DataDirError};

/// The first user's name.
const ADMIN: &str = "admin";
/// The file in the data directory that holds the first user's token.
const TOKEN_FILE: &str = "admin-token";

/// Why the first user could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The token could not be written down.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The user could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name is no user's.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// A user who was made just now, with the token that is shown once.
pub struct FirstUser {
    /// The token.
    pub token: Token,
    /// The file that holds it, mode 0600.
    pub file: PathBuf,
}

/// Where the first user's token is written.
#[must_use]
pub fn admin_token_file(data: &DataDir) -> PathBuf {
    data.path().join(TOKEN_FILE)
}

/// Makes the user `admin` where the store knows no user at all.
///
/// The token is written to its file before the user is stored: a crash between the two leaves a file without a
/// user, which the next start replaces, and never a user whose token nobody has seen.
///
/// # Errors
/// When the file or the store cannot be written.
pub async fn ensure_first_user(store: &Store, data: &DataDir) -> Result<Option<FirstUser>, BootstrapError> {
    if !store.users()?.is_empty() {
        return Ok(None);
    }
    let token = Token::generate(TokenKind::User);
    let file = data.replace_private_file(TOKEN_FILE, format!("{}\n", token.expose()).as_bytes())?;
    let user = User { id: ADMIN.parse()?, role: UserRole::Admin, token_hash: Some(token.hash()), created_at: now_ms() };
    store.put_user(user).await?;
    Ok(Some(FirstUser { token, file }))
}
