//! The committed form of a subject: everything a policy was given, with each text replaced by its commitment.
//! Fields stand in canonical order, which lets [`jcs`] write without sorting.

use serde::{Deserialize, Serialize};

use crate::commitment::{Field, RecordSecret};
use crate::hash::Hash;
use crate::jcs::{self, JcsError};
use crate::judged::{Role, Stage, Subject};

/// A file that a policy was given. Its digest stands for its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Such as `image/png`.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub sha256: Hash,
    /// Bytes, at most 2^53 − 1.
    pub size: u64,
}

/// The form, as `docs/formats.md` fixes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectForm {
    /// Commitments to the attachments.
    pub attachments: Vec<Hash>,
    /// Sorted by name.
    pub facts: Vec<(String, String)>,
    /// The conversation so far.
    pub history: Vec<HistoryForm>,
    /// The model's name.
    pub model: String,
    /// When the turn began, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The provider's name.
    pub provider: String,
    /// The stage.
    pub stage: Stage,
    /// Commitment to the text, the record's `content`.
    pub text: Hash,
    /// The tool's name.
    pub tool: Option<String>,
}

/// One message of the conversation so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryForm {
    /// Commitments to its text parts.
    pub parts: Vec<Hash>,
    /// Who speaks.
    pub role: Role,
}

/// The committed form's canonical JSON.
pub(crate) fn of(secret: &RecordSecret, subject: &Subject, attachments: &[Attachment]) -> Result<String, JcsError> {
    let attachments = (0..)
        .zip(attachments)
        .map(|(index, file)| Ok(secret.commit(&Field::Attachment(index), jcs::to_string(file)?.as_bytes())))
        .collect::<Result<_, JcsError>>()?;
    let history = (0..)
        .zip(&subject.history)
        .map(|(message, said)| {
            let commit =
                |(part, text): (u32, &String)| secret.commit(&Field::History { message, part }, text.as_bytes());
            HistoryForm { role: said.role, parts: (0..).zip(&said.parts).map(commit).collect() }
        })
        .collect();
    jcs::to_string(&SubjectForm {
        stage: subject.stage,
        text: secret.commit(&Field::Content, subject.text.as_bytes()),
        tool: subject.tool.clone(),
        model: subject.model.clone(),
        provider: subject.provider.clone(),
        now_ms: subject.now_ms,
        facts: subject.facts.clone(),
        attachments,
        history,
    })
}
