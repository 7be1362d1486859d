//! The pieces of an answer as they come over the wire: `chat.completion.chunk`, and whole answers of servers that do
//! not stream. Unknown fields are nothing to us.

use gavel_sdk::types::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One event of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
pub struct Chunk {
    /// The model that answers.
    pub model: Option<String>,
    /// The answers: usually one.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Tokens, in one of the last chunks.
    pub usage: Option<Tokens>,
    /// What went wrong, in whatever shape.
    pub error: Option<Value>,
}

/// A piece of one answer.
#[derive(Debug, Default, Deserialize)]
pub struct Choice {
    /// Which answer.
    #[serde(default)]
    pub index: u32,
    /// What it says.
    #[serde(alias = "message")]
    pub delta: Option<Delta>,
    /// Why it ends, in its last chunk.
    pub finish_reason: Option<String>,
}

/// What a piece of an answer says.
#[derive(Debug, Default, Deserialize)]
pub struct Delta {
    /// Text.
    pub content: Option<String>,
    /// A refusal is an answer too.
    pub refusal: Option<String>,
    /// As `DeepSeek`, vLLM and others call it.
    pub reasoning_content: Option<String>,
    /// As `OpenRouter`, Ollama and others call it.
    pub reasoning: Option<String>,
    /// Pieces of tool calls.
    pub tool_calls: Option<Vec<CallPiece>>,
}

/// A piece of a tool call.
#[derive(Debug, Default, Deserialize)]
pub struct CallPiece {
    /// The whole call, and the next one: no other piece belongs to it.
    #[serde(skip)]
    pub whole: bool,
    /// Which call this belongs to; in whole answers their order says so.
    pub index: Option<usize>,
    /// The call's id, in its first piece.
    pub id: Option<String>,
    /// What is called, and with what.
    pub function: Option<FunctionPiece>,
}

/// A piece of what is called.
#[derive(Debug, Default, Deserialize)]
pub struct FunctionPiece {
    /// The tool's name.
    pub name: Option<String>,
    /// The next piece of its arguments, which are JSON together. Some servers write them as JSON themselves.
    #[serde(default, deserialize_with = "text_or_json")]
    pub arguments: Option<String>,
}

/// Tokens, as they are counted over the wire.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptTokens>,
    completion_tokens_details: Option<CompletionTokens>,
}

#[derive(Debug, Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct CompletionTokens {
    reasoning_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.prompt_tokens,
            output_tokens: tokens.completion_tokens,
            cache_read_tokens: tokens.prompt_tokens_details.and_then(|details| details.cached_tokens),
            cache_write_tokens: None,
            reasoning_tokens: tokens.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        }
    }
}

fn text_or_json<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Value>::deserialize(input)?.map(text))
}

/// A text as it is, any other value as JSON.
#[must_use]
pub fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

/// Reads a chunk as OpenAI writes it; none if it is no such thing.
#[must_use]
pub fn parse(data: &str) -> Option<Chunk> {
    serde_json::from_str(data).ok()
}
