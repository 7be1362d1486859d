//! Policies: [`Policy`], [`StreamingPolicy`] and the types of `wit/policy.wit`.
//!
//! A policy is a pure function from a [`Subject`] to a [`Verdict`]. It has no clock, no randomness, no
//! environment, no files and no network, so that anyone can compute its verdict again.

use crate::types::Message;

/// A policy. Export it with [`export_policy!`](crate::export_policy).
pub trait Policy: Sized + 'static {
    /// What the policy is. Called before `configure`.
    fn manifest() -> Manifest;

    /// Takes the whole configuration as JSON, once, before any evaluation.
    ///
    /// # Errors
    /// Words for the person who binds the policy.
    fn configure(config_json: &str) -> Result<Self, String>;

    /// Every rule that a finding or a block may name under this configuration.
    fn rules(&self) -> Vec<Rule>;

    /// Judges a subject.
    ///
    /// # Errors
    /// The subject cannot be judged; the host records the error `refused`, which blocks when enforced.
    fn evaluate(&self, subject: &Subject) -> Result<Verdict, String>;

    /// A text whose evaluation touches everything that a usual one does. The exported `configure` ends by
    /// judging it, so that lazy tables and the allocator's pages are in the snapshot from which the host makes
    /// its instances.
    fn warm_up_text(&self) -> String {
        WARM_UP_TEXT.repeat(8)
    }
}

/// The default text of [`Policy::warm_up_text`], once.
pub const WARM_UP_TEXT: &str =
    "Write to ada@example.com or call +44 20 7946 0958; \"naïve\" costs 10 € — {\"a\": 1}.\n";

/// A policy that can judge a text while it is still being written.
///
/// Export it with [`export_streaming_policy!`](crate::export_streaming_policy). What `finish` returns must
/// equal [`Policy::evaluate`] over the whole text; [`testing`](crate::testing) checks it.
pub trait StreamingPolicy: Policy {
    /// A judgement under way.
    type Review: 'static;

    /// Begins to judge a subject. Its text is what has been written so far, often empty.
    fn begin(&self, subject: Subject) -> Self::Review;

    /// Takes what has been written since.
    ///
    /// # Errors
    /// The text cannot be judged.
    fn push(&self, review: &mut Self::Review, text: &str) -> Result<Progress, String>;

    /// The text is complete.
    ///
    /// # Errors
    /// The text cannot be judged.
    fn finish(&self, review: Self::Review) -> Result<Verdict, String>;
}

/// Where in a turn a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Stage {
    /// All of them, for the manifest of a policy that judges any text.
    pub const ALL: [Self; 6] =
        [Self::Input, Self::Output, Self::Reasoning, Self::ToolCall, Self::ToolResult, Self::File];
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Kebab-case, unique among installed policies.
    pub name: String,
    /// Semantic version of this component.
    pub version: String,
    /// One sentence, shown to the person who binds it.
    pub summary: String,
    /// The stages that it can judge.
    pub stages: Vec<Stage>,
    /// JSON Schema (draft 2020-12) of its configuration.
    pub config_schema: String,
    /// True to be given the conversation so far in each subject.
    pub needs_history: bool,
    /// True to be given the bytes of attachments, not only their digests.
    pub needs_attachments: bool,
}

impl Manifest {
    /// A policy that judges text at every stage, takes no configuration and needs nothing but the subject.
    pub fn new(name: impl Into<String>, version: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            stages: Stage::ALL.to_vec(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            needs_history: false,
            needs_attachments: false,
        }
    }
}

/// Something that a policy looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// `[a-z0-9-]`, 1 to 64 characters, such as `iban`.
    pub id: String,
    /// One sentence, shown to whoever is stopped or warned by it.
    pub summary: String,
}

impl Rule {
    /// A rule.
    pub fn new(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { id: id.into(), summary: summary.into() }
    }
}

/// A file that comes with the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// An IANA media type.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes, 64 lower-case hex digits.
    pub sha256: String,
    /// The bytes, if the manifest asked for them.
    pub data: Option<Vec<u8>>,
}

/// What a policy judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Where in the turn.
    pub stage: Stage,
    /// The message, the tool call's arguments in RFC 8785 form, the tool's result or the file's text.
    pub text: String,
    /// The tool's name, at the two tool stages.
    pub tool: Option<String>,
    /// The model's name.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// Milliseconds since the Unix epoch when the turn began: time is an input, not a capability.
    pub now_ms: u64,
    /// Sorted by name: `label.*`, `caller.kind`, `caller.id`, `session.turns`, `usage.*`.
    pub facts: Vec<(String, String)>,
    /// Files that came with it.
    pub attachments: Vec<Attachment>,
    /// Oldest first; empty unless the manifest asked for it.
    pub history: Vec<Message>,
}

impl Subject {
    /// A subject of nothing but text, for tests and the warm-up.
    pub fn text(stage: Stage, text: impl Into<String>) -> Self {
        Self {
            stage,
            text: text.into(),
            tool: None,
            model: String::new(),
            provider: String::new(),
            now_ms: 0,
            facts: Vec::new(),
            attachments: Vec::new(),
            history: Vec::new(),
        }
    }

    /// The fact of that name, if the host gave it.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        let at = self.facts.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        self.facts.get(at).map(|(_, value)| value.as_str())
    }
}

/// UTF-8 byte offsets into the subject's text, on character boundaries: `start < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One thing that a policy found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The id of a configured rule.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// Where, if at one place.
    pub span: Option<Span>,
    /// For the agent's owner alone. Never repeats the matched text.
    pub detail: String,
}

/// A replacement for a span: 1 to 256 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// What stands there afterwards.
    pub replacement: String,
}

/// What a policy decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Let it pass, and say what was found.
    Flag,
    /// Let it pass with these edits applied: sorted, disjoint.
    Redact(Vec<Edit>),
    /// Do not let it pass: the id of the configured rule that forbids it.
    Block(String),
}

/// A policy's whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it decides.
    pub decision: Decision,
    /// What it found.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Nothing was found.
    #[must_use]
    pub fn allow() -> Self {
        Self { decision: Decision::Allow, findings: Vec::new() }
    }

    /// The rule forbids the text, which is found as a whole.
    pub fn block(rule: impl Into<String>, severity: Severity, detail: impl Into<String>) -> Self {
        let rule = rule.into();
        let finding = Finding { rule: rule.clone(), severity, span: None, detail: detail.into() };
        Self { decision: Decision::Block(rule), findings: vec![finding] }
    }
}

/// What can be said of a text that is still being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes from the start of the text that may be sent now, whatever follows. Never decreases; on a
    /// character boundary; at most what was pushed; never inside an edit.
    pub cleared: u32,
    /// Sorted, disjoint, each inside [previous cleared, cleared): never changed later.
    pub edits: Vec<Edit>,
    /// The id of the rule for which the text must not go on; [`StreamingPolicy::finish`] must return the same block.
    pub blocked: Option<String>,
}
