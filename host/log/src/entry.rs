//! The public, blind leaf of the log.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{Hash, ParseError, lower_hex};
use crate::{MAX_INTEGER, jcs};

/// The version of the entry format that this crate writes.
pub const ENTRY_VERSION: u32 = 1;
/// Most bytes of an entry.
pub const MAX_ENTRY_BYTES: usize = 299;

/// The random name of one agent's row of entries; 32 lower-case hex digits. Who knows it can follow the row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chain(pub [u8; 16]);

/// One leaf: it commits to a record and says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The agent's chain.
    pub chain: Chain,
    /// Position in the chain, from 0, at most 2^53 − 1. Without gaps, so an omission shows.
    pub seq: u64,
    /// Leaf hash of the chain's previous entry; [`Hash::ZERO`] at first.
    pub prev: Hash,
    /// [`record_hash`](crate::record_hash) of the record.
    pub record: Hash,
}

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Longer than [`MAX_ENTRY_BYTES`].
    #[error("an entry has at most {MAX_ENTRY_BYTES} bytes, this has {0}")]
    Size(usize),
    /// Not the JSON of an entry.
    #[error("not an entry: {0}")]
    Json(#[from] serde_json::Error),
    /// A version that this crate does not know.
    #[error("entry version {0} is unknown")]
    Version(u64),
    /// `seq` is beyond 2^53 − 1.
    #[error("the sequence number {0} is beyond 2^53 - 1")]
    Seq(u64),
    /// `seq` and `prev` disagree on whether this is the first of its chain.
    #[error("the first entry of a chain, and no other, has a prev of zeros")]
    First,
    /// Not RFC 8785's form.
    #[error("the entry is not canonical JSON")]
    Form,
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    v: u64,
    chain: Chain,
    seq: u64,
    prev: Hash,
    record: Hash,
}

impl Entry {
    /// The leaf's bytes: RFC 8785 of `{v, chain, seq, prev, record}`.
    ///
    /// Written member by member, since every entry takes this way; a test holds it equal to [`jcs::to_string`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { chain, seq, prev, record } = self;
        format!(r#"{{"chain":"{chain}","prev":"{prev}","record":"{record}","seq":{seq},"v":{ENTRY_VERSION}}}"#)
            .into_bytes()
    }

    /// Reads an entry; what is read writes back as the same bytes.
    ///
    /// # Errors
    /// Whenever the bytes are not exactly those that [`to_bytes`](Self::to_bytes) gives for some entry within bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::Size(bytes.len()));
        }
        let entry = Self::from_form(&serde_json::from_slice(bytes)?)?;
        if entry.to_bytes() == bytes { Ok(entry) } else { Err(EntryError::Form) }
    }

    /// The entry's place in the tree: `SHA-256(0x00 ‖ bytes)`.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::leaf(&self.to_bytes())
    }

    /// The same as canonical JSON, by the general way.
    ///
    /// # Errors
    /// When `seq` is beyond 2^53 − 1.
    pub fn to_canonical(&self) -> Result<String, jcs::JcsError> {
        let Self { chain, seq, prev, record } = *self;
        jcs::to_string(&Form { v: ENTRY_VERSION.into(), chain, seq, prev, record })
    }

    fn from_form(form: &Form) -> Result<Self, EntryError> {
        let Form { v, chain, seq, prev, record } = *form;
        if v != u64::from(ENTRY_VERSION) {
            return Err(EntryError::Version(v));
        }
        if seq > MAX_INTEGER {
            return Err(EntryError::Seq(seq));
        }
        if (seq == 0) != (prev == Hash::ZERO) {
            return Err(EntryError::First);
        }
        Ok(Self { chain, seq, prev, record })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

impl FromStr for Chain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        lower_hex(text).map(Self)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
