//! The pieces of an answer as they come over the wire: `chat.completion.chunk`, and whole answers of servers that do
//! not stream. Unknown fields are nothing to us.

use gavel_sdk::types::Usage;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Tokens>,
    pub(crate) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    pub(crate) index: u32,
    #[serde(alias = "message")]
    pub(crate) delta: Option<Delta>,
    pub(crate) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Delta {
    pub(crate) content: Option<String>,
    /// A refusal is an answer too.
    pub(crate) refusal: Option<String>,
    /// As `DeepSeek`, vLLM and others call it.
    pub(crate) reasoning_content: Option<String>,
    /// As `OpenRouter`, Ollama and others call it.
    pub(crate) reasoning: Option<String>,
    pub(crate) tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CallPiece {
    /// Which call this belongs to; in whole answers their order says so.
    pub(crate) index: Option<usize>,
    pub(crate) id: Option<String>,
    pub(crate) function: Option<FunctionPiece>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionPiece {
    pub(crate) name: Option<String>,
    pub(crate) arguments: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tokens {
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
