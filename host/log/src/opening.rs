//! Openings: texts and the keys that show them to be what a record commits to.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::commitment::{Field, FieldKey};
use crate::edits::{EditError, apply_edits};
use crate::hash::Hash;
use crate::judged::Edit;
use crate::record::Record;
use crate::subject_form::SubjectForm;

/// Most fields that one opening opens.
pub const MAX_OPENED: usize = 4096;

/// Opened fields by name. Every committed value is a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Opening(pub BTreeMap<Field, Opened>);

/// One opened field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The committed value.
    pub text: String,
    /// The field's key.
    pub key: FieldKey,
}

/// Why an opening does not fit its record.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// Neither record nor opened subject commits to such a field.
    #[error("nothing commits to the opened field {0}")]
    NotCommitted(Field),
    /// Text and key give another commitment.
    #[error("the opened {0} is not what the record commits to")]
    Mismatch(Field),
    /// The opened subject, edits or verdict is not of its form.
    #[error("the opened {0} has not its committed form: {1}")]
    Form(Field, serde_json::Error),
    /// The subject's text is not the record's content.
    #[error("the opened subject is about another text than the record's content")]
    OtherText,
    /// The released text does not follow from the content.
    #[error("the opened content, edits and released text do not fit together")]
    Released,
    /// The edits do not fit the content.
    #[error("the opened edits do not fit the opened content: {0}")]
    Edits(#[from] EditError),
}

impl Opening {
    /// Checks every opened field against the record, and names them in order.
    ///
    /// Parts of the history and attachments are committed to by the subject, so they need it opened beside them.
    ///
    /// # Errors
    /// When a field is not committed to, or not what is committed to, or what is opened does not fit together.
    pub fn check(&self, record: &Record) -> Result<Vec<Field>, OpeningError> {
        let subject = self.check_subject(record)?;
        for (field, opened) in &self.0 {
            let committed =
                commitment_of(*field, record, subject.as_ref()).ok_or(OpeningError::NotCommitted(*field))?;
            opened.check(*field, committed)?;
        }
        self.check_released(record)?;
        Ok(self.0.keys().copied().collect())
    }

    fn check_subject(&self, record: &Record) -> Result<Option<SubjectForm>, OpeningError> {
        let Some(opened) = self.0.get(&Field::Subject) else {
            return Ok(None);
        };
        opened.check(Field::Subject, record.subject.ok_or(OpeningError::NotCommitted(Field::Subject))?)?;
        let form: SubjectForm =
            serde_json::from_str(&opened.text).map_err(|error| OpeningError::Form(Field::Subject, error))?;
        if record.content.is_some_and(|content| content != form.text) {
            return Err(OpeningError::OtherText);
        }
        Ok(Some(form))
    }

    /// `released` = apply(edits, content[..coverage.released]), where all of it is known.
    fn check_released(&self, record: &Record) -> Result<(), OpeningError> {
        let (Some(content), Some(released)) = (self.0.get(&Field::Content), self.0.get(&Field::Released)) else {
            return Ok(());
        };
        let edits: Vec<Edit> = match (self.0.get(&Field::Edits), record.edits) {
            (Some(opened), _) => {
                serde_json::from_str(&opened.text).map_err(|error| OpeningError::Form(Field::Edits, error))?
            }
            (None, None) => Vec::new(),
            (None, Some(_)) => return Ok(()),
        };
        let Some(length) = record.coverage.released else {
            return Ok(());
        };
        let source = usize::try_from(length).ok().and_then(|length| content.text.get(..length));
        let source = source.ok_or(OpeningError::Released)?;
        if apply_edits(source, &edits)? == released.text { Ok(()) } else { Err(OpeningError::Released) }
    }
}

impl Opened {
    fn check(&self, field: Field, committed: Hash) -> Result<(), OpeningError> {
        if self.key.commit(self.text.as_bytes()) == committed { Ok(()) } else { Err(OpeningError::Mismatch(field)) }
    }
}

fn commitment_of(field: Field, record: &Record, subject: Option<&SubjectForm>) -> Option<Hash> {
    let position = |index: u32| usize::try_from(index).ok();
    match field {
        Field::Subject => record.subject,
        Field::Content => record.content,
        Field::Released => record.released,
        Field::Edits => record.edits,
        Field::Verdict(index) => record.verdicts.get(position(index)?)?.verdict,
        Field::History { message, part } => {
            subject?.history.get(position(message)?)?.parts.get(position(part)?).copied()
        }
        Field::Attachment(index) => subject?.attachments.get(position(index)?).copied(),
    }
}

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OpeningVisitor)
    }
}

/// Reads the map within its bound, and refuses a field that is opened twice.
struct OpeningVisitor;

impl<'de> Visitor<'de> for OpeningVisitor {
    type Value = Opening;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("opened fields by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Opening, A::Error> {
        let mut opened = BTreeMap::new();
        while let Some((field, value)) = map.next_entry::<Field, Opened>()? {
            if opened.len() >= MAX_OPENED {
                return Err(A::Error::custom("too many opened fields"));
            }
            if opened.insert(field, value).is_some() {
                return Err(A::Error::custom(format_args!("the field {field} is opened twice")));
            }
        }
        Ok(Opening(opened))
    }
}
