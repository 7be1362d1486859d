//! What a policy is given and what it answers, in the form that commitments bind.
//!
//! These types mirror `wit/policy.wit` and `wit/types.wit`. Their JSON form (snake_case names, kebab-case
//! enum values, `none` as `null`, variants as one-key objects) is fixed by `docs/formats.md`.
//! Fields of what is committed to stand in canonical order, which lets [`jcs`](crate::jcs) write without sorting.

use serde::{Deserialize, Serialize};

/// Where in a turn a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The client's message.
    Input,
    /// The model's answer.
    Output,
    /// The model's thinking.
    Reasoning,
    /// A tool call's arguments.
    ToolCall,
    /// What a tool gave back.
    ToolResult,
    /// A text file at upload.
    File,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look.
    Medium,
    /// Worth acting on.
    High,
    /// Must not pass.
    Critical,
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// A message of the conversation. Text is the only kind of part that this version judges in history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text parts, in order.
    pub parts: Vec<String>,
}

/// What a policy judges: a pure function's whole argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The stage at which the policy is asked.
    pub stage: Stage,
    /// The text that is judged.
    pub text: String,
    /// The tool's name at the two tool stages.
    pub tool: Option<String>,
    /// The model's name.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// Milliseconds since the Unix epoch when the turn began.
    pub now_ms: u64,
    /// Sorted by name.
    pub facts: Vec<(String, String)>,
    /// Oldest first; empty unless the policy's manifest asks for it.
    pub history: Vec<Message>,
}

/// UTF-8 byte offsets into the subject's text, on character boundaries: `start < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// One past the last byte.
    pub end: u32,
    /// The first byte.
    pub start: u32,
}

/// A replacement for a span: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edit {
    /// What stands in the span's place afterwards.
    pub replacement: String,
    /// What is replaced.
    pub span: Span,
}

/// One thing that a policy found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Free words for the agent's owner alone.
    pub detail: String,
    /// The id of a configured rule.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// Where, if at one place.
    pub span: Option<Span>,
}

/// What a policy decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Let it pass and say what was found.
    Flag,
    /// Let it pass with these edits: sorted, disjoint.
    Redact(Vec<Edit>),
    /// Do not let it pass: the rule that forbids it.
    Block(String),
}

/// A policy's whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it decides.
    pub decision: Decision,
    /// What it found.
    pub findings: Vec<Finding>,
}
