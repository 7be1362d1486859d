//! Turns: what a caller seals and what is kept of it.

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::id::{AgentId, MessageId, SessionId};
use crate::leaf::{LeafDraft, LeafPlace, MAX_BLOB_BYTES, Sealed, within};
use crate::message::{MessageDraft, StoredMessage};
use crate::usage::MonthLimits;

/// Most older parts that one input's seal may bring along.
pub const MAX_EARLIER: usize = 4096;
/// Most records that an output's seal may bring besides its own.
pub(crate) const MAX_ALSO: usize = 64;
/// Most bytes of a finish reason.
pub const MAX_FINISH_REASON_BYTES: usize = 64;
/// The finish reason of a turn whose input was blocked.
pub const BLOCKED: &str = "blocked";

/// A judged input, to be made durable before anything of the turn is said.
#[derive(Clone, Debug)]
pub struct InputSeal {
    /// The agent, which has to be running.
    pub agent: AgentId,
    /// Its current session, or the new one of `detached`.
    pub session: SessionId,
    /// The session's epoch when the turn read it.
    pub epoch: u64,
    /// Given for a turn that stands alone: a session of its own is opened with it, and the agent's stays as it is.
    pub detached: Option<DetachedSession>,
    /// The input's id: a known one is refused.
    pub input: MessageId,
    /// The id that the answer will have.
    pub answer: MessageId,
    /// Records of older parts of the conversation that this turn judged; at most [`MAX_EARLIER`]. A message that
    /// such a record names gets the leaf added to its own.
    pub earlier: Vec<LeafDraft>,
    /// The input's record.
    pub leaf: LeafDraft,
    /// The input's text.
    pub message: MessageDraft,
    /// What becomes of the turn.
    pub fate: InputFate,
    /// What the agent may use in the month of the message's `created_at`.
    pub limits: MonthLimits,
}

/// What a session needs that is opened for one turn alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedSession {
    /// The key of its openings, wrapped by the agent's data key.
    pub wrapped_key: Vec<u8>,
    /// When it is opened, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// What an input's verdict makes of its turn.
#[derive(Clone, Debug)]
pub enum InputFate {
    /// It goes on. The bytes are the caller's: what is needed to seal an output after a crash.
    Open(Vec<u8>),
    /// It has ended: there will be no output, and the message is kept without its text.
    Blocked,
}

/// A durable input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSealed {
    /// The turn's number in its session, from 1.
    pub turn: u64,
    /// One for each of [`InputSeal::earlier`], in order.
    pub earlier: Vec<Sealed>,
    /// The input's.
    pub sealed: Sealed,
}

/// A judged output, which ends its turn.
#[derive(Clone, Debug)]
pub struct OutputSeal {
    /// The agent; it may have been stopped meanwhile.
    pub agent: AgentId,
    /// The session.
    pub session: SessionId,
    /// The turn, as the input's seal numbered it.
    pub turn: u64,
    /// Records of the answer's other stages, such as the model's thinking, in order; at most 64.
    pub also: Vec<LeafDraft>,
    /// The output's record.
    pub leaf: LeafDraft,
    /// The text that passed; none when nothing did.
    pub answer: Option<MessageDraft>,
    /// How the turn ended.
    pub end: TurnEnd,
}

/// A durable output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSealed {
    /// One for each of [`OutputSeal::also`], in order.
    pub also: Vec<Sealed>,
    /// The output's.
    pub sealed: Sealed,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnd {
    /// `stop`, `length`, `tool_calls`, `blocked`, `cancelled`, `error` or `interrupted`; at most
    /// [`MAX_FINISH_REASON_BYTES`].
    pub finish_reason: String,
    /// The tokens that it took, counted to the month of `at`.
    pub usage: Usage,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// Tokens that a turn took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// A turn whose input is sealed and whose output is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTurn {
    /// The agent.
    pub agent: AgentId,
    /// The session.
    pub session: SessionId,
    /// The turn's number.
    pub turn: u64,
    /// The input's id.
    pub input: MessageId,
    /// The answer's id.
    pub answer: MessageId,
    /// What [`InputFate::Open`] brought.
    pub data: Vec<u8>,
}

