//! What the host asks a provider and what it gets: the WIT's types in the host's own words.

use gavel_log::judged;
pub use gavel_log::judged::Role;

/// One chat's request: every field of `wit/provider.wit`'s `request`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's name, as the provider knows it.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not call one.
    pub tool_choice: Option<ToolChoice>,
    /// JSON Schema that the answer must satisfy, where the provider can enforce one.
    pub output_schema: Option<String>,
    /// Most tokens of the answer.
    pub max_output_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// Anything else that the caller set: a JSON object's text.
    pub extra_json: Option<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl From<judged::Message> for Message {
    fn from(message: judged::Message) -> Self {
        Self { role: message.role, parts: message.parts.into_iter().map(Part::Text).collect() }
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image or another file.
    Media(Media),
    /// A model's thinking, with the state that goes back to the provider unchanged.
    Reasoning {
        /// The text.
        text: String,
        /// A signature or an encrypted state.
        opaque: Option<Vec<u8>>,
    },
    /// A call that the model made.
    ToolCall {
        /// The provider's id of the call.
        id: String,
        /// The tool's name.
        name: String,
        /// Its arguments: a JSON object's text.
        arguments_json: String,
        /// State that goes back to the provider unchanged.
        opaque: Option<Vec<u8>>,
    },
    /// What a tool gave back.
    ToolResult {
        /// The id of the call that it answers.
        call_id: String,
        /// What it gave back.
        parts: Vec<ResultPart>,
        /// Whether the tool failed.
        is_error: bool,
    },
}

/// A part of a tool's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultPart {
    /// Text.
    Text(String),
    /// An image or another file.
    Media(Media),
}

/// Bytes of a media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The media type, such as `image/png`.
    pub media_type: String,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters_schema: String,
}

/// Whether a tool may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None may.
    None,
    /// One must.
    Required,
    /// This one must.
    Named(String),
}

/// A piece of an answer, at most [`ProviderLimits::delta_bytes`](super::ProviderLimits::delta_bytes) long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Thinking.
    Reasoning {
        /// The text.
        text: String,
        /// A signature or an encrypted state.
        opaque: Option<Vec<u8>>,
    },
    /// One whole tool call.
    ToolCall {
        /// The provider's id of the call.
        id: String,
        /// The tool's name.
        name: String,
        /// Its arguments, as the model wrote them: not known to be JSON.
        arguments_json: String,
        /// State that goes back to the provider unchanged.
        opaque: Option<Vec<u8>>,
    },
}

impl Delta {
    /// The bytes of all its fields.
    #[must_use]
    pub fn size(&self) -> usize {
        let opaque_size = |opaque: &Option<Vec<u8>>| opaque.as_ref().map_or(0, Vec::len);
        match self {
            Self::Text(text) => text.len(),
            Self::Reasoning { text, opaque } => text.len() + opaque_size(opaque),
            Self::ToolCall { id, name, arguments_json, opaque } => {
                id.len() + name.len() + arguments_json.len() + opaque_size(opaque)
            }
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It reached a limit of length.
    Length,
    /// The model waits for its tools.
    ToolCalls,
    /// The provider's own filter stopped it.
    ContentFilter,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the request.
    pub input_tokens: u64,
    /// Of the answer, reasoning included.
    pub output_tokens: u64,
    /// Of the request, read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the request, written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the answer, spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Why.
    pub finish_reason: FinishReason,
    /// Tokens, where the provider says.
    pub usage: Option<Usage>,
    /// The model that really answered, where the provider says.
    pub model: Option<String>,
}

/// A model that a provider offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// Its context's size, where known.
    pub context_tokens: Option<u32>,
}
