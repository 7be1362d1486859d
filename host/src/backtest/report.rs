//! What a backtest found: counted by each worker for itself, and added up at the end.

use std::collections::BTreeMap;

use gavel_log::judged::Stage;
use gavel_log::record::{DecisionKind, PolicyError};
use gavel_store::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// Examples of each kind of change.
const EXAMPLES: usize = 10;
/// Most rules that are told apart.
const MAX_RULES: usize = 1024;

/// What a candidate would have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The policy whose recorded verdicts were compared with.
    pub policy: String,
    /// What judged.
    pub candidate: Judge,
    /// What it found.
    pub tally: Tally,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Texts judged in a second.
    pub per_second: u64,
    /// Where it stopped before the end: it goes on below this leaf. None when all was looked at.
    pub below: Option<u64>,
}

/// A candidate, as records would name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestCandidate)]
pub struct Judge {
    /// Its name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// `sha256:<hex>` of its bytes.
    pub digest: String,
    /// `sha256:<hex>` of its configuration.
    pub config: String,
}

/// Counts of governance results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BacktestTally)]
pub struct Tally {
    /// Those that were asked for, judged again or not.
    pub looked_at: u64,
    /// Those whose text was judged again.
    pub judged: u64,
    /// Of the judged ones those whose text broke off: what would have followed is unknown.
    pub cut_off: u64,
    /// Those that could not be judged again.
    pub skipped: Skipped,
    /// With what the judged ones were compared.
    pub compared_with: ComparedWith,
    /// Blocked now, and not then.
    pub newly_blocked: u64,
    /// Redacted now, and passed as they were then.
    pub newly_redacted: u64,
    /// Passed now, as they are or redacted, and stopped or changed more then.
    pub newly_let_through: u64,
    /// Stopped, changed or passed as then.
    pub unchanged: u64,
    /// Those for which the candidate gave no verdict, by its error.
    pub errors: BTreeMap<String, u64>,
    /// The changes by the rules behind them: the candidate's where it is stricter, the recorded ones where it is not.
    pub rules: BTreeMap<String, Changes>,
    /// Some of the changes, the newest of each kind.
    pub examples: Vec<Example>,
}

/// Why results could not be judged again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestSkipped)]
pub struct Skipped {
    /// Their opening was not kept, or has been erased.
    pub no_opening: u64,
    /// The candidate does not judge their stage.
    pub other_stage: u64,
}

/// With what results were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestComparedWith)]
pub struct ComparedWith {
    /// The recorded verdict of the policy.
    pub policy: u64,
    /// What all policies decided together, where this one was not asked: there it could only be stricter.
    pub decision: u64,
}

/// Changes of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestChanges)]
pub struct Changes {
    /// As [`Tally::newly_blocked`].
    pub newly_blocked: u64,
    /// As [`Tally::newly_redacted`].
    pub newly_redacted: u64,
    /// As [`Tally::newly_let_through`].
    pub newly_let_through: u64,
}

/// How a result changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BacktestChange)]
pub enum Change {
    /// It is blocked now.
    NewlyBlocked,
    /// It is redacted now.
    NewlyRedacted,
    /// It passes now, or more of it.
    NewlyLetThrough,
}

/// One changed result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestExample)]
pub struct Example {
    /// How it changes.
    pub change: Change,
    /// Its leaf's index.
    pub leaf_index: u64,
    /// Its leaf's hash.
    #[schema(value_type = schema::LeafHash)]
    pub leaf_hash: String,
    /// The agent.
    #[schema(value_type = schema::AgentId)]
    pub agent_id: AgentId,
    /// The stage.
    #[schema(value_type = schema::Stage)]
    pub stage: Stage,
    /// When it was judged.
    #[schema(value_type = schema::Time)]
    pub time: String,
    /// What was decided then.
    #[schema(value_type = schema::Decision)]
    pub recorded: DecisionKind,
    /// What the candidate decides.
    #[schema(value_type = schema::Decision)]
    pub candidate: DecisionKind,
    /// The rules behind it.
    pub rules: Vec<String>,
    /// The beginning of its text, for the agent's owner alone.
    #[schema(required)]
    pub text: Option<String>,
}

impl Change {
    /// How what was decided changes, if what is stopped or changed does.
    pub(super) fn between(recorded: DecisionKind, candidate: DecisionKind) -> Option<Self> {
        let (before, after) = (weight(recorded), weight(candidate));
        match after.cmp(&before) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Less => Some(Self::NewlyLetThrough),
            std::cmp::Ordering::Greater if candidate == DecisionKind::Block => Some(Self::NewlyBlocked),
            std::cmp::Ordering::Greater => Some(Self::NewlyRedacted),
        }
    }
}

/// What passes as it is, what is changed, what is stopped.
fn weight(decision: DecisionKind) -> u8 {
    match decision {
        DecisionKind::Allow | DecisionKind::Flag => 0,
        DecisionKind::Redact => 1,
        DecisionKind::Block | DecisionKind::Unknown => 2,
    }
}