/// A turn as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRow {
    /// The agent.
    pub agent: AgentId,
    /// The session.
    pub session: SessionId,
    /// Its number in the session, from 1.
    pub turn: u64,
    /// The input's id.
    pub input: MessageId,
    /// The answer's id.
    pub answer: MessageId,
    /// How far it is.
    pub state: TurnState,
    /// How it ended; none while it is open.
    pub finish_reason: Option<String>,
    /// The tokens that it took; none while it is open.
    pub usage: Option<Usage>,
    /// The input's leaf.
    pub input_leaf: LeafPlace,
    /// The output's leaf; none while it is open, and for a blocked input.
    pub output_leaf: Option<LeafPlace>,
    /// The leaves of the answer's other stages, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<LeafPlace>,
    /// It was open when its session was cleared: its answer is recorded, and nothing of it is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cleared: bool,
}

/// A turn as later prompts see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its number.
    pub turn: u64,
    /// Whether it is over: it will not change any more.
    pub settled: bool,
    /// Its messages, if it ended so that they belong into a prompt. Those of a blocked, failed or interrupted turn do
    /// not: what a crash released is unknown.
    pub messages: Vec<StoredMessage>,
}

/// How far a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// Its output is not sealed yet.
    Open,
    /// Its output is sealed.
    Complete,
    /// Its input was blocked.
    Blocked,
}

impl TurnRow {
    /// Its leaves that are known.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &LeafPlace> {
        [&self.input_leaf].into_iter().chain(&self.output_leaf).chain(&self.also)
    }

    /// Whether its messages belong into a prompt: it is over, and its answer reached the client as it was meant to.
    pub(crate) fn fits_a_prompt(&self) -> bool {
        self.state == TurnState::Complete
            && matches!(self.finish_reason.as_deref(), Some("stop" | "length" | "cancelled" | "tool_calls"))
    }
}

impl InputSeal {
    /// Refuses what no transaction is needed to refuse.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.message.id != self.input {
            return Err(StoreError::WrongMessage { expected: self.input, given: self.message.id });
        }
        if self.input == self.answer {
            return Err(StoreError::DuplicateMessage(self.answer));
        }
        within("the list of earlier parts", self.earlier.len(), MAX_EARLIER)?;
        self.earlier.iter().try_for_each(LeafDraft::check)?;
        self.leaf.check()?;
        check_message(&self.message)?;
        match &self.fate {
            InputFate::Open(data) => within("an open turn", data.len(), MAX_BLOB_BYTES),
            InputFate::Blocked => Ok(()),
        }
    }

    pub(crate) fn weight(&self) -> usize {
        let data = match &self.fate {
            InputFate::Open(data) => data.len(),
            InputFate::Blocked => 0,
        };
        let earlier: usize = self.earlier.iter().map(LeafDraft::weight).sum();
        earlier + self.leaf.weight() + self.message.content.len() + data
    }
}

impl OutputSeal {
    /// Refuses what no transaction is needed to refuse.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        within("the list of an answer's other stages", self.also.len(), MAX_ALSO)?;
        self.also.iter().try_for_each(LeafDraft::check)?;
        self.leaf.check()?;
        self.answer.as_ref().map_or(Ok(()), check_message)?;
        within("a finish reason", self.end.finish_reason.len(), MAX_FINISH_REASON_BYTES)
    }

    pub(crate) fn weight(&self) -> usize {
        self.also.iter().map(LeafDraft::weight).sum::<usize>()
            + self.leaf.weight()
            + self.answer.as_ref().map_or(0, |answer| answer.content.len())
    }
}

fn check_message(message: &MessageDraft) -> Result<(), StoreError> {
    within("a message", message.content.len(), MAX_BLOB_BYTES)?;
    let reason = message.finish_reason.as_ref().map_or(0, String::len);
    within("a finish reason", reason, MAX_FINISH_REASON_BYTES)
}
