//! What opens a record's commitments, kept encrypted under the session's key.

use gavel_log::judged::{Edit, Subject};
use gavel_log::record::Record;
use gavel_log::subject_form::Attachment;
use gavel_log::{Field, Hash, Opened, RecordSecret, apply_edits, jcs};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::{SessionKey, VaultError};

/// Why an opening cannot be made, kept or given.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// It does not encrypt or decrypt.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It is not of the form that this version writes.
    #[error("a stored opening is damaged: {0}")]
    Damaged(String),
}

/// The plaintext of a stored opening. The subject's text is left out, since it is the content.
#[derive(Serialize, Deserialize)]
pub struct Opening {
    secret: String,
    content: String,
    edits: Vec<Edit>,
    subject: Subject,
    /// The files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
}

impl Opening {
    pub(crate) fn new(
        secret: &RecordSecret,
        content: &str,
        edits: &[Edit],
        subject: &Subject,
        attachments: &[Attachment],
    ) -> Self {
        Self {
            secret: hex::encode(secret.expose()),
            content: content.to_owned(),
            edits: edits.to_vec(),
            subject: Subject { text: String::new(), ..subject.clone() },
            attachments: attachments.to_vec(),
        }
    }

    /// Encrypts it for the record with this hash.
    pub(crate) fn seal(&self, key: &SessionKey, record: &Hash) -> Result<Vec<u8>, OpeningError> {
        let json = serde_json::to_vec(self).map_err(|error| OpeningError::Damaged(error.to_string()))?;
        Ok(key.seal(record.as_bytes(), &Zeroizing::new(json))?)
    }

    /// Decrypts the opening of the record with this hash.
    ///
    /// # Errors
    /// If it is another record's, was sealed under another key, or is damaged.
    pub fn open(key: &SessionKey, record: &Hash, sealed: &[u8]) -> Result<Self, OpeningError> {
        let json = key.open(record.as_bytes(), sealed)?;
        serde_json::from_slice(&json).map_err(|error| OpeningError::Damaged(error.to_string()))
    }

    /// The whole subject that was judged.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject { text: self.content.clone(), ..self.subject.clone() }
    }

    /// The value and key of one of `record`'s fields: nothing else can be opened with it.
    ///
    /// # Errors
    /// If the stored opening does not fit the record.
    pub fn field(&self, field: Field, record: &Record) -> Result<Option<Opened>, OpeningError> {
        let damaged = |error: &dyn std::fmt::Display| OpeningError::Damaged(error.to_string());
        let secret = self.secret()?;
        let text = match field {
            Field::Content => Some(self.content.clone()),
            Field::Released if record.released.is_some() => self.released(record)?,
            Field::Edits if record.edits.is_some() => {
                Some(jcs::to_string(&self.edits).map_err(|error| damaged(&error))?)
            }
            Field::Subject => {
                let committed = secret.commit_subject_with(&self.subject(), &self.attachments);
                Some(committed.map_err(|error| damaged(&error))?.1)
            }
            _ => None,
        };
        Ok(text.map(|text| Opened { text, key: secret.key(&field) }))
    }

    fn released(&self, record: &Record) -> Result<Option<String>, OpeningError> {
        let damaged = |error: &dyn std::fmt::Display| OpeningError::Damaged(error.to_string());
        let Some(bytes) = record.coverage.released else { return Ok(None) };
        let bytes = usize::try_from(bytes).map_err(|error| damaged(&error))?;
        let source = self.content.get(..bytes).ok_or_else(|| damaged(&"more was released than received"))?;
        apply_edits(source, &self.edits).map(Some).map_err(|error| damaged(&error))
    }

    fn secret(&self) -> Result<RecordSecret, OpeningError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(&self.secret, &mut bytes).map_err(|error| OpeningError::Damaged(error.to_string()))?;
        Ok(RecordSecret::from_bytes(bytes))
    }
}
