//! The answer: deltas from the provider through the gate to the client, then its record and the turn's end.

use gavel_log::judged::{Role, Stage};
use gavel_log::record::{Coverage, Outcome};
use gavel_sandbox::provider::{ChatStream, Completion, Delta, FinishReason as ProviderFinish, ProviderError};
use gavel_store::{LeafDraft, MessageDraft, OutputSeal, OutputSealed, TurnEnd};

use super::TurnError;
use super::frame::{FinishReason, Frame, Usage};
use super::gate::Cleared;
use super::judge::Judgement;
use super::lane::{Finished, Lane};
use super::run::{Turn, stream_end};
use super::seal::{Judged, governance_result};
use super::timing::Point;
use super::tool_calls::{Calls, JudgedCall};
use super::unescape::Unescape;
use crate::clock;

/// How the stream from the provider ended.
enum Ending {
    /// It is complete.
    Complete(FinishReason, Usage),
    /// A verdict stopped it.
    Blocked,
    /// The client did, or is gone.
    Cancelled,
    /// The provider failed.
    Failed(ProviderError),
}

impl Turn {
    /// A lane for a stage of this turn's answer.
    pub(super) async fn lane(&self, stage: Stage) -> Lane {
        Lane::open(&self.begun.set, &self.subject, stage, self.record.mode).await
    }

    /// Streams the answer through its lane and ends the turn.
    pub(super) async fn output(&self, chat: Option<ChatStream>, turn: u64, mut text: Lane) -> Result<(), TurnError> {
        let (mut thinking, mut calls) = (None, Calls::default());
        let ending = match chat {
            Some(chat) => self.pump(chat, &mut text, &mut thinking, &mut calls).await,
            None => Ending::Failed(ProviderError::Cancelled),
        };
        let ending = with_calls(ending, &mut calls);
        self.begun.timing.pass(Point::LastDelta);
        let complete = matches!(ending, Ending::Complete(..));
        let thinking = match thinking {
            Some(lane) => Some(lane.finish(&self.subject, complete).await),
            None => None,
        };
        let calls = self.judge_calls(calls).await;
        let stopped = thinking.as_ref().is_some_and(|thinking| thinking.judgement.blocks())
            || calls.iter().any(JudgedCall::is_blocked);
        let text = text.finish(&self.subject, complete && !stopped).await;
        let blocked = matches!(ending, Ending::Blocked) || (complete && (text.judgement.blocks() || stopped));
        let ending = if blocked { Ending::Blocked } else { ending };
        let passes = matches!(ending, Ending::Complete(..));
        let calls = calls.into_iter().map(|call| if passes { call } else { call.withheld() }).collect();
        self.end(turn, ending, Answered { text, thinking, calls }).await
    }

    /// An answer that may not be asked for, since the agent's system prompt is blocked.
    pub(super) async fn refuse_output(&self, turn: u64) -> Result<(), TurnError> {
        let judgement = Judgement { stage: Stage::Output, mode: self.record.mode, answers: Vec::new() };
        let nothing = Finished {
            judgement,
            rest: None,
            text: String::new(),
            released: String::new(),
            edits: Vec::new(),
            coverage: Coverage { received: 0, judged: 0, released: Some(0), unjudged: 0 },
            streamed: None,
        };
        self.end(turn, Ending::Blocked, Answered { text: nothing, thinking: None, calls: Vec::new() }).await
    }

