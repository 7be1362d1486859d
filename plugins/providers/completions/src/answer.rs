//! An answer put together from its stream of chunks.

use gavel_sdk::provider::{Completion, Delta, Error, FinishReason, Sink};
use gavel_sdk::types::{Reasoning, ToolCall, Usage};

use crate::chunk::{CallPiece, Choice, Chunk};
use crate::sse::{Parser, TooLarge};
use crate::status::message;

/// Most bytes of one delta; longer text is sent in several.
const MAX_DELTA_BYTES: usize = 64 << 10;
/// Most tool calls of one answer, and most bytes of one call's arguments.
const MAX_CALLS: usize = 128;
const MAX_ARGUMENTS_BYTES: usize = 192 << 10;
/// Most bytes of an answer that does not stream.
const MAX_WHOLE_BYTES: usize = 8 << 20;

/// Reads one event's data, or a whole answer: none if it is no such thing.
pub type Parse = fn(&str) -> Option<Chunk>;

/// What stopped the reading of a stream.
#[derive(Debug)]
enum Halt {
    /// The host wants no more, or the upstream says that it failed.
    Error(Error),
    /// What came is no chat completion.
    Rubbish(String),
    /// `[DONE]`: the answer is over, whatever follows.
    Done,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<TooLarge> for Halt {
    fn from(_: TooLarge) -> Self {
        Self::Rubbish("an event is larger than 1 MiB".into())
    }
}

/// What is known of the answer so far.
#[derive(Debug, Default)]
struct Answer {
    /// Whether a delta was sent.
    began: bool,
    /// Text that came in the part of the body that is being read: it is sent at once with what else is in there.
    held: Option<Held>,
    calls: Vec<ToolCall>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    model: Option<String>,
}

/// Text of one kind that is not sent yet.
#[derive(Debug)]
struct Held {
    thinking: bool,
    text: String,
}

/// Reads a stream of events to its end, sending what comes; `read` gives none at the end of the body.
///
/// # Errors
/// As the upstream failed, or the sink's.
pub fn stream(
    mut read: impl FnMut() -> Result<Option<Vec<u8>>, String>,
    parse: Parse,
    sink: &mut Sink<'_>,
) -> Result<Completion, Error> {
    let mut answer = Answer::default();
    let mut parser = Parser::default();
    let halt = loop {
        let mut event = |data: &str| answer.event(data, parse, sink);
        match read() {
            Ok(Some(bytes)) => {
                let read = parser.push(&bytes, &mut event);
                if let Err(halt) = read.and_then(|()| answer.flush(sink).map_err(Halt::from)) {
                    break halt;
                }
            }
            Ok(None) => break parser.finish(&mut event).err().unwrap_or(Halt::Rubbish("the answer has no end".into())),
            Err(why) => break Halt::Rubbish(why),
        }
    };
    answer.end(halt, sink)
}

/// Reads an answer of a server that does not stream.
///
/// # Errors
/// As the upstream failed, or the sink's.
pub fn whole(
    mut read: impl FnMut() -> Result<Option<Vec<u8>>, String>,
    parse: Parse,
    sink: &mut Sink<'_>,
) -> Result<Completion, Error> {
    let mut body = Vec::new();
    while let Some(bytes) = read().map_err(Error::Unavailable)? {
        if body.len() + bytes.len() > MAX_WHOLE_BYTES {
            return Err(Error::Unavailable("the answer is too large".into()));
        }
        body.extend_from_slice(&bytes);
    }
    let text = String::from_utf8_lossy(&body);
    let mut answer = Answer::default();
    let halt = answer.event(&text, parse, sink).err().unwrap_or(Halt::Rubbish("the answer has no end".into()));
    answer.end(halt, sink)
}

impl Answer {
    fn event(&mut self, data: &str, parse: Parse, sink: &mut Sink<'_>) -> Result<(), Halt> {
        let data = data.trim();
        if data == "[DONE]" {
            return Err(Halt::Done);
        }
        if data.is_empty() {
            return Ok(());
        }
        let chunk = parse(data).ok_or_else(|| Halt::Rubbish("what came is no chat completion".into()))?;
        if let Some(error) = chunk.error {
            let error = serde_json::json!({ "error": error });
            return Err(Halt::Rubbish(message(&error).unwrap_or_else(|| "the upstream failed".into())));
        }
        self.model = self.model.take().or(chunk.model);
        self.usage = chunk.usage.map(Into::into).or(self.usage);
        chunk.choices.into_iter().filter(|choice| choice.index == 0).try_for_each(|choice| self.choice(choice, sink))
    }

