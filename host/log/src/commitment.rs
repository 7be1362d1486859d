//! Commitments: what a record says of a text without saying the text.
//!
//! Each field has a key of its own, so that an opening hands out only what it opens: who may read the redacted text
//! cannot try out guesses of the original.

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroize as _;

use crate::hash::{Hash, ParseError, lower_hex};
use crate::jcs::{self, JcsError};
use crate::judged::{Edit, Subject, Verdict};
use crate::subject_form::{self, Attachment};

/// A record's secret: 32 random bytes that its field keys are drawn from. Wiped when dropped.
pub struct RecordSecret {
    bytes: [u8; 32],
    /// What HKDF extracts from them, once for all fields.
    extracted: [u8; 32],
}

/// The key that commits to one field of one record. Wiped when dropped.
pub struct FieldKey([u8; 32]);

/// What a commitment is to. `Display` is the HKDF info string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The subject's committed form.
    Subject,
    /// The text received.
    Content,
    /// The text released.
    Released,
    /// The merged edits.
    Edits,
    /// The verdict of the policy at this position of the record's `verdicts`.
    Verdict(u32),
    /// A text part of the subject's history.
    History {
        /// The message's position, oldest first, from 0.
        message: u32,
        /// The part's position, from 0.
        part: u32,
    },
    /// The subject's attachment at this position.
    Attachment(u32),
}

/// The name is not one of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a field's name")]
pub struct FieldError;

impl RecordSecret {
    /// Takes 32 bytes of a cryptographic random source.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut key = Hkdf::<Sha256>::extract(None, &bytes).0;
        let extracted = key.into();
        key.zeroize();
        Self { bytes, extracted }
    }

    /// The bytes, to be stored encrypted.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The field's key: HKDF-SHA-256 (RFC 5869) of the secret, without salt, the field's name as info, 32 bytes.
    #[must_use]
    pub fn key(&self, field: &Field) -> FieldKey {
        let mut key = [0; 32];
        #[expect(clippy::expect_used, reason = "HKDF-SHA-256 takes 32 bytes and refuses only outputs beyond 8,160")]
        Hkdf::<Sha256>::from_prk(&self.extracted)
            .expect("32 bytes are what HKDF-SHA-256 extracts")
            .expand(field.to_string().as_bytes(), &mut key)
            .expect("HKDF-SHA-256 refuses only outputs beyond 8,160 bytes");
        FieldKey(key)
    }

    /// HMAC-SHA-256 of the value under the field's key.
    #[must_use]
    pub fn commit(&self, field: &Field, value: &[u8]) -> Hash {
        self.key(field).commit(value)
    }

    /// The commitment to a subject without attachments, and the committed form that it is to.
    ///
    /// # Errors
    /// When `now_ms` is beyond 2^53 − 1.
    pub fn commit_subject(&self, subject: &Subject) -> Result<(Hash, String), JcsError> {
        self.commit_subject_with(subject, &[])
    }

    /// The commitment to a subject with attachments, and the committed form that it is to.
    ///
    /// # Errors
    /// When `now_ms` or an attachment's size is beyond 2^53 − 1.
    pub fn commit_subject_with(
        &self,
        subject: &Subject,
        attachments: &[Attachment],
    ) -> Result<(Hash, String), JcsError> {
        let form = subject_form::of(self, subject, attachments)?;
        Ok((self.commit(&Field::Subject, form.as_bytes()), form))
    }

    /// The commitment to a whole verdict, in canonical JSON.
    ///
    /// # Errors
    /// When it has no canonical form; a verdict always has.
    pub fn commit_verdict(&self, index: u32, verdict: &Verdict) -> Result<Hash, JcsError> {
        Ok(self.commit(&Field::Verdict(index), jcs::to_string(verdict)?.as_bytes()))
    }

    /// The commitment to merged edits, in canonical JSON.
    ///
    /// # Errors
    /// When they have no canonical form; edits always have.
    pub fn commit_edits(&self, edits: &[Edit]) -> Result<Hash, JcsError> {
        Ok(self.commit(&Field::Edits, jcs::to_string(edits)?.as_bytes()))
    }
}

impl Drop for RecordSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.extracted.zeroize();
    }
}

impl fmt::Debug for RecordSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordSecret(…)")
    }
}

impl FieldKey {
    /// 64 lower-case hex digits, for an opening.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads what [`to_hex`](Self::to_hex) writes.
    ///
    /// # Errors
    /// When the text is not 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Result<Self, ParseError> {
        lower_hex(text).map(Self)
    }

    /// HMAC-SHA-256 of the value under this key.
    #[must_use]
    pub fn commit(&self, value: &[u8]) -> Hash {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        Hash(mac.chain_update(value).finalize().into_bytes().into())
    }
}

impl Clone for FieldKey {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl PartialEq for FieldKey {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for FieldKey {}

impl Drop for FieldKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldKey(…)")
    }
}

impl Serialize for FieldKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for FieldKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_hex(&text).map_err(D::Error::custom)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("subject"),
            Self::Content => f.write_str("content"),
            Self::Released => f.write_str("released"),
            Self::Edits => f.write_str("edits"),
            Self::Verdict(index) => write!(f, "verdict/{index}"),
            Self::History { message, part } => write!(f, "history/{message}/{part}"),
            Self::Attachment(index) => write!(f, "attachment/{index}"),
        }
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(name: &str) -> Result<Self, FieldError> {
        let number = |text: &str| text.parse().map_err(|_| FieldError);
        let field = match name.split('/').collect::<Vec<_>>().as_slice() {
            ["subject"] => Self::Subject,
            ["content"] => Self::Content,
            ["released"] => Self::Released,
            ["edits"] => Self::Edits,
            ["verdict", index] => Self::Verdict(number(index)?),
            ["history", message, part] => Self::History { message: number(message)?, part: number(part)? },
            ["attachment", index] => Self::Attachment(number(index)?),
            _ => return Err(FieldError),
        };
        // Numbers have one spelling: no sign, no leading zeros.
        if field.to_string() == name { Ok(field) } else { Err(FieldError) }
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
