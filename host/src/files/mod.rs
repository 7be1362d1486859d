//! Uploaded files: encrypted objects in a directory or a bucket, and what is known of them in the store.
//!
//! Each file has a session of its own, whose key its object and the opening of its verdict are encrypted under. Removing
//! the file, or its agent, destroys that key: whatever is left of the object anywhere says nothing any more.

mod attach;
mod chunked;
mod name;
mod objects;
mod read;
mod upload;

use std::sync::Arc;

use gavel_store::{Agent, AgentId, FileId, MAX_FILES, ObjectId, Store, StoreError, StoredFile};
use tokio::sync::Semaphore;

pub use attach::MAX_ATTACHED_BYTES;
pub use objects::ObjectsError;
pub use upload::{Upload, Uploaded};

use crate::config::Config;
use crate::quota::Quotas;
use crate::turn::{GovernanceResult, Refused, TurnError, Turns};
use crate::vault::{Vault, VaultError};
use objects::Objects;

/// Most files of one upload.
pub const MAX_UPLOAD_FILES: usize = 16;
/// Uploads at once: each holds up to three parts of an object in memory.
const UPLOADS_AT_ONCE: usize = 16;

/// Why something was not done with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The agent has no such file.
    #[error("the agent has no such file")]
    NotFound,
    /// A file is larger than the limit.
    #[error("a file is larger than the {limit} bytes of [limits] file_bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// One upload brings too many.
    #[error("one upload takes at most {MAX_UPLOAD_FILES} files")]
    TooMany,
    /// It brings none.
    #[error("the form has no field `file`")]
    None,
    /// The files of a message are too much for one.
    #[error("the files of a message have at most {MAX_ATTACHED_BYTES} bytes together")]
    TooMuch,
    /// A policy does not let one of them pass: the verdicts on all of them.
    #[error("a policy does not let the file pass")]
    Blocked(Vec<GovernanceResult>),
    /// Too much is going on.
    #[error("the server is busy")]
    Busy,
    /// The file cannot be judged.
    #[error("a file could not be judged: {0}")]
    Judgement(#[from] Refused),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key does not open, or something sealed under it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Objects(#[from] object_store::Error),
    /// So did the directory behind it.
    #[error("the object store failed: {0}")]
    Directory(std::io::Error),
    /// What is stored is not as it was written.
    #[error("a stored file is damaged")]
    Damaged,
}

impl From<TurnError> for FileError {
    fn from(error: TurnError) -> Self {
        Self::Judgement(error.into())
    }
}

/// What may be done with files. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    objects: Objects,
    store: Store,
    vault: Arc<Vault>,
    turns: Arc<Turns>,
    quotas: Arc<Quotas>,
    uploads: Arc<Semaphore>,
    file_bytes: u64,
}

impl Files {
    /// Opens the object store, sees that it can be used, and removes what a crash left in it.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn open(
        config: &Config,
        store: Store,
        vault: Arc<Vault>,
        turns: Arc<Turns>,
        quotas: Arc<Quotas>,
    ) -> Result<Self, ObjectsError> {
        let files = Self {
            objects: Objects::open(config).await?,
            store,
            vault,
            turns,
            quotas,
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            file_bytes: config.limits.file_bytes,
        };
        if let Err(error) = files.sweep().await {
            tracing::warn!(%error, "objects without a file could not be removed; the next start tries again");
        }
        Ok(files)
    }

    /// An agent's file.
    ///
    /// # Errors
    /// [`FileError::NotFound`], and when the store cannot be read.
    pub fn find(&self, agent: &AgentId, file: &FileId) -> Result<StoredFile, FileError> {
        self.store.file(agent, file)?.ok_or(FileError::NotFound)
    }

    /// At most `limit` of an agent's files, oldest first, from the one behind `after` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, agent: &AgentId, after: Option<&FileId>, limit: usize) -> Result<Vec<StoredFile>, FileError> {
        Ok(self.store.files(agent, after, limit)?)
    }

    /// Removes a file: its key at once and for good, its object as soon as the object store does.
    ///
    /// # Errors
    /// [`FileError::NotFound`], and when the store fails.
    pub async fn remove(&self, agent: &Agent, file: FileId) -> Result<(), FileError> {
        self.store.remove_file(&agent.id, &file).await.map_err(|error| match error {
            StoreError::NotFound(_) => FileError::NotFound,
            error => error.into(),
        })?;
        tracing::info!(agent = %agent.id, %file, "file removed");
        self.let_go(vec![ObjectId { agent: agent.id, file }]).await;
        Ok(())
    }

    /// Removes all files of an agent, whether or not there is such an agent any more, in steps of at most 64.
    ///
    /// # Errors
    /// When the store fails. It may be repeated.
    pub async fn forget_agent(&self, agent: AgentId) -> Result<(), FileError> {
        loop {
            let removed = self.store.remove_files_of(&agent).await?;
            if removed.is_empty() {
                return Ok(());
            }
            self.let_go(removed.into_iter().map(|file| ObjectId { agent, file }).collect()).await;
        }
    }

    /// Removes unclaimed objects. What cannot be removed now stays on the list, and the next start tries again.
    async fn let_go(&self, objects: Vec<ObjectId>) {
        let mut gone = Vec::with_capacity(objects.len());
        for object in objects {
            match self.objects.remove(object).await {
                Ok(()) => gone.push(object),
                Err(error) => tracing::warn!(%error, file = %object.file, "an object could not be removed yet"),
            }
        }
        if let Err(error) = self.store.forget_objects(gone).await {
            tracing::warn!(%error, "removed objects stay on the list of those to be removed");
        }
    }

    /// Removes every object that nobody claims. To be called while nothing is uploaded.
    async fn sweep(&self) -> Result<(), FileError> {
        let mut after = None;
        loop {
            let objects = self.store.unclaimed_objects(after, MAX_FILES)?;
            let Some(last) = objects.last() else { return Ok(()) };
            after = Some(*last);
            tracing::info!(objects = objects.len(), "removing objects that no file claims");
            self.let_go(objects).await;
        }
    }
}
