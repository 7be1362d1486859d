//! The private record that a leaf commits to: one governance result with all its verdicts.
//!
//! Field names, values and bounds are fixed by `docs/formats.md`; every number is an integer of at most 2^53 − 1.
//! Fields stand in canonical order here, which lets [`jcs`](crate::jcs) write without sorting.

mod form;

use serde::{Deserialize, Serialize};

pub use form::{RecordError, record_hash};

use crate::Hash;
use crate::judged::{Decision, Severity, Stage};

/// The version of the record format that this crate writes.
pub const RECORD_VERSION: u32 = 1;
/// Most bytes of a record's canonical JSON.
pub const MAX_RECORD_BYTES: usize = 32 * 1024;
/// Most policies that a record names.
pub const MAX_POLICIES: usize = 16;
/// Most distinct findings of one policy; further ones are counted in `more`.
pub const MAX_FINDINGS: usize = 64;

/// Whether verdicts are reported or obeyed; the stricter mode is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Verdicts are reported, nothing is changed or held back.
    Transparent,
    /// Verdicts are obeyed.
    Enforcing,
}

/// What a binding does with its policy's verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// Obeyed in enforcing mode.
    Enforce,
    /// Only ever reported.
    Observe,
}

/// What a failing policy does in an enforcing binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It blocks.
    #[default]
    Block,
    /// It lets pass.
    Allow,
}

/// A decision's kind, by severity: the greatest of several is their combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionKind {
    /// Nothing was found.
    Allow,
    /// Something was found.
    Flag,
    /// Something was replaced.
    Redact,
    /// It must not pass.
    Block,
    /// A crash left no verdict.
    Unknown,
}

impl From<&Decision> for DecisionKind {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Flag => Self::Flag,
            Decision::Redact(_) => Self::Redact,
            Decision::Block(_) => Self::Block,
        }
    }
}

/// How the stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it was judged.
    Complete,
    /// It was stopped by a verdict.
    Blocked,
    /// The client cancelled it.
    Cancelled,
    /// The provider failed.
    Error,
    /// The server went down during it.
    Interrupted,
}

/// Why a policy gave no verdict. No free words: a plugin's words reach no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyError {
    /// It trapped.
    Trap,
    /// It used up its fuel.
    Fuel,
    /// It ran past its deadline (depends on time: not reproducible).
    Deadline,
    /// It ran out of memory.
    Memory,
    /// It overflowed its stack (depends on the engine: not reproducible).
    Stack,
    /// It returned too much.
    Size,
    /// Its answer broke the interface's contract.
    Inconsistent,
    /// It answered with an error of its own.
    Refused,
}

impl PolicyError {
    /// Whether computing the verdict again must give the same error.
    #[must_use]
    pub fn reproducible(self) -> bool {
        !matches!(self, Self::Deadline | Self::Stack)
    }
}

/// Equal findings of one policy, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingCount {
    /// How often; at least 1.
    pub count: u64,
    /// The rule's id.
    pub rule: String,
    /// How grave.
    pub severity: Severity,
}

/// One policy's verdict, without any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRecord {
    /// SHA-256 of the bytes of the policy's component.
    pub component: Hash,
    /// SHA-256 of its configuration's canonical JSON.
    pub config: Hash,
    /// What it decided; after an error, what follows from `on_error`.
    pub decision: DecisionKind,
    /// What its binding does.
    pub enforcement: Enforcement,
    /// Why there is no verdict.
    pub error: Option<PolicyError>,
    /// At most [`MAX_FINDINGS`], in order of first appearance.
    pub findings: Vec<FindingCount>,
    /// Distinct findings beyond those.
    pub more: u64,
    /// What its binding does on failure.
    pub on_error: OnError,
    /// The policy's name.
    pub policy: String,
    /// False where computing it again may differ.
    pub reproducible: bool,
    /// Commitment to the whole verdict; none after an error.
    pub verdict: Option<Hash>,
    /// The policy's semantic version.
    pub version: String,
}

/// How far each thing went, in bytes of the source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Judged by every enforcing policy before release.
    pub judged: u64,
    /// Received from client or provider.
    pub received: u64,
    /// Released; none when a crash left it unknown.
    pub released: Option<u64>,
    /// Bytes that no policy could judge.
    pub unjudged: u64,
}

/// What computed the verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Version of the gate's rules.
    pub gate: u32,
    /// SHA-256 of the limits' canonical JSON.
    pub limits: Hash,
    /// Version of wasmtime.
    pub wasmtime: String,
    /// Version of the WIT package.
    pub wit: String,
}

/// One governance result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The agent's id.
    pub agent: String,
    /// Commitment to the text received.
    pub content: Option<Hash>,
    /// How far each thing went.
    pub coverage: Coverage,
    /// The enforcing bindings' combined decision.
    pub decision: DecisionKind,
    /// Commitment to the merged edits.
    pub edits: Option<Hash>,
    /// Whether `decision` changed or stopped something.
    pub enforced: bool,
    /// What computed the verdicts.
    pub engine: Engine,
    /// The message's id; none for the system prompt.
    pub message: Option<String>,
    /// The agent's mode.
    pub mode: Mode,
    /// The model's name.
    pub model: String,
    /// How the stage ended.
    pub outcome: Outcome,
    /// The provider's name.
    pub provider: String,
    /// Commitment to the text released.
    pub released: Option<Hash>,
    /// The session's id.
    pub session: String,
    /// The stage.
    pub stage: Stage,
    /// Commitment to the subject.
    pub subject: Option<Hash>,
    /// RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// [`RECORD_VERSION`].
    pub v: u32,
    /// One for each policy asked, in binding order; at most [`MAX_POLICIES`].
    pub verdicts: Vec<VerdictRecord>,
    /// All bindings' combined decision.
    pub would: DecisionKind,
}
