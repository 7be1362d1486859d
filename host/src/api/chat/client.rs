//! What a client says in a chat.

use gavel_store::{FileId, MessageId};
use serde::Deserialize;

use crate::object::Object;

/// A frame may be larger than its text: every byte may be escaped as `\u0000`, and there are other fields.
const ESCAPED: usize = 8;
const OTHER_FIELDS: usize = 4 * 1024;
/// Most files that come with one message.
const MAX_FILES: usize = 16;

/// Most bytes of a frame whose text may have `message_bytes`.
pub(super) fn frame_limit(message_bytes: usize) -> usize {
    message_bytes.saturating_mul(ESCAPED).saturating_add(OTHER_FIELDS)
}

/// One frame of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Wire {
    Message {
        content: String,
        message_id: Option<MessageId>,
        #[serde(default)]
        files: Vec<String>,
    },
    Cancel {
        message_id: Option<MessageId>,
    },
    Resume {
        message_id: MessageId,
    },
    Ping {},
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A turn with this text.
    Say { message: MessageId, content: String, files: Vec<FileId> },
    /// The end of a turn: the one named, or the one under way.
    Cancel(Option<MessageId>),
    /// A turn's frames from the start.
    Resume(MessageId),
    /// An answer.
    Ping,
}

/// Why a frame is no wish: a code, words for people, and the message that it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) about: Option<MessageId>,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>, about: Option<MessageId>) -> Self {
        Self { code, message: message.into(), about, retry_after: None }
    }
}

/// Reads a frame whose text may have at most `message_bytes`.
pub(super) fn parse(text: &str, message_bytes: usize) -> Result<Wish, Refusal> {
    let Object(wire): Object<Wire> = serde_json::from_str(text)
        .map_err(|error| Refusal::new("invalid_request", format!("not a frame of this chat: {error}"), None))?;
    match wire {
        Wire::Message { content, message_id, files } => {
            if content.len() > message_bytes {
                let detail = format!("the content is larger than {message_bytes} bytes");
                return Err(Refusal::new("message_too_large", detail, message_id));
            }
            let files = file_ids(&files).map_err(|(code, detail)| Refusal::new(code, detail, message_id))?;
            if content.is_empty() {
                return Err(Refusal::new("invalid_request", "the content is empty", message_id));
            }
            Ok(Wish::Say { message: message_id.unwrap_or_else(MessageId::generate), content, files })
        }
        Wire::Cancel { message_id } => Ok(Wish::Cancel(message_id)),
        Wire::Resume { message_id } => Ok(Wish::Resume(message_id)),
        Wire::Ping {} => Ok(Wish::Ping),
    }
}

/// The files that a message names, each once.
fn file_ids(named: &[String]) -> Result<Vec<FileId>, (&'static str, String)> {
    if named.len() > MAX_FILES {
        return Err(("invalid_request", format!("a message takes at most {MAX_FILES} files")));
    }
    let mut files = Vec::with_capacity(named.len());
    for name in named {
        let file = name.parse().map_err(|_| ("file_not_found", "there is no such file".to_owned()))?;
        if !files.contains(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        parse(text, 8).unwrap_err().code
    }

    #[test]
    fn the_four_frames_are_understood() {
        let id = MessageId::generate();
        let say = parse(&format!(r#"{{"type":"message","content":"hi","message_id":"{id}"}}"#), 8);
        assert_eq!(say, Ok(Wish::Say { message: id, content: "hi".to_owned(), files: Vec::new() }));
        assert_eq!(parse(r#"{"type":"cancel"}"#, 8), Ok(Wish::Cancel(None)));
        let resume = parse(&format!(r#"{{"type":"resume","message_id":"{id}"}}"#), 8);
        assert_eq!(resume, Ok(Wish::Resume(id)));
        assert_eq!(parse(r#"{"type":"ping"}"#, 8), Ok(Wish::Ping));
    }

    #[test]
    fn files_are_named_once_and_by_their_ids() {
        let file = FileId::generate();
        let said = parse(&format!(r#"{{"type":"message","content":"hi","files":["{file}","{file}"]}}"#), 8);
        assert!(matches!(said, Ok(Wish::Say { files, .. }) if files == [file]));
        let many = vec![format!("\"{file}\""); MAX_FILES + 1].join(",");
        assert_eq!(code(&format!(r#"{{"type":"message","content":"hi","files":[{many}]}}"#)), "invalid_request");
    }

    #[test]
    fn a_message_of_no_id_gets_one() {
        assert!(matches!(parse(r#"{"type":"message","content":"12345678"}"#, 8), Ok(Wish::Say { .. })));
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        assert_eq!(code("not json"), "invalid_request");
        assert_eq!(code(r#"["ping"]"#), "invalid_request");
        assert_eq!(code(r#"{"type":"shout"}"#), "invalid_request");
        assert_eq!(code(r#"{"type":"ping","extra":1}"#), "invalid_request");
        assert_eq!(code(r#"{"type":"message","content":"hi","message_id":"msg_1"}"#), "invalid_request");
        assert_eq!(code(r#"{"type":"message","content":"hi","contents":"hi"}"#), "invalid_request");
        assert_eq!(code(r#"{"type":"message","content":""}"#), "invalid_request");
        assert_eq!(code(r#"{"type":"message","content":"123456789"}"#), "message_too_large");
        assert_eq!(code(r#"{"type":"message","content":"hi","files":["file_1"]}"#), "file_not_found");
    }
}
