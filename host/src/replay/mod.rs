//! Verdicts computed again, by the definition, from what was stored: component, configuration and opening.
//!
//! A verdict is a function of the three. Whoever has them computes it again, here or elsewhere, today or in a year, and gets
//! the bytes that the record commits to, or knows why not. [`replay`] is that function; where the parts come from is its
//! caller's: `stored` takes them from an installation, `offline` from a proof and a directory.

mod compute;
mod offline;
mod stored;

use std::sync::Arc;

use gavel_log::judged::{Subject, Verdict};
use gavel_log::record::{DecisionKind, Engine, FindingCount, OnError, PolicyError, VerdictRecord};
use gavel_log::{FieldKey, Hash, Record, Streamed, jcs};
use gavel_sandbox::policy::PolicyComponent;
use serde::{Deserialize, Serialize};

pub use offline::{Directory, OfflineError, material};
pub use stored::{ReplayError, ReplayedLeaf, Replays, parts};

use crate::turn::counted;

/// What a record's verdicts were computed from and are compared with.
pub struct Material {
    /// The widest subject: what one policy was given follows from it and from the policy's manifest.
    pub subject: Subject,
    /// How policies that failed while they followed the text were given it.
    pub streamed: Option<Streamed>,
    /// For each of the record's verdicts the key of its commitment, where it is known.
    pub keys: Vec<Option<FieldKey>>,
}

/// Where components and configurations come from.
pub trait Parts: Sync {
    /// The policy of these bytes, or in words why there is none.
    fn component(&self, digest: &Hash) -> impl Future<Output = Result<Arc<PolicyComponent>, String>> + Send;
    /// The configuration of this digest, or in words why there is none.
    fn config(&self, digest: &Hash) -> Result<serde_json::Value, String>;
    /// What computes verdicts here.
    fn engine(&self) -> &Engine;
}

/// What came of it, for a whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same bytes.
    Same,
    /// The record says itself that computing it again may give something else, or something else computed it.
    NotReproducible,
    /// Something that it was computed from is not there.
    Impossible,
    /// Not what is recorded.
    Different,
}

/// A verdict in short, as it was recorded or as it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The policy's decision.
    pub decision: DecisionKind,
    /// Its findings, counted.
    pub findings: Vec<FindingCount>,
    /// Distinct findings beyond those.
    pub more: u64,
    /// Why there is no verdict.
    pub error: Option<PolicyError>,
}

/// One policy's verdict, computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyReplay {
    /// The policy's name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its bytes.
    pub component: Hash,
    /// SHA-256 of its configuration.
    pub config: Hash,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it is not the same.
    pub reason: Option<String>,
    /// What the record says.
    pub recorded: Seen,
    /// What came out; none where nothing could be computed.
    pub computed: Option<Seen>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// A record's verdicts, computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    /// The worst of the policies': where none was asked there is nothing that could differ.
    pub outcome: Outcome,
    /// Each policy that was asked, in the record's order.
    pub policies: Vec<PolicyReplay>,
}

/// Computes the verdicts of `record` again from its material, or says of each why that is impossible.
pub async fn replay(record: &Record, material: Result<&Material, &str>, parts: &impl Parts) -> Replayed {
    let mut policies = Vec::with_capacity(record.verdicts.len());
    for (index, recorded) in record.verdicts.iter().enumerate() {
        policies.push(match material {
            Ok(material) => compute::verdict(record, index, recorded, material, parts).await,
            Err(reason) => PolicyReplay::impossible(recorded, reason.to_owned()),
        });
    }
    let outcome = policies.iter().map(|policy| policy.outcome).max().unwrap_or(Outcome::Same);
    Replayed { outcome, policies }
}

impl PolicyReplay {
    fn impossible(recorded: &VerdictRecord, reason: String) -> Self {
        Self {
            policy: recorded.policy.clone(),
            version: recorded.version.clone(),
            component: recorded.component,
            config: recorded.config,
            outcome: Outcome::Impossible,
            reason: Some(reason),
            recorded: Seen::recorded(recorded),
            computed: None,
            micros: 0,
        }
    }
}

impl Seen {
    /// What a record says of a verdict.
    fn recorded(verdict: &VerdictRecord) -> Self {
        Self {
            decision: verdict.decision,
            findings: verdict.findings.clone(),
            more: verdict.more,
            error: verdict.error,
        }
    }

    /// What a record would say of an answer whose binding is that of `recorded`.
    fn computed(answer: &Result<Verdict, PolicyError>, recorded: &VerdictRecord) -> Self {
        let (findings, more) = counted(answer.as_ref().map(|verdict| verdict.findings.as_slice()).unwrap_or_default());
        let decision = match (answer, recorded.on_error) {
            (Ok(verdict), _) => DecisionKind::from(&verdict.decision),
            (Err(_), OnError::Block) => DecisionKind::Block,
            (Err(_), OnError::Allow) => DecisionKind::Allow,
        };
        Self { decision, findings, more, error: answer.as_ref().err().copied() }
    }

    /// Whether a record may say this of what was computed: findings that found no room in it are only counted.
    fn may_stand_for(&self, computed: &Self) -> bool {
        let distinct = |seen: &Self| seen.findings.len() as u64 + seen.more;
        self.decision == computed.decision
            && self.error == computed.error
            && distinct(self) == distinct(computed)
            && computed.findings.starts_with(&self.findings)
    }
}

/// Whether a verdict's bytes are those that a commitment is to.
fn is_committed(verdict: &Verdict, key: &FieldKey, commitment: &Hash) -> bool {
    jcs::to_string(verdict).is_ok_and(|text| key.commit(text.as_bytes()) == *commitment)
}

#[cfg(test)]
mod tests;
