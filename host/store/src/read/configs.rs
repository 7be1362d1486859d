//! Reading policies' configurations.

use gavel_log::Hash;

use crate::config;
use crate::error::StoreError;
use crate::store::Store;
use crate::tables;

impl Store {
    /// The canonical JSON of the configuration with this digest, if a policy was ever bound to it.
    ///
    /// # Errors
    /// As of every read.
    pub fn config(&self, digest: &Hash) -> Result<Option<String>, StoreError> {
        self.disk().read(|transaction| {
            let configs = transaction.open_table(tables::CONFIGS)?;
            configs.get(digest.as_bytes())?.map(|row| config::decode(digest, row.value())).transpose()
        })
    }
}