impl Tally {
    /// Counts a verdict that changes nothing, or that changes something by these rules.
    pub(super) fn count(&mut self, change: Option<Change>, rules: &[String]) {
        let Some(change) = change else {
            self.unchanged += 1;
            return;
        };
        let total = match change {
            Change::NewlyBlocked => &mut self.newly_blocked,
            Change::NewlyRedacted => &mut self.newly_redacted,
            Change::NewlyLetThrough => &mut self.newly_let_through,
        };
        *total += 1;
        for rule in rules {
            if self.rules.len() < MAX_RULES || self.rules.contains_key(rule) {
                self.rules.entry(rule.clone()).or_default().count(change);
            }
        }
    }

    /// Counts a candidate that gave no verdict.
    pub(super) fn fail(&mut self, error: PolicyError) {
        let word = serde_json::to_value(error).ok().and_then(|word| word.as_str().map(str::to_owned));
        *self.errors.entry(word.unwrap_or_default()).or_default() += 1;
    }

    /// Whether another example of this kind would be kept, as it is older than those that are.
    pub(super) fn takes_example(&self, change: Change) -> bool {
        self.examples.iter().filter(|example| example.change == change).count() < EXAMPLES
    }

    /// Adds another's counts.
    pub(super) fn add(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.judged += other.judged;
        self.cut_off += other.cut_off;
        self.skipped.no_opening += other.skipped.no_opening;
        self.skipped.other_stage += other.skipped.other_stage;
        self.compared_with.policy += other.compared_with.policy;
        self.compared_with.decision += other.compared_with.decision;
        self.newly_blocked += other.newly_blocked;
        self.newly_redacted += other.newly_redacted;
        self.newly_let_through += other.newly_let_through;
        self.unchanged += other.unchanged;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        for (rule, changes) in other.rules {
            self.rules.entry(rule).or_default().add(changes);
        }
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|example| std::cmp::Reverse(example.leaf_index));
        let (mut blocked, mut redacted, mut let_through) = (0, 0, 0);
        self.examples.retain(|example| {
            let kept = match example.change {
                Change::NewlyBlocked => &mut blocked,
                Change::NewlyRedacted => &mut redacted,
                Change::NewlyLetThrough => &mut let_through,
            };
            *kept += 1;
            *kept <= EXAMPLES
        });
    }
}

impl Changes {
    fn count(&mut self, change: Change) {
        match change {
            Change::NewlyBlocked => self.newly_blocked += 1,
            Change::NewlyRedacted => self.newly_redacted += 1,
            Change::NewlyLetThrough => self.newly_let_through += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.newly_blocked += other.newly_blocked;
        self.newly_redacted += other.newly_redacted;
        self.newly_let_through += other.newly_let_through;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_what_is_stopped_or_changed_more_or_less() {
        use DecisionKind::{Allow, Block, Flag, Redact};
        for (recorded, candidate, change) in [
            (Allow, Flag, None),
            (Redact, Redact, None),
            (Allow, Redact, Some(Change::NewlyRedacted)),
            (Flag, Block, Some(Change::NewlyBlocked)),
            (Redact, Block, Some(Change::NewlyBlocked)),
            (Block, Redact, Some(Change::NewlyLetThrough)),
            (Redact, Flag, Some(Change::NewlyLetThrough)),
        ] {
            assert_eq!(Change::between(recorded, candidate), change, "{recorded:?} {candidate:?}");
        }
    }

    #[test]
    fn tallies_add_up_and_keep_the_newest_examples() {
        let mut total = Tally::default();
        for worker in 0..3 {
            let mut tally = Tally::default();
            for index in 0..EXAMPLES as u64 {
                tally.count(Some(Change::NewlyBlocked), &["card".to_owned()]);
                tally.examples.push(example(index * 3 + worker));
            }
            assert!(!tally.takes_example(Change::NewlyBlocked) && tally.takes_example(Change::NewlyRedacted));
            tally.count(None, &[]);
            tally.fail(PolicyError::Fuel);
            total.add(tally);
        }
        assert_eq!((total.newly_blocked, total.unchanged, total.errors["fuel"]), (30, 3, 3));
        assert_eq!(total.rules["card"].newly_blocked, 30);
        let kept: Vec<_> = total.examples.iter().map(|example| example.leaf_index).collect();
        assert_eq!(kept, (20..30).rev().collect::<Vec<_>>());
    }

    fn example(leaf_index: u64) -> Example {
        Example {
            change: Change::NewlyBlocked,
            leaf_index,
            leaf_hash: String::new(),
            agent_id: AgentId::generate(),
            stage: Stage::Input,
            time: String::new(),
            recorded: DecisionKind::Allow,
            candidate: DecisionKind::Block,
            rules: Vec::new(),
            text: None,
        }
    }
}
