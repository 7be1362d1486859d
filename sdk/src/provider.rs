//! Model providers: [`Provider`] and the types of `wit/provider.wit`.
//!
//! A provider turns a [`Request`] into deltas that it sends to a [`Sink`]. It runs in its own sandbox, calls
//! only the origins that the operator granted, and never sees a key: the host adds the credential itself.

use std::fmt;

use crate::types::{Message, Reasoning, ToolCall, Usage};

/// A model provider. Export it with [`export_provider!`](crate::export_provider).
pub trait Provider: Sized + 'static {
    /// What the provider is and what it asks for. Called before `configure`.
    fn manifest() -> Manifest;

    /// Takes the whole configuration as JSON, once, before any other call but [`manifest`](Self::manifest). It may be called
    /// for a chat that is then never asked for, so a request that it sends waits until the chat is.
    ///
    /// # Errors
    /// Words for the operator who wrote the configuration.
    fn configure(config_json: &str) -> Result<Self, String>;

    /// The models that can be asked for.
    ///
    /// # Errors
    /// As the provider answered.
    fn models(&self) -> Result<Vec<Model>, Error>;

    /// Answers a request, sending each delta to the sink as it arrives; returns when the answer is complete.
    ///
    /// # Errors
    /// As the provider answered. An error of the sink is passed on as it is: `sink.text(…)?`.
    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error>;
}

/// What the provider asks for; the operator grants it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Header that carries the key, such as `authorization`.
    pub header: String,
    /// Its value, with `{key}` where the key goes, such as `Bearer {key}`.
    pub format: String,
    /// False if the provider also answers without a key.
    pub required: bool,
}

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Kebab-case, unique among installed providers.
    pub name: String,
    /// Semantic version of this component.
    pub version: String,
    /// One sentence, shown to the person who chooses it.
    pub summary: String,
    /// Origins it wants to call: `https://api.openai.com`. `{base-url}` stands for the operator's own.
    pub origins: Vec<String>,
    /// The key it needs, if any.
    pub credential: Option<Credential>,
    /// JSON Schema (draft 2020-12) of its configuration.
    pub config_schema: String,
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

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// What is asked of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// One of the provider's models.
    pub model: String,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may; none leaves it to the provider.
    pub tool_choice: Option<ToolChoice>,
    /// JSON Schema that the answer must satisfy, where the provider can enforce one.
    pub output_schema: Option<String>,
    /// At most so many tokens in the answer.
    pub max_output_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// Anything else that the caller set, as a JSON object: passed through where the provider can.
    pub extra_json: Option<String>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It reached the token limit.
    Length,
    /// The model waits for tools.
    ToolCalls,
    /// The provider's own filter cut it.
    ContentFilter,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Why.
    pub finish_reason: FinishReason,
    /// Tokens taken, where the provider says.
    pub usage: Option<Usage>,
    /// The model that really answered, where the provider says.
    pub model: Option<String>,
}

/// Why there is no answer, or no whole one. The words are for the operator and never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The provider refused the key.
    Unauthorized(String),
    /// Try again after so many milliseconds, where it says.
    RateLimited(Option<u64>),
    /// The request was at fault: unknown model, too long, malformed.
    InvalidRequest(String),
    /// The provider was at fault, before the first delta: the host may try again.
    Unavailable(String),
    /// The answer broke off after the first delta: never tried again.
    Interrupted(String),
    /// The chat was cancelled from the host's side.
    Cancelled,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized(why) => write!(f, "the provider refused the key: {why}"),
            Self::RateLimited(Some(ms)) => write!(f, "too many requests: try again in {ms} ms"),
            Self::RateLimited(None) => f.write_str("too many requests"),
            Self::InvalidRequest(why) => write!(f, "the request was refused: {why}"),
            Self::Unavailable(why) => write!(f, "the provider is unavailable: {why}"),
            Self::Interrupted(why) => write!(f, "the answer broke off: {why}"),
            Self::Cancelled => f.write_str("the chat was cancelled"),
        }
    }
}

impl std::error::Error for Error {}

/// A model that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// The size of its context, where known.
    pub context_tokens: Option<u32>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Text, at most a few KiB, whole characters.
    Text(String),
    /// Thinking.
    Reasoning(Reasoning),
    /// A whole tool call.
    ToolCall(ToolCall),
}

/// Nobody reads the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Where deltas go: the host in a component, a closure in a test.
///
/// ```
/// use gavel_sdk::provider::{Delta, Sink};
///
/// let mut answer = Vec::new();
/// let mut keep = |delta| {
///     answer.push(delta);
///     Ok(())
/// };
/// Sink::new(&mut keep).text("Hello")?;
/// assert_eq!(answer, [Delta::Text("Hello".to_owned())]);
/// # Ok::<(), gavel_sdk::provider::Error>(())
/// ```
pub struct Sink<'a> {
    send: &'a mut dyn FnMut(Delta) -> Result<(), Closed>,
}

impl<'a> Sink<'a> {
    /// A sink that hands each delta to `send`.
    pub fn new(send: &'a mut dyn FnMut(Delta) -> Result<(), Closed>) -> Self {
        Self { send }
    }

    /// Sends a delta, waiting while the reader is behind.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when nobody reads any more: stop, and return it.
    pub fn send(&mut self, delta: Delta) -> Result<(), Error> {
        (self.send)(delta).map_err(|Closed| Error::Cancelled)
    }

    /// Sends text; empty text is not sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn text(&mut self, text: impl Into<String>) -> Result<(), Error> {
        let text = text.into();
        if text.is_empty() { Ok(()) } else { self.send(Delta::Text(text)) }
    }
}

impl fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}