    /// Moves deltas through the gate until the answer is over. Dropping the stream at the end drops the provider.
    /// Few answers think, so the lane of their thinking is opened by its first delta.
    async fn pump(
        &self,
        mut chat: ChatStream,
        text: &mut Lane,
        thinking: &mut Option<Lane>,
        calls: &mut Calls,
    ) -> Ending {
        // Of JSON a policy reads what the client's reader will.
        let mut unescape = self.structured.then(Unescape::default);
        loop {
            let delta = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ending::Cancelled,
                () = self.frames.closed() => return Ending::Cancelled,
                delta = chat.deltas.recv() => delta,
            };
            let Some(delta) = delta else { break };
            self.begun.timing.pass(Point::FirstDelta);
            for piece in joined(delta, &mut chat) {
                let ending = match piece {
                    Piece::Text(said) => {
                        let said = unescape.as_mut().map(|unescape| unescape.push(&said)).unwrap_or(said);
                        self.pass_on(&said, false, text).await
                    }
                    Piece::Thought(thought) => {
                        let lane = match &mut *thinking {
                            Some(lane) => lane,
                            none => none.insert(self.lane(Stage::Reasoning).await),
                        };
                        self.pass_on(&thought, true, lane).await
                    }
                    Piece::Call { id, name, arguments } => {
                        let room = self.begun.turns.options.output_bytes;
                        calls.take(&self.tools, room, id, name, &arguments).err().map(Ending::Failed)
                    }
                };
                if let Some(ending) = ending {
                    return ending;
                }
            }
        }
        let rest = unescape.map(|mut unescape| unescape.finish()).unwrap_or_default();
        if let Some(ending) = self.pass_on(&rest, false, text).await {
            return ending;
        }
        match chat.finish().await {
            Ok(completion) => completed(&completion),
            Err(error) => Ending::Failed(error),
        }
    }

    /// Moves one piece through its lane. An ending if the answer goes no further.
    async fn pass_on(&self, text: &str, thinking: bool, lane: &mut Lane) -> Option<Ending> {
        let room = self.begun.turns.options.output_bytes.saturating_sub(lane.received());
        let (kept, over) = cut(text, room);
        if !kept.is_empty() && !self.send_cleared(lane.push(kept).await, thinking).await {
            return Some(Ending::Cancelled);
        }
        if lane.is_blocked() {
            return Some(Ending::Blocked);
        }
        over.then(|| Ending::Complete(FinishReason::Length, Usage::default()))
    }

    /// Sends what the gate cleared. False if the client is gone or has cancelled meanwhile.
    async fn send_cleared(&self, cleared: Option<Cleared>, thinking: bool) -> bool {
        let Some(cleared) = cleared else { return true };
        let (message_id, content) = (self.begun.answer, cleared.into_string());
        let frame = if thinking {
            Frame::ReasoningChunk { message_id, content }
        } else {
            Frame::StreamChunk { message_id, content }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            sent = self.frames.send(frame) => {
                self.begun.timing.pass(Point::FirstChunk);
                sent.is_ok()
            }
        }
    }

    /// Sends the rest, seals the output and ends the turn.
    async fn end(&self, turn: u64, ending: Ending, mut answered: Answered) -> Result<(), TurnError> {
        if let Some(thinking) = &mut answered.thinking {
            self.send_cleared(thinking.rest.take(), true).await;
        }
        self.send_cleared(answered.text.rest.take(), false).await;
        let (outcome, reason, usage) = match &ending {
            Ending::Complete(reason, usage) => (Outcome::Complete, *reason, *usage),
            Ending::Blocked => (Outcome::Blocked, FinishReason::Blocked, Usage::default()),
            Ending::Cancelled => (Outcome::Cancelled, FinishReason::Cancelled, Usage::default()),
            Ending::Failed(_) => (Outcome::Error, FinishReason::Error, Usage::default()),
        };
        self.begun.timing.pass(Point::OutputJudged);
        let sealed = self.seal_output(turn, &answered, outcome, reason, usage).await?;
        self.begun.timing.pass(Point::OutputSealed);
        self.announce_output(&answered, &sealed, matches!(ending, Ending::Complete(..))).await;
        if let Ending::Failed(error) = &ending {
            self.begun.timing.provider_failed(code(error));
            self.send(failure(error, self.begun.answer)).await;
        }
        self.begun.timing.ended(reason, usage);
        self.send(stream_end(self.begun.answer, reason, usage)).await;
        Ok(())
    }

    /// Announces the verdicts on an answer, and the tool calls that passed.
    async fn announce_output(&self, answered: &Answered, sealed: &OutputSealed, passes: bool) {
        let (agent, owner, answer) = (&self.record.agent, self.begun.request.caller.owner, self.begun.answer);
        let result = |judgement: &Judgement, sealed| {
            Frame::GovernanceResult(Box::new(governance_result(agent, Some(answer), judgement, sealed, owner)))
        };
        let mut also = sealed.also.iter();
        for (thinking, sealed) in answered.thinking.iter().zip(&mut also) {
            self.send(result(&thinking.judgement, sealed)).await;
        }
        for (call, sealed) in answered.calls.iter().zip(&mut also) {
            self.send(result(&call.judgement, sealed)).await;
            if passes {
                self.send(Frame::ToolCall { message_id: answer, tool_call: call.view() }).await;
            }
        }
        self.send(result(&answered.text.judgement, &sealed.sealed)).await;
    }

    async fn seal_output(
        &self,
        turn: u64,
        answered: &Answered,
        outcome: Outcome,
        reason: FinishReason,
        usage: Usage,
    ) -> Result<OutputSealed, TurnError> {
        let (id, text) = (self.begun.answer, &answered.text);
        let thinking = answered.thinking.iter().map(|thinking| self.draft(thinking, outcome));
        let calls = answered.calls.iter().map(|call| self.draft_call(call, outcome));
        let content = match &self.begun.detached {
            Some(_) => Vec::new(),
            None => self.record.key.seal(id.to_string().as_bytes(), text.released.as_bytes())?,
        };
        let seal = OutputSeal {
            agent: self.record.agent,
            session: self.record.session,
            turn,
            also: thinking.chain(calls).collect::<Result<_, _>>()?,
            leaf: self.draft(text, outcome)?,
            answer: Some(MessageDraft {
                id,
                role: Role::Assistant,
                content,
                finish_reason: Some(reason.as_str().to_owned()),
                judged: self.judged_by(),
                attached: None,
                created_at: clock::now_ms(),
            }),
            end: TurnEnd {
                finish_reason: reason.as_str().to_owned(),
                usage: gavel_store::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens },
                at: clock::now_ms(),
            },
        };
        Ok(self.begun.turns.store.seal_output(seal).await?)
    }

    fn draft(&self, finished: &Finished, outcome: Outcome) -> Result<LeafDraft, TurnError> {
        let draft = self.record.draft(&Judged {
            message: Some(self.begun.answer),
            judgement: &finished.judgement,
            subject: &self.subject.subject(finished.judgement.stage, &finished.text),
            attachments: &[],
            outcome,
            released: &finished.released,
            edits: &finished.edits,
            coverage: finished.coverage,
            streamed: finished.streamed.as_ref(),
        })?;
        Ok(draft)
    }
}

