//! What a conversation is made of, as `wit/types.wit` has it.

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator's or owner's instruction.
    System,
    /// The client.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// Bytes of a known kind, such as an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Media {
    /// An IANA media type, such as `image/png`.
    pub media_type: String,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A model's thinking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reasoning {
    /// What can be read of it.
    pub text: String,
    /// A signature or an encrypted state: goes back to the provider unchanged, or it may refuse a later turn.
    pub opaque: Option<Vec<u8>>,
}

/// The model asks for a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ToolCall {
    /// Names this call; its result refers to it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, as a JSON object.
    pub arguments_json: String,
    /// Provider state that goes back unchanged.
    pub opaque: Option<Vec<u8>>,
}

/// A piece of what a tool gave back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResultPart {
    /// Text.
    Text(String),
    /// An image or the like.
    Media(Media),
}

/// What a tool gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: String,
    /// In order.
    pub parts: Vec<ResultPart>,
    /// True if the tool failed.
    pub is_error: bool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image or the like.
    Media(Media),
    /// A model's thinking.
    Reasoning(Reasoning),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What a tool gave back.
    ToolResult(ToolResult),
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// In order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text part.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }
}

/// Tokens that a completion took, as the provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Of the prompt, read from the provider's cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the prompt, written to the provider's cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the answer, spent on thinking.
    pub reasoning_tokens: Option<u64>,
}
