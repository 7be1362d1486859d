//! A file's object: its bytes in chunks of 64 KiB, each sealed for its place, so that a range opens without the rest.
//!
//! Each chunk is sealed as every other thing under a session's key (`vault`), with a fresh nonce; its place, which is
//! authenticated with it, names the file, the chunk's number and whether it is the last. So chunks that are moved,
//! swapped, cut off or taken from another file do not open. An empty file is one empty last chunk.

use std::ops::Range;

use gavel_store::FileId;

use crate::vault::{SEALED_OVERHEAD, SessionKey, VaultError};

/// Bytes of a chunk in clear; the last one may have fewer.
pub(super) const CHUNK: usize = 64 * 1024;
/// Bytes of a sealed chunk.
pub(super) const SEALED_CHUNK: usize = CHUNK + SEALED_OVERHEAD;

/// Where a file's bytes are in its object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    size: u64,
}

impl Layout {
    /// That of a file of `size` bytes in clear.
    pub(super) fn of(size: u64) -> Self {
        Self { size }
    }

    /// Chunks of the object: at least 1.
    pub(super) fn chunks(self) -> u64 {
        self.size.div_ceil(CHUNK as u64).max(1)
    }

    /// The chunks that hold a range of the file's bytes; the only one for a range of none.
    pub(super) fn chunks_of(self, range: &Range<u64>) -> Range<u64> {
        let first = range.start / CHUNK as u64;
        first..range.end.div_ceil(CHUNK as u64).max(first + 1).min(self.chunks().max(first + 1))
    }

    /// Where these chunks are in the object.
    pub(super) fn sealed(self, chunks: &Range<u64>) -> Range<u64> {
        let whole = self.size + self.chunks() * SEALED_OVERHEAD as u64;
        let at = |chunk: u64| (chunk * SEALED_CHUNK as u64).min(whole);
        at(chunks.start)..at(chunks.end)
    }

    fn is_last(self, chunk: u64) -> bool {
        chunk + 1 == self.chunks()
    }
}

/// Seals a file as it comes.
pub(super) struct Sealer {
    file: FileId,
    key: SessionKey,
    next: u64,
    /// What waits for more: a chunk is sealed only when it is known whether it is the last.
    waiting: Vec<u8>,
}

impl Sealer {
    pub(super) fn new(file: FileId, key: SessionKey) -> Self {
        Self { file, key, next: 0, waiting: Vec::with_capacity(CHUNK) }
    }

    /// Takes the next bytes, and gives the chunks that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, VaultError> {
        let mut sealed = Vec::new();
        while !bytes.is_empty() {
            if self.waiting.len() == CHUNK {
                sealed.push(self.seal(false)?);
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(CHUNK - self.waiting.len()));
            self.waiting.extend_from_slice(taken);
            bytes = rest;
        }
        Ok(sealed)
    }

    /// The last chunk.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, VaultError> {
        self.seal(true)
    }

    fn seal(&mut self, last: bool) -> Result<Vec<u8>, VaultError> {
        let sealed = self.key.seal(&place(self.file, self.next, last), &self.waiting)?;
        self.waiting.clear();
        self.next += 1;
        Ok(sealed)
    }
}

/// Opens a chunk of a file, which is to have its place's length.
pub(super) fn open(
    file: FileId,
    key: &SessionKey,
    layout: Layout,
    chunk: u64,
    sealed: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let mut opened = key.open(&place(file, chunk, layout.is_last(chunk)), sealed)?;
    let begins = chunk * CHUNK as u64;
    let length = layout.size.saturating_sub(begins).min(CHUNK as u64);
    if opened.len() as u64 != length {
        return Err(VaultError::Sealed);
    }
    Ok(std::mem::take(&mut *opened))
}

/// The associated data of a chunk. Ids have a fixed length, so no two places read the same.
fn place(file: FileId, chunk: u64, last: bool) -> Vec<u8> {
    format!("{file}/{chunk}/{}", if last { "last" } else { "more" }).into_bytes()
}

