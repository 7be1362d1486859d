//! Searches for verdicts find what a look at every record would find.

use gavel_log::judged::{Severity, Stage};
use gavel_log::record::{
    Coverage, DecisionKind, Enforcement, Engine, FindingCount, OnError, Outcome, PolicyError, RECORD_VERSION, Record,
    VerdictRecord,
};

use super::*;
use crate::{MAX_EARLIER, POLICY_ERROR_RULE, VerdictFilter, VerdictRow};

const POLICIES: [&str; 3] = ["pii", "secrets", "tone"];
const RULES: [&str; 4] = ["card", "email", "jwt", "rude"];
const DECISIONS: [DecisionKind; 4] =
    [DecisionKind::Allow, DecisionKind::Flag, DecisionKind::Redact, DecisionKind::Block];
const STAGES: [Stage; 3] = [Stage::Input, Stage::Output, Stage::File];

fn verdict(policy: &str, rule: Option<&str>, decision: DecisionKind, error: Option<PolicyError>) -> VerdictRecord {
    let finding = |rule: &str| FindingCount { count: 1, rule: rule.into(), severity: Severity::High };
    VerdictRecord {
        component: Hash::ZERO,
        config: Hash::ZERO,
        decision,
        enforcement: Enforcement::Enforce,
        error,
        findings: rule.map(finding).into_iter().collect(),
        more: 0,
        on_error: OnError::Block,
        policy: policy.into(),
        reproducible: true,
        verdict: error.is_none().then_some(Hash::ZERO),
        version: "1.0.0".into(),
    }
}

fn record(of: &Actor, second: usize, decision: DecisionKind, stage: Stage, verdicts: Vec<VerdictRecord>) -> Record {
    Record {
        agent: of.agent.to_string(),
        content: None,
        coverage: Coverage { judged: 0, received: 0, released: None, unjudged: 0 },
        decision,
        edits: None,
        enforced: false,
        engine: Engine { gate: 1, limits: Hash::ZERO, wasmtime: "0".into(), wit: "0".into() },
        message: None,
        mode: Mode::Enforcing,
        model: "demo".into(),
        outcome: Outcome::Complete,
        provider: "demo".into(),
        released: None,
        session: of.session.to_string(),
        stage,
        subject: None,
        time: format!("2026-01-01T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60),
        v: RECORD_VERSION,
        verdicts,
        would: decision,
    }
}

/// Some record, the same for the same number; neighbours have little in common, and the clock goes back at times.
fn some_record(of: &Actor, number: usize) -> Record {
    let digest = Hash::of(&number.to_be_bytes()).0;
    let pick = |place: usize, most: usize| usize::from(digest[place]) % most;
    let decision = DECISIONS[pick(0, 4)];
    let verdicts = (0..pick(1, 3))
        .map(|nth| {
            let error = (pick(2, 9) == nth).then_some(PolicyError::Fuel);
            verdict(POLICIES[(pick(3, 3) + nth) % 3], RULES.get(pick(4, 6)).copied(), decision, error)
        })
        .collect();
    record(of, number + pick(5, 90), decision, STAGES[pick(6, 3)], verdicts)
}

fn draft(record: &Record, number: usize) -> LeafDraft {
    LeafDraft { record: record.to_canonical().unwrap(), nonce: Hash::of(&number.to_be_bytes()).0, opening: None }
}

/// Seals records as older parts of a conversation, many at once, with the input that brings them.
async fn seal(of: &Actor, records: &[Record]) {
    for (nth, records) in records.chunks(MAX_EARLIER + 1).enumerate() {
        let (last, earlier) = records.split_last().unwrap();
        let drafts = earlier.iter().enumerate().map(|(number, record)| draft(record, nth * 10_000 + number)).collect();
        let seal = InputSeal { earlier: drafts, leaf: draft(last, 9_999), ..of.input("Hello") };
        of.store.seal_input(seal).await.unwrap();
    }
}

/// All that a search finds, however many steps it takes.
fn found(store: &Store, filter: &VerdictFilter, limit: usize) -> Vec<VerdictRow> {
    let (mut rows, mut below) = (Vec::new(), None);
    loop {
        let page = store.verdicts(filter, below, limit).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        below = page.below;
        if below.is_none() {
            return rows;
        }
    }
}

/// What `filter` means, by its own words.
fn is_wanted(filter: &VerdictFilter, of: AgentId, record: &Record) -> bool {
    let time = format!("{}+00:00", record.time.trim_end_matches('Z'));
    let time = time::OffsetDateTime::parse(&time, &time::format_description::well_known::Rfc3339).unwrap();
    let time = time.unix_timestamp() * 1000;
    let by = |verdict: &&VerdictRecord| filter.policy.as_ref().is_none_or(|policy| *policy == verdict.policy);
    let ruled = |verdict: &VerdictRecord, rule: &str| {
        verdict.findings.iter().any(|finding| finding.rule == rule)
            || (rule == POLICY_ERROR_RULE && verdict.error.is_some())
    };
    filter.agent.is_none_or(|agent| agent == of)
        && filter.decision.is_none_or(|decision| decision == record.decision)
        && filter.stage.is_none_or(|stage| stage == record.stage)
        && (filter.policy.is_none() || record.verdicts.iter().any(|verdict| by(&verdict)))
        && filter.rule.as_ref().is_none_or(|rule| record.verdicts.iter().filter(by).any(|v| ruled(v, rule)))
        && filter.from.is_none_or(|from| time >= from)
        && filter.to.is_none_or(|to| time < to)
}

/// 2026-01-01T00:00:00Z, in milliseconds since the Unix epoch.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn filters(alice: AgentId) -> Vec<VerdictFilter> {
    let all = VerdictFilter::default();
    let policy = |policy: &str| Some(policy.to_owned());
    vec![
        all.clone(),
        VerdictFilter { agent: Some(alice), ..all.clone() },
        VerdictFilter { decision: Some(DecisionKind::Block), ..all.clone() },
        VerdictFilter { agent: Some(alice), decision: Some(DecisionKind::Redact), ..all.clone() },
        VerdictFilter { stage: Some(Stage::File), decision: Some(DecisionKind::Flag), ..all.clone() },
        VerdictFilter { policy: policy("tone"), ..all.clone() },
        VerdictFilter { rule: policy("jwt"), ..all.clone() },
        VerdictFilter { policy: policy("pii"), rule: policy("card"), agent: Some(alice), ..all.clone() },
        VerdictFilter { rule: policy(POLICY_ERROR_RULE), ..all.clone() },
        VerdictFilter { policy: policy("nobody"), ..all.clone() },
        VerdictFilter { from: Some(NEW_YEAR + 200_000), to: Some(NEW_YEAR + 400_000), ..all.clone() },
        VerdictFilter { from: Some(NEW_YEAR + 600_000), decision: Some(DecisionKind::Block), ..all.clone() },
        VerdictFilter { to: Some(NEW_YEAR + 50_000), ..all },
    ]
}

