//! Leaves of the log as callers hand them in and get them back.

use std::sync::Arc;

use gavel_log::record::MAX_RECORD_BYTES;
use gavel_log::{Edge, Hash};
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
    /// The tree's right edge.
    pub(crate) edge: Edge,
}

/// The version of the binary form of a [`Leaf`].
const LEAF_VERSION: u8 = 2;
/// Openings up to this length lie in their leaf. Larger ones have a table of their own, so that reading a bundle of
/// entries reads none of them.
pub(crate) const INLINE_OPENING_BYTES: usize = 4 * 1024;

/// Where a leaf's opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening<'a> {
    /// There is none.
    None,
    /// Here.
    Inline(&'a [u8]),
    /// In the table of openings.
    Apart,
}

/// A leaf as it is kept. In binary, since JSON inside JSON would have to be escaped: the version, the ids' 16
/// big-endian bytes each, the nonce, what the opening is; then entry, record and opening, each behind its length
/// in 4 big-endian bytes; then the checkpoint to the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaf<'a> {
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) nonce: [u8; 32],
    pub(crate) entry: &'a [u8],
    pub(crate) record: &'a str,
    pub(crate) opening: Opening<'a>,
    /// The signed head of the commit, if the leaf is its last.
    pub(crate) checkpoint: Option<&'a str>,
}

impl<'a> Leaf<'a> {
    /// The leaf's bytes. Those of a checkpoint may be added to those of a leaf without one.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (opening, inline) = match self.opening {
            Opening::None => (0, &[][..]),
            Opening::Inline(bytes) => (1, bytes),
            Opening::Apart => (2, &[][..]),
        };
        let checkpoint = self.checkpoint.unwrap_or_default();
        let parts = [self.entry, self.record.as_bytes(), inline];
        let length: usize = parts.iter().map(|part| part.len() + 4).sum();
        let mut bytes = Vec::with_capacity(LEAF_HEADER + length + checkpoint.len().max(CHECKPOINT_ROOM));
        bytes.push(LEAF_VERSION);
        bytes.extend_from_slice(&self.agent.key().to_be_bytes());
        bytes.extend_from_slice(&self.session.key().to_be_bytes());
        bytes.extend_from_slice(&self.nonce);
        bytes.push(opening);
        for part in parts {
            // Each is bounded far below 4 GiB before it comes here.
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(checkpoint.as_bytes());
        bytes
    }

    /// The leaf that `bytes` hold.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let damaged = |why: &str| StoreError::Corrupt(format!("a leaf {why}"));
        let short = || damaged("is too short");
        let (&version, rest) = bytes.split_first().ok_or_else(short)?;
        if version != LEAF_VERSION {
            return Err(damaged(&format!("has the unknown version {version}")));
        }
        let (agent, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (session, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (nonce, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let (&opening, rest) = rest.split_first().ok_or_else(short)?;
        let (entry, rest) = part(rest).ok_or_else(short)?;
        let (record, rest) = part(rest).ok_or_else(short)?;
        let (inline, checkpoint) = part(rest).ok_or_else(short)?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| damaged("is not UTF-8"));
        Ok(Self {
            agent: AgentId::from_key(u128::from_be_bytes(*agent)),
            session: SessionId::from_key(u128::from_be_bytes(*session)),
            nonce: *nonce,
            entry,
            record: text(record)?,
            opening: match opening {
                0 => Opening::None,
                1 => Opening::Inline(inline),
                2 => Opening::Apart,
                _ => return Err(damaged("has an opening of an unknown kind")),
            },
            checkpoint: if checkpoint.is_empty() { None } else { Some(text(checkpoint)?) },
        })
    }
}

/// Bytes before a leaf's parts: version, agent, session, nonce and the opening's kind.
const LEAF_HEADER: usize = 1 + 16 + 16 + 32 + 1;
/// About the bytes of a checkpoint.
const CHECKPOINT_ROOM: usize = 256;

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_read_as_written_and_a_cut_one_refused() {
        let leaf = |opening, checkpoint| Leaf {
            agent: AgentId::from_key(1),
            session: SessionId::from_key(2),
            nonce: [7; 32],
            entry: b"entry",
            record: "{\"v\":1}",
            opening,
            checkpoint,
        };
        for opening in [Opening::None, Opening::Apart, Opening::Inline(b""), Opening::Inline(b"secret")] {
            let plain = leaf(opening, None);
            let bytes = plain.encode();
            assert_eq!(Leaf::decode(&bytes).unwrap(), plain);
            for length in 0..bytes.len() {
                assert!(Leaf::decode(&bytes[..length]).is_err(), "{length}");
            }
            let signed = leaf(opening, Some("note"));
            assert_eq!([bytes.as_slice(), b"note"].concat(), signed.encode());
            assert_eq!(Leaf::decode(&signed.encode()).unwrap(), signed);
        }
        let mut other = leaf(Opening::None, None).encode();
        other[0] = 9;
        assert!(Leaf::decode(&other).is_err());
    }

    #[test]
    fn an_oversized_draft_is_refused() {
        let mut draft = LeafDraft { record: "x".repeat(MAX_RECORD_BYTES), nonce: [0; 32], opening: None };
        assert!(draft.check().is_ok());
        draft.record.push('x');
        assert!(matches!(draft.check(), Err(StoreError::TooLarge { what: "a record", .. })));
    }
}