    fn choice(&mut self, choice: Choice, sink: &mut Sink<'_>) -> Result<(), Halt> {
        let delta = choice.delta.unwrap_or_default();
        for text in [delta.reasoning_content, delta.reasoning].into_iter().flatten().take(1) {
            self.send(&text, true, sink)?;
        }
        for text in [delta.content, delta.refusal].into_iter().flatten() {
            self.send(&text, false, sink)?;
        }
        for (position, piece) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.call_piece(position, piece)?;
        }
        self.finish = choice.finish_reason.as_deref().map(finish_reason).or(self.finish);
        Ok(())
    }

    fn send(&mut self, text: &str, thinking: bool, sink: &mut Sink<'_>) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        if self.held.as_ref().is_some_and(|held| held.thinking != thinking || held.text.len() > MAX_DELTA_BYTES) {
            self.flush(sink)?;
        }
        let held = self.held.get_or_insert_with(|| Held { thinking, text: String::new() });
        held.text.push_str(text);
        Ok(())
    }

    /// Sends what is held.
    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Some(Held { thinking, text }) = self.held.take() else { return Ok(()) };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.floor_char_boundary(MAX_DELTA_BYTES));
            let text = piece.to_owned();
            self.began = true;
            sink.send(if thinking { Delta::Reasoning(Reasoning { text, opaque: None }) } else { Delta::Text(text) })?;
            rest = tail;
        }
        Ok(())
    }

    fn call_piece(&mut self, position: usize, piece: CallPiece) -> Result<(), Halt> {
        let index = if piece.whole { self.calls.len() } else { piece.index.unwrap_or(position) };
        if index >= MAX_CALLS {
            return Err(Halt::Rubbish("too many tool calls".into()));
        }
        if index >= self.calls.len() {
            self.calls.resize_with(index + 1, ToolCall::default);
        }
        let Some(call) = self.calls.get_mut(index) else { return Ok(()) };
        if let Some(id) = piece.id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        let Some(function) = piece.function else { return Ok(()) };
        if let Some(name) = function.name {
            call.name.push_str(&name);
        }
        if let Some(arguments) = function.arguments {
            call.arguments_json.push_str(&arguments);
        }
        if call.id.len() + call.name.len() + call.arguments_json.len() > MAX_ARGUMENTS_BYTES {
            return Err(Halt::Rubbish("a tool call is too large".into()));
        }
        Ok(())
    }

    /// A stream that broke off after it had said why it finished is complete: only its epilogue is missing.
    fn end(mut self, halt: Halt, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        if !matches!(halt, Halt::Error(_)) {
            self.flush(sink)?;
        }
        let finish = match (halt, self.finish) {
            (Halt::Error(error), _) => return Err(error),
            (Halt::Rubbish(why), None) if self.began => return Err(Error::Interrupted(why)),
            (Halt::Rubbish(why), None) => return Err(Error::Unavailable(why)),
            (Halt::Done | Halt::Rubbish(_), Some(finish)) => finish,
            (Halt::Done, None) if self.calls.iter().all(|call| call.name.is_empty()) => FinishReason::Stop,
            (Halt::Done, None) => FinishReason::ToolCalls,
        };
        let calls = std::mem::take(&mut self.calls).into_iter().enumerate();
        for (index, mut call) in calls.filter(|(_, call)| !call.name.is_empty()) {
            if call.id.is_empty() {
                call.id = format!("call_{index}");
            }
            if call.arguments_json.is_empty() {
                call.arguments_json = "{}".into();
            }
            sink.send(Delta::ToolCall(call))?;
        }
        Ok(Completion { finish_reason: finish, usage: self.usage, model: self.model })
    }
}

fn finish_reason(said: &str) -> FinishReason {
    match said {
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
