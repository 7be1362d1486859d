//! What a turn says, gathered: as one answer, or as the error that stands for it.

use axum::Json as Answer;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use gavel_store::MessageId;

use super::super::problem::{Code, Problem};
use super::wire::{Choice, Completion, Governance, Message, ToolCall};
use super::{Listener, shape};
use crate::clock;
use crate::turn::{FinishReason, Frame, GovernanceResult, ToolCallView, Usage};

/// Names the input's leaf.
const LEAF_HASH: HeaderName = HeaderName::from_static("x-gavel-leaf-hash");

/// A request that is not answered, with the verdicts that were given by then.
pub(in crate::api) struct Fault {
    problem: Problem,
    results: Vec<GovernanceResult>,
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem, results: Vec::new() }
    }
}

impl Fault {
    /// The error by which a stream ends that cannot go on.
    pub(super) fn body(&self) -> String {
        shape::body(&self.problem, &self.results)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        with_leaf(shape::answer(&self.problem, &self.results), leaf_of(&self.results))
    }
}

/// All that a turn has said so far.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) answer: Option<MessageId>,
    pub(super) results: Vec<GovernanceResult>,
    error: Option<Problem>,
    end: Option<(String, Usage)>,
}

/// Something that is to be passed on.
pub(super) enum Piece {
    Text(String),
    Thought(String),
    Call(ToolCallView),
}

impl Progress {
    /// Takes the turn's next frame; gives what of it is passed on.
    pub(super) fn take(&mut self, frame: Frame) -> Option<Piece> {
        match frame {
            Frame::StreamStart { message_id, .. } => self.answer = Some(message_id),
            Frame::StreamChunk { content, .. } => return Some(Piece::Text(content)),
            Frame::ReasoningChunk { content, .. } => return Some(Piece::Thought(content)),
            Frame::ToolCall { tool_call, .. } => return Some(Piece::Call(tool_call)),
            Frame::GovernanceResult(result) => self.results.push(*result),
            Frame::StreamEnd { finish_reason, usage, .. } => self.end = Some((finish_reason, usage)),
            Frame::Error { code, message, retry_after, .. } => {
                let problem = Problem::new(Code::named(code), message);
                self.error = Some(match retry_after {
                    Some(seconds) => problem.retry_after(seconds),
                    None => problem,
                });
            }
            Frame::Pong => {}
        }
        None
    }

    /// The end of a turn that has said all: `finish_reason` and usage, or what it failed for.
    pub(super) fn ended(&mut self) -> Result<(&'static str, Usage), Fault> {
        let problem = match (self.error.take(), &self.end) {
            (Some(problem), _) => problem,
            (None, Some((reason, usage))) => match finish_reason(reason) {
                Some("content_filter") if self.input_is_blocked() => {
                    Problem::new(Code::ContentFilter, "a policy blocks what was sent: see governance")
                }
                Some(reason) => return Ok((reason, *usage)),
                None => Problem::new(Code::Cancelled, "the turn was cancelled: the agent or the server stops"),
            },
            (None, None) => Problem::new(Code::Internal, "the server failed to answer"),
        };
        Err(Fault { problem, results: std::mem::take(&mut self.results) })
    }

    /// Whether it was something sent that stopped the turn, and nothing that the model said.
    fn input_is_blocked(&self) -> bool {
        self.results
            .iter()
            .any(|result| result.stopped && (result.message_id.is_none() || result.message_id != self.answer))
    }
}

/// The word of the chat completions for how an answer ended; none for one that did not.
fn finish_reason(reason: &str) -> Option<&'static str> {
    let known = [
        (FinishReason::Stop, "stop"),
        (FinishReason::Length, "length"),
        (FinishReason::ToolCalls, "tool_calls"),
        (FinishReason::Blocked, "content_filter"),
    ];
    known.into_iter().find(|(known, _)| known.as_str() == reason).map(|(_, word)| word)
}

/// Hears a whole turn and answers with all of it.
pub(super) async fn whole(mut listener: Listener, model: &str) -> Result<Response, Fault> {
    let mut progress = Progress::default();
    let (mut text, mut reasoning_content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    while let Some(frame) = listener.next().await {
        match progress.take(frame) {
            Some(Piece::Text(more)) => text.push_str(&more),
            Some(Piece::Thought(more)) => reasoning_content.push_str(&more),
            Some(Piece::Call(call)) => tool_calls.push(ToolCall::of(call, None)),
            None => {}
        }
    }
    let (finish_reason, usage) = progress.ended()?;
    let content = (!text.is_empty() || tool_calls.is_empty()).then_some(text);
    let message = Message { role: "assistant", content, refusal: None, reasoning_content, tool_calls };
    let leaf = leaf_of(&progress.results);
    let completion = Completion {
        id: progress.answer,
        object: "chat.completion",
        created: clock::now_ms() / 1000,
        model: model.to_owned(),
        choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
        usage: usage.into(),
        governance: Governance { results: progress.results },
    };
    Ok(with_leaf(Answer(completion).into_response(), leaf))
}

/// The input's leaf: its result comes first.
pub(super) fn leaf_of(results: &[GovernanceResult]) -> Option<HeaderValue> {
    results.first().and_then(|input| HeaderValue::from_str(&input.leaf_hash).ok())
}

pub(super) fn with_leaf(mut response: Response, leaf: Option<HeaderValue>) -> Response {
    if let Some(leaf) = leaf {
        response.headers_mut().insert(LEAF_HASH, leaf);
    }
    response
}
