//! What Workers AI sends. Older models have the vendor's own form, `{"response","tool_calls"?,"usage"?}`; newer ones
//! that of OpenAI's chunks; an answer that does not stream is the `result` of an envelope. All become chunks.

use gavel_provider_completions::chunk::{CallPiece, Choice, Chunk, Delta, FunctionPiece, Tokens, text};
use gavel_provider_completions::status::message;
use gavel_sdk::provider::{Completion, FinishReason};
use serde::Deserialize;
use serde_json::Value;

/// The vendor's own form.
#[derive(Deserialize)]
struct Native {
    /// Text; an object where a schema was asked for; a number where a token looks like one.
    response: Option<Value>,
    tool_calls: Option<Vec<Call>>,
    usage: Option<Tokens>,
    finish_reason: Option<String>,
}

/// A tool call: whole and flat, or a piece as OpenAI cuts them.
#[derive(Deserialize)]
struct Call {
    name: Option<String>,
    arguments: Option<Value>,
    #[serde(flatten)]
    piece: CallPiece,
}

/// Reads one event's data, or a whole answer; none if it is neither.
pub(crate) fn parse(data: &str) -> Option<Chunk> {
    let mut value: Value = serde_json::from_str(data).ok()?;
    if failed(&value) {
        let words = message(&value).unwrap_or_else(|| "the upstream failed".to_owned());
        return Some(Chunk { error: Some(words.into()), ..Chunk::default() });
    }
    let result = value.get_mut("result").map(Value::take);
    let is_whole = result.is_some();
    let answer = result.unwrap_or(value);
    let mut chunk = if answer.get("choices").is_some() {
        serde_json::from_value(answer).ok()?
    } else {
        native(serde_json::from_value(answer).ok()?)?
    };
    if is_whole {
        chunk.choices.iter_mut().for_each(complete);
    }
    Some(chunk)
}

/// Whether an answer says that it is none, in any of the vendor's ways.
fn failed(value: &Value) -> bool {
    let has_errors = value.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty());
    has_errors || value.get("success") == Some(&Value::Bool(false)) || value.get("error").is_some_and(|e| !e.is_null())
}

fn native(native: Native) -> Option<Chunk> {
    let Native { response, tool_calls, usage, finish_reason } = native;
    if response.is_none() && tool_calls.is_none() && usage.is_none() && finish_reason.is_none() {
        return None;
    }
    let delta = Delta {
        content: response.filter(|response| !response.is_null()).map(text),
        tool_calls: tool_calls.map(|calls| calls.into_iter().map(piece).collect()),
        ..Delta::default()
    };
    let choice = Choice { delta: Some(delta), finish_reason, ..Choice::default() };
    Some(Chunk { choices: vec![choice], usage, ..Chunk::default() })
}

fn piece(call: Call) -> CallPiece {
    let Call { name, arguments, piece } = call;
    if piece.function.is_some() {
        return piece;
    }
    let function = FunctionPiece { name, arguments: arguments.map(text) };
    CallPiece { whole: true, function: Some(function), ..piece }
}

/// What does not stream is over when it is there.
fn complete(choice: &mut Choice) {
    let calls = choice.delta.as_ref().and_then(|delta| delta.tool_calls.as_ref());
    let reason = if calls.is_some_and(|calls| !calls.is_empty()) { "tool_calls" } else { "stop" };
    choice.finish_reason.get_or_insert_with(|| reason.to_owned());
}

/// The vendor's own form gives no reason for an answer's end: one that took all the tokens that it might was cut.
pub(crate) fn measured(completion: Completion, max_tokens: u32) -> Completion {
    let taken = completion.usage.map_or(0, |usage| usage.output_tokens);
    if completion.finish_reason == FinishReason::Stop && taken >= u64::from(max_tokens) {
        return Completion { finish_reason: FinishReason::Length, ..completion };
    }
    completion
}
