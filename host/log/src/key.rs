//! The log's name and its Ed25519 keys, as C2SP signed-note has them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;

/// Most bytes of an origin.
pub const MAX_ORIGIN_BYTES: usize = 255;
/// Signed-note's type byte of an Ed25519 key.
const ED25519: u8 = 0x01;
/// Its type byte of a witness's Ed25519 key, which signs `cosignature/v1` messages.
const COSIGNATURE: u8 = 0x04;
/// Most bytes of a verifier key's text: an origin, eight digits, the key in base64.
const MAX_VKEY_BYTES: usize = MAX_ORIGIN_BYTES + 64;

/// A log's name, the first line of its checkpoints and the name of its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Why a text is no origin or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a signed-note key name.
    #[error("an origin has 1 to {MAX_ORIGIN_BYTES} bytes, without spaces, control characters or '+'")]
    Origin,
    /// Not `<name>+<id>+<base64>`.
    #[error("not a verifier key: expected <name>+<8 hex digits>+<base64>")]
    Form,
    /// Of another type than was asked for: 0x01 for logs, 0x04 for witnesses.
    #[error("the verifier key is of type 0x{0:02x}")]
    Type(u8),
    /// The id is not the hash of name and key.
    #[error("the verifier key's id does not belong to its name and key")]
    Id,
    /// Not a point of the curve, or a weak one.
    #[error("the verifier key's bytes are no sound Ed25519 key")]
    Point,
}

impl Origin {
    /// Takes a name of 1 to 255 bytes without Unicode spaces, control characters or `+`.
    ///
    /// # Errors
    /// On any other.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        let bounded = name.len() <= MAX_ORIGIN_BYTES;
        if bounded && signed_note::is_key_name_valid(name) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(KeyError::Origin)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Origin {
    type Error = KeyError;

    fn try_from(name: String) -> Result<Self, KeyError> {
        Self::parse(&name)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

/// The key that signs checkpoints. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: VerifierKey,
}

impl SigningKey {
    /// The key of RFC 8032 that belongs to 32 random bytes, under the log's name.
    #[must_use]
    pub fn from_seed(seed: [u8; 32], origin: Origin) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = VerifierKey::new(ED25519, origin, key.verifying_key());
        Self { key, public }
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.public.name
    }

    /// What others verify with.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// The signed note of a checkpoint. It carries this key's name: a checkpoint of another origin does not verify.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let body = checkpoint.body();
        let signature = self.key.sign(body.as_bytes());
        let mut blob = self.public.id.to_be_bytes().to_vec();
        blob.extend_from_slice(&signature.to_bytes());
        format!("{body}\n\u{2014} {} {}\n", self.public.name, STANDARD.encode(blob))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public half: in text `<name>+<id>+<base64 of type byte and key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    kind: u8,
    name: Origin,
    id: u32,
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(kind: u8, name: Origin, key: VerifyingKey) -> Self {
        let id = signed_note::key_id(name.as_str(), &typed(kind, &key));
        Self { kind, name, id, key }
    }

    /// Reads the text of a log's key (type 0x01), in its one spelling.
    ///
    /// # Errors
    /// When the form, type, id or key is not right.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::parse_kind(ED25519, text)
    }

    /// Reads the text of a witness's key (type 0x04), in its one spelling. Such a key signs no checkpoint as a log
    /// does: give it to [`Checkpoint::cosigned`].
    ///
    /// # Errors
    /// When the form, type, id or key is not right.
    pub fn parse_witness(text: &str) -> Result<Self, KeyError> {
        Self::parse_kind(COSIGNATURE, text)
    }

    fn parse_kind(expected: u8, text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_VKEY_BYTES {
            return Err(KeyError::Form);
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let name = Origin::parse(name)?;
        let blob = STANDARD.decode(blob).map_err(|_| KeyError::Form)?;
        let (kind, bytes) = blob.split_first().ok_or(KeyError::Form)?;
        if *kind != expected {
            return Err(KeyError::Type(*kind));
        }
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::Form)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        let parsed = Self::new(expected, name, key);
        if id == format!("{:08x}", parsed.id) { Ok(parsed) } else { Err(KeyError::Id) }
    }

    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &Origin {
        &self.name
    }

    /// Signed-note's key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn is_witness(&self) -> bool {
        self.kind == COSIGNATURE
    }

    /// SHA-256 of the bare public key: what keys are counted by, whatever their names.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        Hash::of(self.key.as_bytes())
    }

    /// Whether `signature` is this key's over `text`; RFC 8032, and strict where that leaves a choice.
    pub(crate) fn accepts(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

fn typed(kind: u8, key: &VerifyingKey) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed(self.kind, &self.key)))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's `golang.org/x/mod/sumdb/note`, on which C2SP signed-note is founded.
    #[test]
    fn accepts_the_published_note() {
        let key = VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let blob = STANDARD
            .decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
            .unwrap();
        let (id, signature) = blob.split_at(4);
        assert_eq!(id, key.id().to_be_bytes());
        assert!(key.accepts(text.as_bytes(), signature));
        assert!(!key.accepts(text.trim_end().as_bytes(), signature));
        assert!(!key.accepts(text.as_bytes(), &blob));
    }

    #[test]
    fn refuses_a_weak_key() {
        let mut blob = vec![ED25519; 33];
        blob[1..].fill(0);
        let id = signed_note::key_id("weak", &blob);
        let text = format!("weak+{id:08x}+{}", STANDARD.encode(&blob));
        assert_eq!(VerifierKey::parse(&text), Err(KeyError::Point));
    }
}
