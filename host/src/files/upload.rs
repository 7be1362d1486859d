//! One upload: files that are written as they come, judged when they are whole, and kept all together or not at all.

use gavel_store::{
    Agent, FileId, FileSeal, FileVerdict, FilesSeal, ObjectId, Sealed, SessionId, StoreError, StoredFile,
};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::chunked::Sealer;
use super::objects::ObjectWriter;
use super::{FileError, Files, MAX_UPLOAD_FILES, name};
use crate::clock::now_ms;
use crate::turn::{CallerFacts, FileText, GovernanceResult, JudgedFile, MAX_JUDGED_FILE_BYTES};
use crate::vault::SessionKey;

/// Files on their way in. One that is dropped leaves what it has written to the next start; [`commit`](Self::commit) and
/// [`abandon`](Self::abandon) leave nothing.
pub struct Upload {
    files: Files,
    agent: Agent,
    caller: CallerFacts,
    open: Option<Incoming>,
    whole: Vec<Whole>,
    _permit: OwnedSemaphorePermit,
}

/// A file that was kept.
#[derive(Debug)]
pub struct Uploaded {
    /// The file.
    pub file: StoredFile,
    /// What the policies said of it, if any could judge it.
    pub governance: Option<GovernanceResult>,
}

/// A file of which more may come.
struct Incoming {
    id: FileId,
    session: SessionId,
    wrapped_key: Vec<u8>,
    key: SessionKey,
    name: String,
    content_type: String,
    sealer: Sealer,
    object: ObjectWriter,
    digest: Sha256,
    size: u64,
    /// What came, as long as it may be a text that is judged.
    text: Option<Vec<u8>>,
}

/// A file whose object is whole.
struct Whole {
    file: StoredFile,
    wrapped_key: Vec<u8>,
    key: SessionKey,
    text: Option<String>,
}

impl Files {
    /// Begins an upload to an agent.
    ///
    /// # Errors
    /// [`FileError::Busy`] when too many are under way.
    pub fn upload(&self, agent: Agent, caller: CallerFacts) -> Result<Upload, FileError> {
        let permit = self.uploads.clone().try_acquire_owned().map_err(|_| FileError::Busy)?;
        Ok(Upload { files: self.clone(), agent, caller, open: None, whole: Vec::new(), _permit: permit })
    }
}

impl Upload {
    /// Begins the next file, with what its uploader says of it.
    ///
    /// # Errors
    /// [`FileError::TooMany`], and when the store fails.
    pub async fn begin(&mut self, given_name: &str, content_type: Option<&str>) -> Result<(), FileError> {
        self.end().await?;
        if self.whole.len() >= MAX_UPLOAD_FILES {
            return Err(FileError::TooMany);
        }
        let (agent, vault) = (&self.agent, &self.files.vault);
        let (id, session) = (FileId::generate(), SessionId::generate());
        let wrapped_key = vault.new_session_key(&agent.id, &agent.wrapped_data_key, &session)?;
        let key = vault.session_key(&agent.id, &agent.wrapped_data_key, &session, &wrapped_key)?;
        self.files.store.expect_objects(&agent.id, vec![id]).await?;
        self.open = Some(Incoming {
            id,
            session,
            wrapped_key,
            sealer: Sealer::new(id, key.clone()),
            key,
            name: name::safe_name(given_name),
            content_type: name::content_type(content_type),
            object: self.files.objects.write(ObjectId { agent: agent.id, file: id }),
            digest: Sha256::new(),
            size: 0,
            text: Some(Vec::new()),
        });
        Ok(())
    }

