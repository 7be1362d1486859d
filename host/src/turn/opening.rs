//! What opens a record's commitments, kept encrypted under the session's key.

use gavel_log::judged::{Edit, Subject};
use gavel_log::record::Record;
use gavel_log::subject_form::Attachment;
use gavel_log::{Field, FieldKey, Hash, Opened, RecordSecret, Streamed, apply_edits, jcs};
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
    /// Each verdict as it was committed to; none of a policy that failed, nor of one that said too much to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<Option<String>>,
    /// Given where a policy failed while it followed the text: it may not fail on the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streamed: Option<Streamed>,
}

/// What an opening is made of.
pub(crate) struct OpeningParts<'a> {
    pub(crate) secret: &'a RecordSecret,
    pub(crate) subject: &'a Subject,
    pub(crate) edits: &'a [Edit],
    pub(crate) attachments: &'a [Attachment],
    pub(crate) verdicts: Vec<Option<String>>,
    pub(crate) streamed: Option<&'a Streamed>,
}

/// Most bytes of a record's verdicts that are kept with its opening. Honest ones have far fewer.
const VERDICTS_BYTES: usize = 256 << 10;

impl Opening {
    pub(crate) fn new(parts: OpeningParts<'_>) -> Self {
        let OpeningParts { secret, subject, edits, attachments, mut verdicts, streamed } = parts;
        let mut room = VERDICTS_BYTES;
        for verdict in &mut verdicts {
            match room.checked_sub(verdict.as_ref().map_or(0, String::len)) {
                Some(rest) => room = rest,
                None => *verdict = None,
            }
        }
        Self {
            secret: hex::encode(secret.expose()),
            content: subject.text.clone(),
            edits: edits.to_vec(),
            subject: Subject { text: String::new(), ..subject.clone() },
            attachments: attachments.to_vec(),
            verdicts,
            streamed: streamed.cloned(),
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

    /// How policies that failed while they followed the text were given it, if any did.
    #[must_use]
    pub fn streamed(&self) -> Option<&Streamed> {
        self.streamed.as_ref()
    }

    /// The keys that the record's verdicts are committed to under, in their order.
    ///
    /// # Errors
    /// If the stored opening is damaged.
    pub fn verdict_keys(&self, record: &Record) -> Result<Vec<FieldKey>, OpeningError> {
        let secret = self.secret()?;
        Ok((0..).zip(&record.verdicts).map(|(index, _)| secret.key(&Field::Verdict(index))).collect())
    }

    /// What was decided by the verdict at this place, where it is kept.
    #[must_use]
    pub fn verdict(&self, index: usize) -> Option<&str> {
        self.verdicts.get(index)?.as_deref()
    }

    /// The fields that the subject commits to: the parts of the conversation so far, and the attachments.
    #[must_use]
    pub fn subject_fields(&self) -> Vec<Field> {
        let said = (0..).zip(&self.subject.history);
        let parts = said
            .flat_map(|(message, said)| (0..).zip(&said.parts).map(move |(part, _)| Field::History { message, part }));
        parts.chain((0..).zip(&self.attachments).map(|(index, _)| Field::Attachment(index))).collect()
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
            Field::Verdict(index) => position(index).and_then(|index| self.verdict(index)).map(str::to_owned),
            Field::History { message, part } => self.said(message, part).cloned(),
            Field::Attachment(index) => match position(index).and_then(|index| self.attachments.get(index)) {
                Some(file) => Some(jcs::to_string(file).map_err(|error| damaged(&error))?),
                None => None,
            },
            Field::Released | Field::Edits => None,
        };
        Ok(text.map(|text| Opened { text, key: secret.key(&field) }))
    }

    fn said(&self, message: u32, part: u32) -> Option<&String> {
        self.subject.history.get(position(message)?)?.parts.get(position(part)?)
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

fn position(index: u32) -> Option<usize> {
    usize::try_from(index).ok()
}
