//! Reading files' rows, and the list of objects without one.

use super::MAX_PAGE;
use crate::error::StoreError;
use crate::file::{ObjectId, StoredFile};
use crate::id::{AgentId, FileId};
use crate::store::Store;
use crate::{row, tables};

impl Store {
    /// An agent's file of this id.
    ///
    /// # Errors
    /// As of every read.
    pub fn file(&self, agent: &AgentId, file: &FileId) -> Result<Option<StoredFile>, StoreError> {
        self.disk().read(|transaction| {
            tables::row(&transaction.open_table(tables::FILES)?, (agent.key(), file.key()), "files")
        })
    }

    /// An agent's files, oldest first, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn files(&self, agent: &AgentId, after: Option<&FileId>, limit: usize) -> Result<Vec<StoredFile>, StoreError> {
        let first = match after {
            Some(after) => match after.key().checked_add(1) {
                Some(first) => first,
                None => return Ok(Vec::new()),
            },
            None => 0,
        };
        self.disk().read(|transaction| {
            let files = transaction.open_table(tables::FILES)?;
            let page = files.range((agent.key(), first)..=(agent.key(), u128::MAX))?.take(limit.min(MAX_PAGE));
            page.map(|entry| row::decode("files", entry?.1.value())).collect()
        })
    }

    /// The bytes of all files of an agent together.
    ///
    /// # Errors
    /// As of every read.
    pub fn file_bytes(&self, agent: &AgentId) -> Result<u64, StoreError> {
        self.disk().read(|transaction| {
            let bytes = transaction.open_table(tables::FILE_BYTES)?;
            Ok(bytes.get(agent.key())?.map_or(0, |bytes| bytes.value()))
        })
    }

    /// Objects that no file's row vouches for, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn unclaimed_objects(&self, after: Option<ObjectId>, limit: usize) -> Result<Vec<ObjectId>, StoreError> {
        let first = after.map_or((0, 0), |after| (after.agent.key(), after.file.key()));
        self.disk().read(|transaction| {
            let objects = transaction.open_table(tables::UNCLAIMED_OBJECTS)?;
            let mut found = Vec::new();
            for entry in objects.range(first..)? {
                let (agent, file) = entry?.0.value();
                let object = ObjectId { agent: AgentId::from_key(agent), file: FileId::from_key(file) };
                if after != Some(object) {
                    found.push(object);
                }
                if found.len() == limit.min(MAX_PAGE) {
                    break;
                }
            }
            Ok(found)
        })
    }
}
