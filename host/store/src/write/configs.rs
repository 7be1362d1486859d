//! Keeping policies' configurations, so that a record's verdicts can be computed again.

use gavel_log::Hash;
use redb::ReadableTable as _;

use super::batch::Batch;
use super::job::Staged;
use crate::config;
use crate::error::StoreError;
use crate::store::{SMALL_WRITE, Store};

impl Store {
    /// Keeps a configuration's canonical JSON under its digest, for good. Again for the same one it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::WrongConfig`] if it is another's, [`StoreError::TooLarge`], and the writer's.
    pub async fn keep_config(&self, digest: &Hash, json: &str) -> Result<(), StoreError> {
        let digest = *digest;
        let row = config::encode(&digest, json)?;
        self.submit(SMALL_WRITE + row.len(), move |batch| keep(batch, &digest, &row)).await
    }
}

fn keep(batch: &mut Batch<'_>, digest: &Hash, row: &[u8]) -> Result<Staged<()>, StoreError> {
    let configs = batch.tables.configs()?;
    // A damaged row is put right: its digest says what it was.
    if configs.get(digest.as_bytes())?.is_some_and(|kept| kept.value() == row) {
        return Ok(Staged::unchanged(()));
    }
    configs.insert(digest.as_bytes(), row)?;
    Ok(Staged::changed(()))
}