#[cfg(test)]
mod tests {
    use gavel_store::{AgentId, SessionId};
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::vault::Vault;

    fn key() -> SessionKey {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let vault = Vault::open(&config).unwrap();
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let data_key = vault.new_data_key(&agent).unwrap();
        let wrapped = vault.new_session_key(&agent, &data_key, &session).unwrap();
        vault.session_key(&agent, &data_key, &session, &wrapped).unwrap()
    }

    fn sealed(file: FileId, key: &SessionKey, pieces: &[&[u8]]) -> Vec<u8> {
        let mut sealer = Sealer::new(file, key.clone());
        let mut object = Vec::new();
        for piece in pieces {
            object.extend(sealer.push(piece).unwrap().concat());
        }
        object.extend(sealer.finish().unwrap());
        object
    }

    /// What a range of a file of `size` bytes reads as from its object.
    fn read(
        file: FileId,
        key: &SessionKey,
        size: u64,
        object: &[u8],
        range: Range<u64>,
    ) -> Result<Vec<u8>, VaultError> {
        let layout = Layout::of(size);
        let chunks = layout.chunks_of(&range);
        let at = layout.sealed(&chunks);
        let sealed = &object[usize::try_from(at.start).unwrap()..usize::try_from(at.end).unwrap()];
        let mut clear = Vec::new();
        for (chunk, sealed) in chunks.clone().zip(sealed.chunks(SEALED_CHUNK)) {
            clear.extend(open(file, key, layout, chunk, sealed)?);
        }
        let skip = usize::try_from(range.start - chunks.start * CHUNK as u64).unwrap();
        let take = usize::try_from(range.end - range.start).unwrap();
        Ok(clear[skip..skip + take].to_vec())
    }

    fn bytes(size: usize) -> Vec<u8> {
        (0..size).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_range_reads_as_it_was_written(
            size in prop_oneof![0_usize..3, CHUNK - 2..CHUNK + 3, 2 * CHUNK - 1..2 * CHUNK + 2, 0..3 * CHUNK],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            ends in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let (file, key, bytes) = (FileId::generate(), key(), bytes(size));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(size + 1)).chain([0, size]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let object = sealed(file, &key, &pieces);
            let layout = Layout::of(size as u64);
            prop_assert_eq!(layout.sealed(&(0..layout.chunks())), 0..object.len() as u64);
            let (one, other) = (ends.0.index(size + 1), ends.1.index(size + 1));
            let range = one.min(other)..one.max(other);
            let found = read(file, &key, size as u64, &object, range.start as u64..range.end as u64).unwrap();
            prop_assert_eq!(&found, &bytes[range]);
            let whole = read(file, &key, size as u64, &object, 0..size as u64).unwrap();
            prop_assert_eq!(whole, bytes);
        }

        #[test]
        fn an_altered_byte_is_noticed(size in 0_usize..2 * CHUNK + 2, at in any::<prop::sample::Index>()) {
            let (file, key) = (FileId::generate(), key());
            let mut object = sealed(file, &key, &[&bytes(size)]);
            let at = at.index(object.len());
            object[at] ^= 1;
            prop_assert!(read(file, &key, size as u64, &object, 0..size as u64).is_err());
        }
    }

    #[test]
    fn what_is_swapped_cut_off_or_anothers_does_not_open() {
        let (file, key) = (FileId::generate(), key());
        let size = 2 * CHUNK as u64;
        let object = sealed(file, &key, &[&bytes(2 * CHUNK)]);
        assert!(read(file, &key, size, &object, 0..size).is_ok());
        assert!(read(FileId::generate(), &key, size, &object, 0..size).is_err(), "another file's");
        let (first, second) = object.split_at(SEALED_CHUNK);
        assert!(read(file, &key, size, &[second, first].concat(), 0..size).is_err(), "swapped");
        assert!(read(file, &key, CHUNK as u64, first, 0..CHUNK as u64).is_err(), "cut off behind a whole chunk");
        assert!(read(file, &key, size - 1, &object, 0..size - 1).is_err(), "of another size");
    }
}
