//! Messages of a session and their place in it.

use std::fmt;
use std::str::FromStr;

use gavel_log::Hash;
use gavel_log::judged::Role;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::id::{FileId, MessageId, SessionId};
use crate::row;
use crate::tables::TURN;

/// A message to be stored with a turn's seal.
#[derive(Clone, Debug)]
pub struct MessageDraft {
    /// Its id: the turn's input or answer.
    pub id: MessageId,
    /// Who speaks.
    pub role: Role,
    /// The text that passed, encrypted by the caller.
    pub content: Vec<u8>,
    /// How the answer ended; none for an input.
    pub finish_reason: Option<String>,
    /// The digest of the bindings that judged it.
    pub judged: Option<Hash>,
    /// The files that came with it.
    pub attached: Option<Attachments>,
    /// When it came, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// The files that came with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachments {
    /// Their ids; the files may be gone.
    pub files: Vec<FileId>,
    /// Bytes of the message's own text, with which its content begins: what follows are the files' texts.
    pub own_bytes: u64,
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// Its session.
    pub session: SessionId,
    /// The number of its turn.
    pub turn: u64,
    /// Whether it is its turn's input or its answer.
    pub part: TurnPart,
    /// Who speaks.
    pub role: Role,
    /// The text that passed, encrypted; empty for a blocked input.
    pub content: Vec<u8>,
    /// How the answer ended; none for an input that passed.
    pub finish_reason: Option<String>,
    /// The log's leaves that judged it, oldest first.
    pub leaf_hashes: Vec<Hash>,
    /// The digest of the bindings that last judged it.
    pub judged: Option<Hash>,
    /// The files that came with it.
    pub attached: Option<Attachments>,
    /// When it came, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

impl StoredMessage {
    /// Its place in the session: what a page that ends with it goes on from.
    #[must_use]
    pub fn position(&self) -> MessagePosition {
        MessagePosition { turn: self.turn, part: self.part }
    }
}

/// Which message of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnPart {
    /// The client's.
    Input,
    /// The model's.
    Answer,
}

impl TurnPart {
    /// The last part of its key, behind that of its turn's row.
    pub(crate) fn key(self) -> u8 {
        TURN + 1 + self.digit()
    }

    pub(crate) fn from_key(key: u8) -> Option<Self> {
        [Self::Input, Self::Answer].into_iter().find(|part| part.key() == key)
    }

    /// How a position names it.
    fn digit(self) -> u8 {
        match self {
            Self::Input => 0,
            Self::Answer => 1,
        }
    }
}

/// A message's place in its session. As text, for cursors: the turn's number and `.0` or `.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessagePosition {
    /// The turn's number.
    pub turn: u64,
    /// Which of its messages.
    pub part: TurnPart,
}

/// A text that is not a [`MessagePosition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message's position is a turn's number, a point and 0 or 1")]
pub struct PositionError;

impl fmt::Display for MessagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.part.digit())
    }
}

impl FromStr for MessagePosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (turn, part) = text.split_once('.').ok_or(PositionError)?;
        let turn = turn.parse().map_err(|_| PositionError)?;
        let part = [TurnPart::Input, TurnPart::Answer].into_iter().find(|known| part == known.digit().to_string());
        let part = part.ok_or(PositionError)?;
        let position = Self { turn, part };
        if position.to_string() == text { Ok(position) } else { Err(PositionError) }
    }
}

/// A message without its text. It is kept as the length of its [`row`]'s bytes in 4 big-endian bytes, that row, and the
/// text to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) role: Role,
    pub(crate) finish_reason: Option<String>,
    pub(crate) leaf_hashes: Vec<Hash>,
    pub(crate) judged: Option<Hash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attached: Option<Attachments>,
    pub(crate) created_at: i64,
}

impl MessageRow {
    /// The bytes of the message with this text.
    pub(crate) fn encode(&self, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        let row = row::encode(self)?;
        let length = u32::try_from(row.len()).map_err(|error| StoreError::Encode(error.to_string()))?;
        Ok([&length.to_be_bytes()[..], &row, content].concat())
    }

    /// The message that `bytes` hold, and its text.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), StoreError> {
        let parts = bytes
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?));
        let (row, content) = parts.ok_or_else(|| StoreError::Corrupt("a message is too short".into()))?;
        Ok((row::decode("messages", row)?, content))
    }

    /// The message that stands at this place.
    pub(crate) fn into_message(self, session: SessionId, position: MessagePosition, content: Vec<u8>) -> StoredMessage {
        StoredMessage {
            id: self.id,
            session,
            turn: position.turn,
            part: position.part,
            role: self.role,
            content,
            finish_reason: self.finish_reason,
            leaf_hashes: self.leaf_hashes,
            judged: self.judged,
            attached: self.attached,
            created_at: self.created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_parsed_strictly() {
        let position = MessagePosition { turn: 12, part: TurnPart::Answer };
        assert_eq!(position.to_string(), "12.1");
        assert_eq!("12.1".parse(), Ok(position));
        for bad in ["", "12", "12.2", "+12.1", "012.1", "12.01", "12.1.", "-1.0"] {
            assert_eq!(bad.parse::<MessagePosition>(), Err(PositionError), "{bad}");
        }
    }
}
