//! What the API answers: server-sent events, each of them JSON. It reads from a function, so that its tests need no host.

use gavel_sdk::provider::{Completion, Error, FinishReason, Sink};
use gavel_sdk::types::Usage;
use serde::Deserialize;

/// Most bytes of one line of the stream.
const LINE_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Whether there will be an answer.
///
/// # Errors
/// What the status means.
pub fn check(status: u16, retry_after: impl FnOnce() -> Option<String>) -> Result<(), Error> {
    let words = format!("status {status}");
    match status {
        200..300 => Ok(()),
        401 | 403 => Err(Error::Unauthorized(words)),
        429 => {
            let seconds = retry_after().and_then(|after| after.parse::<u64>().ok());
            Err(Error::RateLimited(seconds.map(|seconds| seconds.saturating_mul(1000))))
        }
        400..500 => Err(Error::InvalidRequest(words)),
        _ => Err(Error::Unavailable(words)),
    }
}

/// Hands on each piece of text as it comes. `read` gives the next bytes, none at the end.
///
/// # Errors
/// Before the first piece the host may try again, after it never: hence the two kinds.
pub fn read(
    mut read: impl FnMut() -> Result<Option<Vec<u8>>, String>,
    sink: &mut Sink<'_>,
) -> Result<Completion, Error> {
    let mut answer = Answer::default();
    let mut pending = Vec::new();
    loop {
        let bytes = match read() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(answer.broken("the stream ended without [DONE]".to_owned())),
            Err(error) => return Err(answer.broken(error)),
        };
        pending.extend_from_slice(&bytes);
        // A line's end is one byte of UTF-8, so that no character is cut here, whatever the pieces were.
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if answer.line(&line, sink)? {
                return Ok(answer.completion);
            }
        }
        if pending.len() > LINE_BYTES {
            return Err(answer.broken("a line of the stream does not end".to_owned()));
        }
    }
}

struct Answer {
    completion: Completion,
    begun: bool,
}

impl Default for Answer {
    fn default() -> Self {
        let completion = Completion { finish_reason: FinishReason::Stop, usage: None, model: None };
        Self { completion, begun: false }
    }
}

impl Answer {
    /// Takes a line; true if it was the last.
    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) -> Result<bool, Error> {
        // Comments and other fields mean nothing here.
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return Ok(false) };
        if data == b"[DONE]" {
            return Ok(true);
        }
        let chunk: Chunk = serde_json::from_slice(data).map_err(|error| self.broken(error.to_string()))?;
        if let Some(choice) = chunk.choices.into_iter().next() {
            if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                self.begun = true;
                sink.text(text)?;
            }
            self.completion.finish_reason = match choice.finish_reason.as_deref() {
                Some("length") => FinishReason::Length,
                Some("content_filter") => FinishReason::ContentFilter,
                _ => self.completion.finish_reason,
            };
        }
        if let Some(tokens) = chunk.usage {
            let (input_tokens, output_tokens) = (tokens.prompt_tokens, tokens.completion_tokens);
            self.completion.usage = Some(Usage { input_tokens, output_tokens, ..Usage::default() });
        }
        if chunk.model.is_some() {
            self.completion.model = chunk.model;
        }
        Ok(false)
    }

    fn broken(&self, why: String) -> Error {
        if self.begun { Error::Interrupted(why) } else { Error::Unavailable(why) }
    }
}
