//! Writing users.

use redb::ReadableTable;

use super::batch::Batch;
use super::job::Staged;
use crate::error::StoreError;
use crate::row;
use crate::tables;
use crate::user::User;

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