#[tokio::test]
async fn a_search_finds_what_a_look_at_every_record_would() {
    let home = Home::new();
    let actors = [Actor::new(&home.store).await, Actor::new(&home.store).await];
    let mut log = Vec::new();
    // Batches that end within blocks, at their ends, and beyond several of them.
    for (batch, length) in [1, 100, 155, 256, 600, 3].into_iter().enumerate() {
        let of = &actors[batch % 2];
        let records: Vec<Record> = (0..length).map(|number| some_record(of, log.len() + number)).collect();
        seal(of, &records).await;
        log.extend(records.into_iter().map(|record| (of.agent, record)));
    }
    let check = |store: &Store| {
        for filter in filters(actors[0].agent) {
            let wanted = log.iter().rev().filter(|(agent, record)| is_wanted(&filter, *agent, record));
            let wanted: Vec<_> = wanted.map(|(_, record)| record.clone()).collect();
            for limit in [1000, 7] {
                let rows = found(store, &filter, limit);
                let records: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
                assert_eq!(records.len(), wanted.len(), "{filter:?}");
                assert_eq!(records, wanted, "{filter:?}");
                assert!(rows.is_sorted_by(|newer, older| newer.index > older.index));
            }
        }
    };
    check(&home.store);
    let row = found(&home.store, &filters(actors[0].agent)[1], 1).remove(0);
    let leaf = home.store.leaf(&row.leaf_hash).unwrap().unwrap();
    assert_eq!((leaf.index, leaf.agent, leaf.session), (row.index, row.agent, row.session));
    assert_eq!(Entry::parse(&leaf.entry).unwrap().seq, row.seq);
    check(&home.reopen().store);
}

#[tokio::test]
async fn what_is_rare_is_found_in_one_step_however_much_lies_before_it() {
    let home = Home::new();
    let (alice, bob) = (Actor::new(&home.store).await, Actor::new(&home.store).await);
    let allowed = |of: &Actor| {
        record(of, 5, DecisionKind::Allow, Stage::Input, vec![verdict("pii", None, DecisionKind::Allow, None)])
    };
    seal(&bob, &[record(&bob, 1, DecisionKind::Block, Stage::Input, Vec::new())]).await;
    // Alice is in every block and blocks are too, but never together.
    let often: Vec<Record> = vec![allowed(&alice); 70_000];
    seal(&alice, &often).await;

    let blocked = VerdictFilter { decision: Some(DecisionKind::Block), ..VerdictFilter::default() };
    let page = home.store.verdicts(&blocked, None, 50).unwrap();
    assert_eq!((page.rows.len(), page.below), (1, None));
    assert_eq!(page.rows[0].agent, bob.agent);
    let none = VerdictFilter { agent: Some(alice.agent), ..blocked };
    assert_eq!(home.store.verdicts(&none, None, 50).unwrap(), crate::VerdictPage::default());
    let early = VerdictFilter { to: Some(NEW_YEAR + 2_000), ..VerdictFilter::default() };
    assert_eq!(home.store.verdicts(&early, None, 50).unwrap().rows.len(), 1);
}