/// An answer after its judgement.
struct Answered {
    text: Finished,
    thinking: Option<Finished>,
    calls: Vec<JudgedCall>,
}

/// A part of an answer, as it came.
enum Piece {
    Text(String),
    Thought(String),
    Call { id: String, name: String, arguments: String },
}

/// Joins the deltas that wait already, in their order, so that a slow policy costs fewer, larger reviews and no growing
/// queue.
fn joined(first: Delta, chat: &mut ChatStream) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut next = Some(first);
    while let Some(delta) = next {
        match (delta, pieces.last_mut()) {
            (Delta::Text(more), Some(Piece::Text(text))) => text.push_str(&more),
            (Delta::Reasoning { text: more, .. }, Some(Piece::Thought(thought))) => thought.push_str(&more),
            (Delta::Text(text), _) => pieces.push(Piece::Text(text)),
            (Delta::Reasoning { text, .. }, _) => pieces.push(Piece::Thought(text)),
            (Delta::ToolCall { id, name, arguments_json: arguments, .. }, _) => {
                pieces.push(Piece::Call { id, name, arguments });
            }
        }
        next = chat.deltas.try_recv().ok();
    }
    pieces
}

/// What an answer's calls make of its ending: one that calls tools ends so, and one with calls that are no JSON is
/// rubbish, unless a limit cut it off.
fn with_calls(ending: Ending, calls: &mut Calls) -> Ending {
    match ending {
        Ending::Complete(FinishReason::Length, usage) => {
            calls.drop_cut_off();
            Ending::Complete(FinishReason::Length, usage)
        }
        Ending::Complete(..) if !calls.are_json() => {
            Ending::Failed(ProviderError::Interrupted("the arguments of a tool call are no JSON".into()))
        }
        Ending::Complete(FinishReason::Stop, usage) if !calls.is_empty() => {
            Ending::Complete(FinishReason::ToolCalls, usage)
        }
        ending => ending,
    }
}

/// At most `room` bytes of a text, on a character boundary, and whether anything was cut off.
fn cut(text: &str, room: usize) -> (&str, bool) {
    if text.len() <= room {
        return (text, false);
    }
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    (text.get(..end).unwrap_or_default(), true)
}

fn completed(completion: &Completion) -> Ending {
    let usage = completion.usage.map_or_else(Usage::default, |usage| Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
    });
    let reason = match completion.finish_reason {
        ProviderFinish::Stop => FinishReason::Stop,
        ProviderFinish::Length => FinishReason::Length,
        ProviderFinish::ToolCalls => FinishReason::ToolCalls,
        ProviderFinish::ContentFilter => FinishReason::Blocked,
    };
    Ending::Complete(reason, usage)
}

/// The stable code of a provider's fault.
fn code(error: &ProviderError) -> &'static str {
    error.code().unwrap_or("provider_unavailable")
}

/// The frame for a provider's fault. Its words are for the operator's log: they are a stranger's.
fn failure(error: &ProviderError, answer: gavel_store::MessageId) -> Frame {
    tracing::warn!(%error, "the provider failed");
    let (message, retry_after) = match error {
        ProviderError::Unauthorized(_) => ("the provider refused the key, or there is none", None),
        ProviderError::NoKey(why) => (*why, None),
        ProviderError::RateLimited(after) => {
            ("the provider is rate limited", after.map(|after| after.as_secs_f64().ceil()))
        }
        ProviderError::InvalidRequest(_) => ("the provider refused the request", None),
        ProviderError::Timeout(_) => ("the provider took too long", None),
        ProviderError::Interrupted(_) => ("the provider's answer broke off", None),
        ProviderError::Unavailable(_) | ProviderError::Trap(_) | ProviderError::Cancelled => {
            ("the provider is unavailable", None)
        }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, saturating")]
    let retry_after = retry_after.map(|seconds: f64| seconds as u64);
    Frame::Error { code: code(error), message: message.to_owned(), message_id: Some(answer), retry_after }
}
