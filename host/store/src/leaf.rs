//! Leaves of the log as callers hand them in and get them back.

use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::record::MAX_RECORD_BYTES;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::id::{AgentId, SessionId};

/// Most bytes of one ciphertext: an opening, a message's text or the data of an open turn.
pub const MAX_BLOB_BYTES: usize = 32 * 1024 * 1024;

/// A record to be sealed into the log.
#[derive(Clone, Debug)]
pub struct LeafDraft {
    /// The record's RFC 8785 form; at most [`MAX_RECORD_BYTES`].
    pub record: String,
    /// What blinds it in the public entry: 32 random bytes.
    pub nonce: [u8; 32],
    /// What opens the record's commitments, encrypted by the caller; at most [`MAX_BLOB_BYTES`].
    pub opening: Option<Vec<u8>>,
}

impl LeafDraft {
    /// Refuses what is too large to keep.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        within("a record", self.record.len(), MAX_RECORD_BYTES)?;
        within("an opening", self.opening.as_ref().map_or(0, Vec::len), MAX_BLOB_BYTES)
    }

    /// About the bytes that it adds to the database.
    pub(crate) fn weight(&self) -> usize {
        self.record.len() + self.opening.as_ref().map_or(0, Vec::len)
    }
}

/// Refuses a size above its limit.
pub(crate) fn within(what: &'static str, size: usize, limit: usize) -> Result<(), StoreError> {
    if size > limit { Err(StoreError::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// Where a leaf stands, in the log and in its agent's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafPlace {
    /// The entry's leaf hash.
    pub hash: Hash,
    /// Its index in the log.
    pub index: u64,
    /// Its number in the agent's chain, from 0.
    pub seq: u64,
}

/// Proof that a record is in the log on disk: only the store makes one, and only after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// The entry's leaf hash.
    pub leaf_hash: Hash,
    /// Its index in the log.
    pub leaf_index: u64,
    /// Its number in the agent's chain, from 0.
    pub seq: u64,
    /// The signed head of the commit that holds it: the client's receipt.
    pub checkpoint: Arc<str>,
}

impl Sealed {
    /// To be called for committed leaves alone.
    pub(crate) fn new(place: LeafPlace, checkpoint: Arc<str>) -> Self {
        Self { leaf_hash: place.hash, leaf_index: place.index, seq: place.seq, checkpoint }
    }
}

/// All that is kept of one leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// Its index in the log.
    pub index: u64,
    /// The agent.
    pub agent: AgentId,
    /// The session, whose key the opening is encrypted under.
    pub session: SessionId,
    /// The entry: the leaf's bytes.
    pub entry: Vec<u8>,
    /// The record's RFC 8785 form.
    pub record: String,
    /// What blinds the record in the entry.
    pub nonce: [u8; 32],
    /// The encrypted opening, if there was one and it has not been erased.
    pub opening: Option<Vec<u8>>,
}

/// The newest committed head of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Entries in the log.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
    /// The signed note over both.
    pub checkpoint: Arc<str>,
}

/// The version of the binary form of a [`RecordRow`].
const RECORD_ROW_VERSION: u8 = 1;
/// Version, agent, session and nonce.
const RECORD_ROW_HEADER: usize = 1 + 16 + 16 + 32;

/// A record as it is kept beside its entry. Binary, since JSON inside JSON would have to be escaped: the version,
/// the ids' 16 big-endian bytes each, the nonce, and the record to the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordRow {
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) nonce: [u8; 32],
    pub(crate) record: String,
}

impl RecordRow {
    /// The row's bytes for a record that is about to be sealed.
    pub(crate) fn encode(agent: AgentId, session: SessionId, draft: &LeafDraft) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_ROW_HEADER + draft.record.len());
        bytes.push(RECORD_ROW_VERSION);
        bytes.extend_from_slice(&agent.key().to_be_bytes());
        bytes.extend_from_slice(&session.key().to_be_bytes());
        bytes.extend_from_slice(&draft.nonce);
        bytes.extend_from_slice(draft.record.as_bytes());
        bytes
    }

    /// The row that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |why: &str| StoreError::Corrupt(format!("a row of records {why}"));
        let (version, rest) = bytes.split_first().ok_or_else(|| damaged("is empty"))?;
        if *version != RECORD_ROW_VERSION {
            return Err(damaged(&format!("has the unknown version {version}")));
        }
        let (agent, rest) = rest.split_first_chunk::<16>().ok_or_else(|| damaged("is too short"))?;
        let (session, rest) = rest.split_first_chunk::<16>().ok_or_else(|| damaged("is too short"))?;
        let (nonce, record) = rest.split_first_chunk::<32>().ok_or_else(|| damaged("is too short"))?;
        let record = std::str::from_utf8(record).map_err(|_| damaged("is not UTF-8"))?;
        Ok(Self {
            agent: AgentId::from_key(u128::from_be_bytes(*agent)),
            session: SessionId::from_key(u128::from_be_bytes(*session)),
            nonce: *nonce,
            record: record.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_row_is_read_as_written_and_a_cut_one_refused() {
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let draft = LeafDraft { record: "{\"v\":1}".into(), nonce: [7; 32], opening: None };
        let bytes = RecordRow::encode(agent, session, &draft);
        let row = RecordRow::decode(&bytes).unwrap();
        assert_eq!(row, RecordRow { agent, session, nonce: [7; 32], record: draft.record });
        for length in 0..RECORD_ROW_HEADER {
            assert!(RecordRow::decode(&bytes[..length]).is_err(), "{length}");
        }
        let mut other = bytes.clone();
        other[0] = 9;
        assert!(RecordRow::decode(&other).is_err());
    }

    #[test]
    fn an_oversized_draft_is_refused() {
        let mut draft = LeafDraft { record: "x".repeat(MAX_RECORD_BYTES), nonce: [0; 32], opening: None };
        assert!(draft.check().is_ok());
        draft.record.push('x');
        assert!(matches!(draft.check(), Err(StoreError::TooLarge { what: "a record", .. })));
    }
}
