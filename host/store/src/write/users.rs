//! Writing users.

use gavel_log::Hash;
use redb::ReadableTable;

use super::batch::Batch;
use super::job::Staged;
use crate::error::{Missing, StoreError};
use crate::id::UserId;
use crate::row;
use crate::tables;
use crate::user::{User, UserRole};

/// Makes a user whose name nobody has. The same user again is no error.
pub(crate) fn add_user(batch: &mut Batch<'_>, user: &User) -> Result<Staged<()>, StoreError> {
    match read(batch, &user.id)? {
        Some(old) if old != *user => Err(StoreError::UserExists(old.id)),
        _ => put_user(batch, user),
    }
}

/// Gives a user another token.
pub(crate) fn renew_user(batch: &mut Batch<'_>, id: &UserId, token_hash: Hash) -> Result<Staged<User>, StoreError> {
    let old = read(batch, id)?.ok_or(StoreError::NotFound(Missing::User))?;
    let user = User { token_hash: Some(token_hash), ..old };
    put_user(batch, &user)?;
    Ok(Staged::changed(user))
}

/// Takes a user's token away, unless nobody could administer the installation then.
pub(crate) fn revoke_user(batch: &mut Batch<'_>, id: &UserId) -> Result<Staged<()>, StoreError> {
    let user = read(batch, id)?.ok_or(StoreError::NotFound(Missing::User))?;
    if administers(&user) && !others_administer(batch, id)? {
        return Err(StoreError::LastAdministrator(user.id));
    }
    put_user(batch, &User { token_hash: None, ..user })
}

fn administers(user: &User) -> bool {
    user.role == UserRole::Admin && user.token_hash.is_some()
}

fn others_administer(batch: &mut Batch<'_>, id: &UserId) -> Result<bool, StoreError> {
    for entry in batch.tables.users()?.iter()? {
        let user: User = row::decode("users", entry?.1.value())?;
        if user.id != *id && administers(&user) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(batch: &mut Batch<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    tables::row(batch.tables.users()?, id.as_str(), "users")
}

/// Makes a user or replaces one of the same name; the replaced one's token ends.
pub(crate) fn put_user(batch: &mut Batch<'_>, user: &User) -> Result<Staged<()>, StoreError> {
    let name = user.id.as_str();
    let old: Option<User> = tables::row(batch.tables.users()?, name, "users")?;
    if old.as_ref() == Some(user) {
        return Ok(Staged::unchanged(()));
    }
    if let Some(token) = &user.token_hash
        && batch.tables.user_tokens()?.get(token.as_bytes())?.is_some_and(|holder| holder.value() != name)
    {
        return Err(StoreError::TokenInUse);
    }

    if let Some(token) = old.and_then(|old| old.token_hash) {
        batch.tables.user_tokens()?.remove(token.as_bytes())?;
    }
    if let Some(token) = &user.token_hash {
        batch.tables.user_tokens()?.insert(token.as_bytes(), name)?;
    }
    batch.tables.users()?.insert(name, row::encode(user)?.as_slice())?;
    Ok(Staged::changed(()))
}