    /// Takes the file's next bytes; waits while the object store is behind.
    ///
    /// # Errors
    /// [`FileError::TooLarge`], and when the object store fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let limit = self.files.file_bytes;
        let Some(incoming) = &mut self.open else { return Ok(()) };
        incoming.size = incoming.size.saturating_add(bytes.len() as u64);
        if incoming.size > limit {
            return Err(FileError::TooLarge { limit });
        }
        incoming.digest.update(bytes);
        incoming.text = incoming.text.take().filter(|text| text.len() + bytes.len() <= MAX_JUDGED_FILE_BYTES);
        if let Some(text) = &mut incoming.text {
            text.extend_from_slice(bytes);
        }
        for chunk in incoming.sealer.push(bytes)? {
            incoming.object.put(chunk).await?;
        }
        Ok(())
    }

    /// Ends the file that is open, if one is: its object is durable then.
    async fn end(&mut self) -> Result<(), FileError> {
        let Some(mut incoming) = self.open.take() else { return Ok(()) };
        let last = incoming.sealer.finish()?;
        if let Err(error) = incoming.object.put(last).await {
            drop_object(incoming.object).await;
            return Err(self.lost(incoming.id, error).await);
        }
        if let Err(error) = incoming.object.finish().await {
            return Err(self.lost(incoming.id, error).await);
        }
        let digest: [u8; 32] = incoming.digest.finalize().into();
        self.whole.push(Whole {
            file: StoredFile {
                id: incoming.id,
                name: incoming.name,
                content_type: incoming.content_type,
                size: incoming.size,
                sha256: gavel_log::Hash(digest),
                session: incoming.session,
                judged: None,
                leaf: None,
                created_at: now_ms(),
            },
            wrapped_key: incoming.wrapped_key,
            key: incoming.key,
            text: incoming.text.and_then(|text| String::from_utf8(text).ok()),
        });
        Ok(())
    }

    /// The object of a file could not be made whole.
    async fn lost(&mut self, file: FileId, error: FileError) -> FileError {
        self.files.let_go(vec![ObjectId { agent: self.agent.id, file }]).await;
        error
    }

    /// Judges the texts among the files and keeps all of them, or none.
    ///
    /// # Errors
    /// [`FileError::Blocked`] where a verdict that is obeyed stops one; [`FileError::None`] of no files; and when
    /// anything fails. Then nothing of the upload is left but the verdicts' records.
    pub async fn commit(mut self) -> Result<Vec<Uploaded>, FileError> {
        match self.judge_and_keep().await {
            Ok(kept) => Ok(kept),
            Err(error) => {
                self.take_back(&error).await;
                Err(error)
            }
        }
    }

    async fn judge_and_keep(&mut self) -> Result<Vec<Uploaded>, FileError> {
        self.end().await?;
        if self.whole.is_empty() {
            return Err(FileError::None);
        }
        let mut judged = Vec::with_capacity(self.whole.len());
        for whole in &self.whole {
            judged.push(judge(&self.files, &self.agent, &self.caller, whole).await?);
        }
        let blocked = judged.iter().flatten().any(JudgedFile::blocks);
        let verdict = if blocked { FileVerdict::Refused } else { FileVerdict::Kept };
        let mut files = Vec::with_capacity(self.whole.len());
        for (whole, judged) in self.whole.iter_mut().zip(&mut judged) {
            whole.file.judged = judged.as_ref().and_then(JudgedFile::passes_unchanged_under);
            let leaf = judged.as_mut().and_then(JudgedFile::take_leaf);
            // Of a refused file only a record is kept, if there is one.
            if verdict == FileVerdict::Kept || leaf.is_some() {
                let (file, wrapped_key) = (whole.file.clone(), whole.wrapped_key.clone());
                files.push(FileSeal { wrapped_key, leaf, file, verdict });
            }
        }
        let kept: Vec<FileId> = files.iter().map(|seal| seal.file.id).collect();
        let most_bytes = self.files.quotas.of(&self.agent.owner).storage_bytes;
        let seal = FilesSeal { agent: self.agent.id, files, most_bytes };
        let seals = self.files.store.keep_files(seal).await?;
        let mut seals: std::collections::HashMap<FileId, Option<Sealed>> = kept.into_iter().zip(seals).collect();
        let whole = std::mem::take(&mut self.whole);
        let results = whole.iter().zip(judged).map(|(whole, judged)| {
            let sealed = seals.remove(&whole.file.id).flatten();
            let judged = judged?;
            self.files.turns.remember_file(&judged);
            Some(judged.result(whole.file.id, &sealed?, self.caller.owner))
        });
        let results: Vec<Option<GovernanceResult>> = results.collect();
        if blocked {
            self.whole = whole;
            return Err(FileError::Blocked(results.into_iter().flatten().collect()));
        }
        tracing::info!(agent = %self.agent.id, files = whole.len(), "files kept");
        let kept = whole.into_iter().zip(results);
        Ok(kept.map(|(whole, governance)| Uploaded { file: whole.file, governance }).collect())
    }

    /// Takes everything back that was written.
    pub async fn abandon(mut self) {
        self.take_back_all().await;
    }

    async fn take_back(&mut self, error: &FileError) {
        if let FileError::Store(StoreError::Database(_) | StoreError::Io(_) | StoreError::Closed) = error {
            // Nobody knows whether the files were kept. If they were not, the next start removes their objects.
            self.whole.clear();
        }
        self.take_back_all().await;
    }

    async fn take_back_all(&mut self) {
        let mut objects: Vec<ObjectId> = Vec::new();
        if let Some(incoming) = self.open.take() {
            drop_object(incoming.object).await;
            objects.push(ObjectId { agent: self.agent.id, file: incoming.id });
        }
        objects.extend(self.whole.drain(..).map(|whole| ObjectId { agent: self.agent.id, file: whole.file.id }));
        if !objects.is_empty() {
            self.files.let_go(objects).await;
        }
    }
}

/// What the agent's policies say of a file, if it is a text and any of them judges files.
async fn judge(
    files: &Files,
    agent: &Agent,
    caller: &CallerFacts,
    whole: &Whole,
) -> Result<Option<JudgedFile>, FileError> {
    let Some(text) = &whole.text else { return Ok(None) };
    let text = FileText {
        session: whole.file.session,
        key: whole.key.clone(),
        name: &whole.file.name,
        content_type: &whole.file.content_type,
        text,
    };
    Ok(files.turns.judge_file(agent, caller, text).await?)
}

async fn drop_object(object: ObjectWriter) {
    if let Err(error) = object.abort().await {
        tracing::warn!(%error, "an upload to the object store could not be taken back");
    }
}
