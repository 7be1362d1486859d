//! Governance results that can be asked for: by agent, decision, stage, policy, rule and time.
//!
//! The log is its own list of them, in the order of their sealing. So that a search need not read all of it, each 256
//! leaves have a [block](block) that says which of them have what, and each 256 blocks have one that says the same of
//! these. Blocks are derived from the leaves and written with the commit that completes them, so a turn's commit pays
//! for one in 256 leaves only. A search goes down from the wide blocks to the narrow ones to the leaves, and checks what
//! it finds against the record: a block may say too much, never too little.

mod block;

use gavel_log::judged::Stage;
use gavel_log::record::{DecisionKind, Record, VerdictRecord};
use gavel_log::{Hash, RecordError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::id::{AgentId, SessionId};

pub(crate) use block::{Block, BlockDraft, Positions};

/// The rule under which a policy is found that gave no verdict because it failed.
pub const POLICY_ERROR_RULE: &str = "policy-error";

/// Which governance results are wanted: those that everything given here is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictFilter {
    /// This agent's.
    pub agent: Option<AgentId>,
    /// Those that the enforcing bindings together decided so.
    pub decision: Option<DecisionKind>,
    /// Those of this stage.
    pub stage: Option<Stage>,
    /// Those for which this policy was asked.
    pub policy: Option<String>,
    /// Those with a finding of this rule, by [`policy`](Self::policy) if one is given; [`POLICY_ERROR_RULE`] finds those
    /// in which a policy failed.
    pub rule: Option<String>,
    /// Those from this time on, in milliseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Those before this time, likewise.
    pub to: Option<i64>,
}

/// One governance result in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictRow {
    /// Its leaf's index in the log.
    pub index: u64,
    /// Its leaf's hash.
    pub leaf_hash: Hash,
    /// Its number in the agent's chain, from 0.
    pub seq: u64,
    /// The agent; it may be gone.
    pub agent: AgentId,
    /// The session.
    pub session: SessionId,
    /// The record.
    pub record: Record,
}

/// What one step of a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictPage {
    /// What was found, newest first.
    pub rows: Vec<VerdictRow>,
    /// The search goes on below this leaf; none when it has come to the log's beginning.
    pub below: Option<u64>,
}

impl VerdictFilter {
    /// The terms that every leaf that is wanted has.
    pub(crate) fn terms(&self) -> Vec<u64> {
        let mut terms = Vec::new();
        terms.extend(self.agent.map(agent_term));
        terms.extend(self.decision.map(decision_term));
        terms.extend(self.stage.map(stage_term));
        match (&self.policy, &self.rule) {
            (Some(policy), Some(rule)) => terms.push(finding_term(policy, rule)),
            (Some(policy), None) => terms.push(policy_term(policy)),
            (None, Some(rule)) => terms.push(rule_term(rule)),
            (None, None) => {}
        }
        terms
    }

    /// Whether a record is wanted that is this agent's and of this time.
    pub(crate) fn admits(&self, agent: AgentId, record: &Record, time: i64) -> bool {
        let policies = || record.verdicts.iter().filter(|verdict| is_or_any(self.policy.as_ref(), &verdict.policy));
        is_or_any(self.agent.as_ref(), &agent)
            && is_or_any(self.decision.as_ref(), &record.decision)
            && is_or_any(self.stage.as_ref(), &record.stage)
            && (self.policy.is_none() || policies().next().is_some())
            && self.rule.as_ref().is_none_or(|rule| policies().flat_map(rules).any(|found| found == rule))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
    }

    /// Whether times from `earliest` to `latest` hold any that is wanted.
    pub(crate) fn overlaps(&self, earliest: i64, latest: i64) -> bool {
        self.from.is_none_or(|from| latest >= from) && self.to.is_none_or(|to| earliest < to)
    }
}

fn is_or_any<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

/// The rules under which a verdict is found.
fn rules(verdict: &VerdictRecord) -> impl Iterator<Item = &str> {
    let failed = verdict.error.is_some().then_some(POLICY_ERROR_RULE);
    verdict.findings.iter().map(|finding| finding.rule.as_str()).chain(failed)
}

/// The record of a leaf.
pub(crate) fn record(text: &str) -> Result<Record, RecordError> {
    // It was canonical when it was sealed, and what is sealed cannot be changed unseen.
    Ok(serde_json::from_str(text)?)
}

/// A record's time in milliseconds since the Unix epoch; none if it is not written as records write it.
pub(crate) fn record_time(record: &Record) -> Option<i64> {
    let time = OffsetDateTime::parse(&record.time, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Everything that a leaf is found by.
pub(crate) fn record_terms(agent: AgentId, record: &Record) -> Vec<u64> {
    let mut terms = vec![agent_term(agent), decision_term(record.decision), stage_term(record.stage)];
    for verdict in &record.verdicts {
        terms.push(policy_term(&verdict.policy));
        for rule in rules(verdict) {
            terms.push(rule_term(rule));
            terms.push(finding_term(&verdict.policy, rule));
        }
    }
    terms
}

fn agent_term(agent: AgentId) -> u64 {
    term(b'a', &[&agent.key().to_be_bytes()])
}

fn decision_term(decision: DecisionKind) -> u64 {
    term(b'd', &[&[decision as u8]])
}

fn stage_term(stage: Stage) -> u64 {
    term(b's', &[&[stage as u8]])
}

fn policy_term(policy: &str) -> u64 {
    term(b'p', &[policy.as_bytes()])
}

fn rule_term(rule: &str) -> u64 {
    term(b'r', &[rule.as_bytes()])
}

fn finding_term(policy: &str, rule: &str) -> u64 {
    // No rule's id has a zero byte.
    term(b'f', &[policy.as_bytes(), &[0], rule.as_bytes()])
}

/// FNV-1a. Two things may have the same term: whoever finds a leaf by it looks at its record.
fn term(kind: u8, parts: &[&[u8]]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = std::iter::once(kind).chain(parts.iter().copied().flatten().copied());
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_fnv_1a_of_its_kind_and_its_parts() {
        // The test vector of "foobar", from the definition.
        assert_eq!(term(b'f', &[b"oo", b"bar"]), 0x8594_4171_f739_67e8);
        assert_ne!(policy_term("pii"), rule_term("pii"));
        assert_ne!(finding_term("a", "bc"), finding_term("ab", "c"));
    }

    #[test]
    fn a_range_of_times_ends_before_its_end() {
        let filter = VerdictFilter { from: Some(10), to: Some(20), ..VerdictFilter::default() };
        assert!(filter.overlaps(0, 10) && filter.overlaps(19, 30) && filter.overlaps(0, 30));
        assert!(!filter.overlaps(0, 9) && !filter.overlaps(20, 30));
    }
}
