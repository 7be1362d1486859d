//! What the server says in a chat: the frames of `docs/api.md`, "Chat over WebSocket".

use gavel_log::judged::{Finding, Severity, Span, Stage};
use gavel_log::record::{DecisionKind, Enforcement, Mode, PolicyError};
use gavel_store::{FileId, MessageId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;

/// Tokens of one turn, as the provider counted them; zeros where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// How a turn ended, as its `stream_end` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It reached a limit of length.
    Length,
    /// It called tools.
    ToolCalls,
    /// A verdict stopped it.
    Blocked,
    /// The client cancelled it.
    Cancelled,
    /// The provider or the server failed.
    Error,
}

impl FinishReason {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }
}

/// One frame from server to client.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame {
    /// An answer begins.
    StreamStart {
        /// The answer's id.
        message_id: MessageId,
        /// Always `assistant`.
        role: &'static str,
        /// The user message's id.
        in_reply_to: MessageId,
    },
    /// A piece of the answer.
    StreamChunk {
        /// The answer's id.
        message_id: MessageId,
        /// The piece.
        content: String,
    },
    /// A piece of the model's thinking.
    ReasoningChunk {
        /// The answer's id.
        message_id: MessageId,
        /// The piece.
        content: String,
    },
    /// The model calls a tool: sent when its arguments were judged.
    ToolCall {
        /// The answer's id.
        message_id: MessageId,
        /// The call.
        tool_call: ToolCallView,
    },
    /// The answer is over.
    StreamEnd {
        /// The answer's id.
        message_id: MessageId,
        /// How it ended.
        finish_reason: String,
        /// What it cost.
        usage: Usage,
    },
    /// A stage was judged, and the verdict is durable.
    GovernanceResult(Box<GovernanceResult>),
    /// Something went wrong.
    Error {
        /// Stable and machine-readable.
        code: &'static str,
        /// For people.
        message: String,
        /// The message that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<MessageId>,
        /// Seconds after which it is worth trying again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The answer to a `ping`.
    Pong,
}

/// A tool call that passed.
#[derive(Clone, Debug, Serialize)]
pub struct ToolCallView {
    /// The call's id, by which its result will name it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments: the text of a JSON value.
    pub arguments: String,
}

/// The verdicts on one stage of one message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GovernanceResult {
    /// The message that was judged; none for a file at its upload, for the agent's system prompt, and for what a
    /// request declares besides its messages.
    #[schema(required, value_type = Option<schema::MessageId>)]
    pub message_id: Option<MessageId>,
    /// The file that was judged, at its upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::FileId>)]
    pub file_id: Option<FileId>,
    /// The stage.
    #[schema(value_type = schema::Stage)]
    pub stage: Stage,
    /// The agent's mode.
    #[schema(value_type = schema::Mode)]
    pub mode: Mode,
    /// The enforcing bindings' combined decision.
    #[schema(value_type = schema::Decision)]
    pub decision: DecisionKind,
    /// All bindings' combined decision.
    #[schema(value_type = schema::Decision)]
    pub would: DecisionKind,
    /// Whether `decision` changed or stopped something.
    pub enforced: bool,
    /// Why, for `redact` and `block`.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// One for each policy asked.
    pub verdicts: Vec<VerdictView>,
    /// The leaf, as `sha256:<hex>`.
    #[schema(value_type = schema::LeafHash)]
    pub leaf_hash: String,
    /// Its place in the log.
    pub leaf_index: u64,
    /// Its place in the agent's chain.
    pub seq: u64,
    /// The signed note of the log that holds it: the client's receipt.
    pub checkpoint: String,
    /// Where its proof is.
    pub proof_url: String,
    /// Whether the turn went no further for it.
    #[serde(skip)]
    pub stopped: bool,
}

/// The policy and rule behind a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reason {
    /// The policy's name.
    pub policy: String,
    /// The rule's id; `policy-error` where the policy failed.
    pub rule: String,
    /// The rule's sentence.
    pub summary: String,
}

/// One policy's verdict.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Verdict)]
pub struct VerdictView {
    /// The policy's name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// Its component's digest, as `sha256:<hex>`.
    pub digest: String,
    /// What its binding does.
    #[schema(value_type = schema::Enforcement)]
    pub enforcement: Enforcement,
    /// What it decided.
    #[schema(value_type = schema::Decision)]
    pub decision: DecisionKind,
    /// What it found.
    pub findings: Vec<FindingView>,
    /// Why there is no verdict.
    #[schema(required, value_type = Option<schema::PolicyError>)]
    pub error: Option<PolicyError>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// One finding.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// The rule's id.
    pub rule: String,
    /// The rule's sentence.
    pub summary: String,
    /// How grave.
    #[schema(value_type = schema::Severity)]
    pub severity: Severity,
    /// Where, as `[start, end]` in UTF-8 bytes.
    #[schema(required)]
    pub span: Option<[u32; 2]>,
    /// The plugin's free words, for the agent's owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl FindingView {
    /// A finding as whoever brought the text is shown it, with its rule's sentence.
    #[must_use]
    pub fn of_caller(finding: &Finding, summary: String) -> Self {
        Self {
            rule: finding.rule.clone(),
            summary,
            severity: finding.severity,
            span: finding.span.map(span_view),
            detail: Some(finding.detail.clone()),
        }
    }
}

/// A span as the API shows it.
pub(crate) fn span_view(span: Span) -> [u32; 2] {
    [span.start, span.end]
}
