//! A worker: one thread that opens texts and asks the candidate about them, behind everything that chats need.

use std::num::NonZeroUsize;
use std::sync::Arc;

use gavel_log::judged::{Decision, Stage, Verdict};
use gavel_log::record::{DecisionKind, Outcome, PolicyError};
use gavel_log::{Hash, Record, record_hash};
use gavel_sandbox::policy::{BoundPolicy, PolicyRuntime};
use gavel_store::{AgentId, LeafRow, SessionId, Store, UserId};
use lru::LruCache;

use super::BacktestError;
use super::report::{Change, Example, Tally};
use super::walk::Walk;
use crate::clock;
use crate::turn::Opening;
use crate::vault::{SessionKey, Vault};

/// Sessions whose keys a worker remembers.
const KEYS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Most bytes of an example's text.
const EXAMPLE_BYTES: usize = 280;
/// How much the machine's scheduler is to prefer whoever answers chats.
const NICENESS: i32 = 10;

/// What all workers of a backtest have.
pub(super) struct Task {
    pub(super) walk: Walk,
    pub(super) store: Store,
    pub(super) vault: Arc<Vault>,
    pub(super) runtime: Arc<PolicyRuntime>,
    pub(super) candidate: Arc<BoundPolicy>,
    /// The policy whose recorded verdicts are compared with.
    pub(super) policy: String,
    /// Who may read the texts of their own agents.
    pub(super) viewer: Option<UserId>,
}

/// Works until the walk has ended.
pub(super) fn work(task: &Task) -> Result<Tally, BacktestError> {
    // A thread of its own, so that this is its own priority. Where it cannot be had, it works all the same.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a backtest's thread keeps its priority");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(Worker { task, tally: Tally::default(), keys: LruCache::new(KEYS) }.run())
}

struct Worker<'t> {
    task: &'t Task,
    tally: Tally,
    /// None for a session whose key is gone.
    keys: LruCache<SessionId, Option<Opener>>,
}

/// What opens a session's texts, and whether the viewer may read them.
#[derive(Clone)]
struct Opener {
    key: SessionKey,
    owned: bool,
}

