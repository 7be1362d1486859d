//! What becomes of a text that was judged whole: the input, and older parts of the conversation.

use gavel_log::judged::{Edit, Subject};
use gavel_log::record::{Coverage, Outcome};
use gavel_store::MessageId;

use super::judge::Judgement;
use super::seal::Judged;

/// A whole text after its judgement.
pub(crate) struct Passage {
    /// The text that goes on; empty if none does.
    pub(crate) text: String,
    /// What was replaced in it.
    pub(crate) edits: Vec<Edit>,
    /// Whether nothing of it goes on.
    pub(crate) blocked: bool,
    coverage: Coverage,
}

impl Passage {
    pub(crate) fn of(judgement: &Judgement, text: &str) -> Self {
        let blocked = judgement.blocks();
        let (cleared, edits) = judgement.passed(text);
        let bytes = text.len() as u64;
        Self {
            text: if blocked { String::new() } else { cleared.into_string() },
            edits: if blocked { Vec::new() } else { edits },
            blocked,
            coverage: Coverage {
                received: bytes,
                judged: if judgement.enforcing() { bytes } else { 0 },
                released: Some(if blocked { 0 } else { bytes }),
                unjudged: 0,
            },
        }
    }

    /// The same when nothing of it may go on after all.
    pub(crate) fn withheld(self) -> Self {
        let coverage = Coverage { released: Some(0), ..self.coverage };
        Self { text: String::new(), edits: Vec::new(), coverage, ..self }
    }

    /// The same when what its edits would leave is not what it has to be: JSON, for instance.
    pub(crate) fn stopped(self) -> Self {
        Self { blocked: true, ..self.withheld() }
    }

    pub(crate) fn judged<'a>(
        &'a self,
        message: Option<MessageId>,
        judgement: &'a Judgement,
        subject: &'a Subject,
    ) -> Judged<'a> {
        Judged {
            message,
            judgement,
            subject,
            attachments: &[],
            outcome: if self.blocked { Outcome::Blocked } else { Outcome::Complete },
            released: &self.text,
            edits: &self.edits,
            coverage: self.coverage,
            streamed: None,
        }
    }
}
