//! SHA-256 digests and the two hashes of an RFC 6962 tree.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// RFC 6962's prefix of a leaf.
const LEAF: [u8; 1] = [0x00];
/// RFC 6962's prefix of an inner node.
const NODE: [u8; 1] = [0x01];
/// What a hash is written with where its algorithm has to be named.
const TAG: &str = "sha256:";

/// A SHA-256 digest; in JSON and `Display` 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not the right number of lower-case hex digits.
    #[error("expected {0} lower-case hex digits")]
    Hex(usize),
    /// The `sha256:` in front is missing.
    #[error("expected \"sha256:\" and 64 lower-case hex digits")]
    Tag,
}

impl Hash {
    /// Thirty-two zero bytes: the `prev` of a chain's first entry. No known data has this digest.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// RFC 6962 §2.1's hash of a leaf: `SHA-256(0x00 ‖ entry)`.
    #[must_use]
    pub fn leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update(LEAF).chain_update(entry).finalize().into())
    }

    /// RFC 6962 §2.1's hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        Self(Sha256::new().chain_update(NODE).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `sha256:` and 64 lower-case hex digits.
    #[must_use]
    pub fn tagged(&self) -> String {
        format!("{TAG}{self}")
    }

    /// Reads what [`tagged`](Self::tagged) writes, and nothing else.
    ///
    /// # Errors
    /// When the tag or the digits are not exactly of that form.
    pub fn parse_tagged(text: &str) -> Result<Self, ParseError> {
        text.strip_prefix(TAG).ok_or(ParseError::Tag)?.parse().map_err(|_| ParseError::Tag)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        lower_hex(text).map(Self)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Reads exactly `N` bytes of lower-case hex.
pub(crate) fn lower_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseError> {
    let malformed = ParseError::Hex(2 * N);
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed);
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed)?;
    Ok(bytes)
}

/// Serde for 32 bytes as lower-case hex, where they are not a digest.
pub(crate) mod hex32 {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        super::lower_hex(&text).map_err(D::Error::custom)
    }
}