impl Worker<'_> {
    async fn run(mut self) -> Result<Tally, BacktestError> {
        let walk = &self.task.walk;
        while let Some(page) = walk.next_page()? {
            // Instances of their own: what chats may run out of is not touched. Held for a page, so that backtests share.
            let _permit = self.task.runtime.background().await;
            for row in page {
                if walk.is_stopped() {
                    return Err(BacktestError::Stopped);
                }
                self.look(&row).await?;
            }
        }
        Ok(self.tally)
    }

    async fn look(&mut self, row: &LeafRow) -> Result<(), BacktestError> {
        // It was canonical when it was sealed.
        let record: Record = serde_json::from_str(&row.record).map_err(|_| BacktestError::Damaged)?;
        if !self.is_asked_for(&record) {
            return Ok(());
        }
        self.tally.looked_at += 1;
        let judged = self.judge(row, &record).await?;
        self.task.walk.passed(judged);
        Ok(())
    }

    /// The index knows of times only roughly.
    fn is_asked_for(&self, record: &Record) -> bool {
        let filter = self.task.walk.filter();
        if filter.from.is_none() && filter.to.is_none() {
            return true;
        }
        let time = clock::parse_rfc3339(&record.time);
        time.is_some_and(|time| filter.from.is_none_or(|from| time >= from) && filter.to.is_none_or(|to| time < to))
    }

    /// Judges a result again; false if its text cannot be had, or the candidate does not judge its stage.
    async fn judge(&mut self, row: &LeafRow, record: &Record) -> Result<bool, BacktestError> {
        let manifest = &self.task.candidate.component().manifest;
        if !manifest.stages.contains(&record.stage) {
            self.tally.skipped.other_stage += 1;
            return Ok(false);
        }
        let opener = self.opener(row.agent, row.session)?;
        let (Some(sealed), Some(opener)) = (&row.opening, opener) else {
            self.tally.skipped.no_opening += 1;
            return Ok(false);
        };
        let opening = Opening::open(&opener.key, &record_hash(&row.nonce, &row.record), sealed)?;
        let mut subject = opening.subject();
        if !manifest.needs_history {
            subject.history.clear();
        }
        let answer = self.task.candidate.evaluate(&subject).await.result.map_err(|error| error.kind);
        self.tally.judged += 1;
        self.tally.cut_off += u64::from(is_cut_off(record));
        self.compare(row, record, &answer, opener.owned.then_some(subject.text.as_str()));
        Ok(true)
    }

    fn compare(&mut self, row: &LeafRow, record: &Record, answer: &Result<Verdict, PolicyError>, text: Option<&str>) {
        let recorded = record.verdicts.iter().find(|verdict| verdict.policy == self.task.policy);
        match recorded {
            Some(_) => self.tally.compared_with.policy += 1,
            None => self.tally.compared_with.decision += 1,
        }
        let verdict = match answer {
            Ok(verdict) => verdict,
            Err(error) => return self.tally.fail(*error),
        };
        let decided = DecisionKind::from(&verdict.decision);
        // Beside others a policy can only stop or change more.
        let (before, after) = match recorded {
            Some(recorded) => (recorded.decision, decided),
            None => (record.decision, decided.max(record.decision)),
        };
        let change = Change::between(before, after);
        let rules = match change {
            None => Vec::new(),
            Some(Change::NewlyLetThrough) => recorded.map(|recorded| rules_of(&recorded.findings)).unwrap_or_default(),
            Some(_) => rules(verdict),
        };
        self.tally.count(change, &rules);
        if let Some(change) = change.filter(|change| self.tally.takes_example(*change)) {
            self.tally.examples.push(example(row, record, change, (before, decided), rules, text));
        }
    }

    fn opener(&mut self, agent: AgentId, session: SessionId) -> Result<Option<Opener>, BacktestError> {
        if let Some(known) = self.keys.get(&session) {
            return Ok(known.clone());
        }
        let Task { store, vault, viewer, .. } = self.task;
        let opener = match (store.agent(&agent)?, store.session(&session)?) {
            (Some(agent), Some(session)) => Some(Opener {
                key: vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?,
                owned: viewer.as_ref() == Some(&agent.owner),
            }),
            _ => None,
        };
        self.keys.put(session, opener.clone());
        Ok(opener)
    }
}

/// Whether the text that was judged is not all that there would have been.
fn is_cut_off(record: &Record) -> bool {
    matches!(record.stage, Stage::Output | Stage::Reasoning) && record.outcome != Outcome::Complete
}

fn example(
    row: &LeafRow,
    record: &Record,
    change: Change,
    (recorded, candidate): (DecisionKind, DecisionKind),
    rules: Vec<String>,
    text: Option<&str>,
) -> Example {
    let beginning = |text: &str| text.get(..text.floor_char_boundary(EXAMPLE_BYTES)).unwrap_or_default().to_owned();
    Example {
        change,
        leaf_index: row.index,
        leaf_hash: Hash::leaf(&row.entry).tagged(),
        agent_id: row.agent,
        stage: record.stage,
        time: record.time.clone(),
        recorded,
        candidate,
        rules,
        text: text.map(beginning),
    }
}

/// The rules behind a verdict, each once.
fn rules(verdict: &Verdict) -> Vec<String> {
    let blocking = match &verdict.decision {
        Decision::Block(rule) => Some(rule),
        _ => None,
    };
    distinct(blocking.into_iter().chain(verdict.findings.iter().map(|finding| &finding.rule)))
}

fn rules_of(findings: &[gavel_log::record::FindingCount]) -> Vec<String> {
    distinct(findings.iter().map(|finding| &finding.rule))
}

fn distinct<'r>(rules: impl Iterator<Item = &'r String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for rule in rules {
        if !distinct.contains(rule) {
            distinct.push(rule.clone());
        }
    }
    distinct
}
