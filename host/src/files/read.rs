//! Reading a file, or a range of it: as a stream that holds a bounded part of it at a time.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use gavel_store::{Agent, ObjectId, StoredFile};

use super::chunked::{self, CHUNK, Layout, SEALED_CHUNK};
use super::{FileError, Files};
use crate::vault::SessionKey;

/// Chunks that are read of an object at once: 2 MiB.
const CHUNKS_AT_ONCE: u64 = 32;

/// A range of a file on its way out.
struct Reading {
    files: Files,
    object: ObjectId,
    key: SessionKey,
    layout: Layout,
    /// What is still to be read of the file.
    range: Range<u64>,
}

impl Files {
    /// The bytes of a file in this range, which lies within it. The first of them have been read when the stream is
    /// given; a failure behind them ends it.
    ///
    /// # Errors
    /// When the object is missing or damaged, or the object store or the store fails.
    pub async fn read(
        &self,
        agent: &Agent,
        file: &StoredFile,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, FileError>> + Send + use<>, FileError> {
        let session = self.store.session(&file.session)?.ok_or(FileError::NotFound)?;
        let key = self.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
        let object = ObjectId { agent: agent.id, file: file.id };
        let mut reading = Reading { files: self.clone(), object, key, layout: Layout::of(file.size), range };
        let first = match reading.next().await {
            // Whoever removed the file meanwhile took its object away.
            Err(FileError::Damaged) if self.store.file(&agent.id, &file.id)?.is_none() => {
                return Err(FileError::NotFound);
            }
            first => first?,
        };
        let rest = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|pieces| (pieces, reading)))
        });
        let pieces = stream::iter(first.map(Ok)).chain(rest);
        Ok(pieces.flat_map(|pieces| match pieces {
            Ok(pieces) => stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        }))
    }
}

impl Reading {
    /// The next pieces of the range; none behind its end.
    async fn next(&mut self) -> Result<Option<Vec<Bytes>>, FileError> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let chunks = self.layout.chunks_of(&self.range);
        let chunks = chunks.start..chunks.end.min(chunks.start + CHUNKS_AT_ONCE);
        let sealed = self.files.objects.read(self.object, self.layout.sealed(&chunks)).await?;
        let mut pieces = Vec::new();
        for (chunk, sealed) in chunks.zip(sealed.chunks(SEALED_CHUNK)) {
            let clear = Bytes::from(chunked::open(self.object.file, &self.key, self.layout, chunk, sealed)?);
            let begins = chunk * CHUNK as u64;
            let within = |at: u64| usize::try_from(at.saturating_sub(begins)).unwrap_or(usize::MAX).min(clear.len());
            let wanted = within(self.range.start)..within(self.range.end);
            self.range.start = (begins + clear.len() as u64).min(self.range.end);
            pieces.push(clear.slice(wanted));
        }
        Ok(Some(pieces))
    }
}
