//! What a question to a log of a million records costs: the first page of 50, by what is asked. Prints p50 and p99 in
//! milliseconds. `GAVEL_BENCH_RECORDS` sets another number.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has nothing to say"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gavel_log::judged::{Role, Severity, Stage};
use gavel_log::record::{
    Coverage, DecisionKind, Enforcement, Engine, FindingCount, Mode, OnError, Outcome, RECORD_VERSION, Record,
    VerdictRecord,
};
use gavel_log::{Chain, Hash, Origin, SigningKey};
use gavel_store::{
    Agent, AgentId, AgentState, InputFate, InputSeal, LeafDraft, MAX_EARLIER, MessageDraft, MessageId, MonthLimits,
    MonthUsage, SessionId, StartSession, Store, StoreOptions, VerdictFilter,
};
use tempfile::TempDir;

const RECORDS: usize = 1_000_000;
const AGENTS: usize = 100;
const PAGE: usize = 50;
const ROUNDS: usize = 200;
/// One in so many is blocked.
const BLOCKED_EVERY: usize = 200;
/// 2026-01-01T00:00:00Z in milliseconds; the records follow it, one a second.
const BEGINNING: i64 = 1_767_225_600_000;

struct Owner {
    agent: AgentId,
    session: SessionId,
}

async fn owner(store: &Store) -> Owner {
    let id = AgentId::generate();
    let agent = Agent {
        id,
        owner: "bench".parse().expect("a name"),
        name: "bench".into(),
        model: "demo".into(),
        provider: "demo".into(),
        mode: Mode::Enforcing,
        system_prompt: None,
        labels: BTreeMap::new(),
        policies: Vec::new(),
        state: AgentState::Stopped,
        session: None,
        last_checkpoint: None,
        usage: MonthUsage::default(),
        wrapped_data_key: vec![0; 61],
        chain: Chain([1; 16]),
        created_at: 0,
        updated_at: 0,
    };
    store.create_agent(agent).await.expect("the agent is new");
    let start = StartSession { id: SessionId::generate(), wrapped_key: vec![0; 61], force_new: false, now: 0 };
    let session = store.start_agent(&id, start).await.expect("the agent exists").session_id;
    Owner { agent: id, session }
}

/// Two policies' verdicts, with a finding where something was found; the rarest rule is in one record of 100,000.
fn record(of: &Owner, number: usize) -> Record {
    let blocked = number.is_multiple_of(BLOCKED_EVERY);
    let rule = if number % 100_000 == BLOCKED_EVERY { "iban" } else { "card" };
    let decision = if blocked { DecisionKind::Block } else { DecisionKind::Allow };
    let verdict = |policy: &str, found: bool| VerdictRecord {
        component: Hash::ZERO,
        config: Hash::ZERO,
        decision: if found { decision } else { DecisionKind::Allow },
        enforcement: Enforcement::Enforce,
        error: None,
        findings: found
            .then(|| FindingCount { count: 1, rule: rule.into(), severity: Severity::High })
            .into_iter()
            .collect(),
        more: 0,
        on_error: OnError::Block,
        policy: policy.into(),
        reproducible: true,
        verdict: Some(Hash::ZERO),
        version: "1.0.0".into(),
    };
    let time =
        time::OffsetDateTime::from_unix_timestamp(BEGINNING / 1000 + i64::try_from(number).expect("it is small"));
    let time = time.expect("it is a time");
    Record {
        agent: of.agent.to_string(),
        content: Some(Hash::ZERO),
        coverage: Coverage { judged: 360, received: 360, released: Some(360), unjudged: 0 },
        decision,
        edits: None,
        enforced: blocked,
        engine: Engine { gate: 1, limits: Hash::ZERO, wasmtime: "47.0.0".into(), wit: "0.1.0".into() },
        message: Some(MessageId::generate().to_string()),
        mode: Mode::Enforcing,
        model: "demo".into(),
        outcome: Outcome::Complete,
        provider: "demo".into(),
        released: Some(Hash::ZERO),
        session: of.session.to_string(),
        stage: if number.is_multiple_of(2) { Stage::Input } else { Stage::Output },
        subject: Some(Hash::ZERO),
        time: format!("{}T{:02}:{:02}:{:02}.000Z", time.date(), time.hour(), time.minute(), time.second()),
        v: RECORD_VERSION,
        verdicts: vec![verdict("pii", blocked), verdict("secrets", false)],
        would: decision,
    }
}

/// Fills the log: agents take turns of 64 records each.
async fn fill(store: &Store, owners: &[Owner], records: usize) {
    let mut number = 0;
    while number < records {
        let of = &owners[number / 64 % owners.len()];
        let count = 64.min(records - number).min(MAX_EARLIER);
        let mut drafts: Vec<LeafDraft> = (number..number + count)
            .map(|number| LeafDraft {
                record: record(of, number).to_canonical().expect("the record is within its bounds"),
                nonce: Hash::of(&number.to_be_bytes()).0,
                opening: None,
            })
            .collect();
        let input = MessageId::generate();
        let seal = InputSeal {
            agent: of.agent,
            session: of.session,
            input,
            answer: MessageId::generate(),
            leaf: drafts.pop().expect("there is at least one"),
            earlier: drafts,
            message: MessageDraft {
                id: input,
                role: Role::User,
                content: vec![2; 360],
                finish_reason: None,
                judged: None,
                created_at: 0,
                attached: None,
            },
            epoch: 0,
            detached: None,
            fate: InputFate::Blocked,
            limits: MonthLimits::default(),
        };
        store.seal_input(seal).await.expect("the disk works");
        number += count;
    }
}

/// A page as the API makes one: steps until it is full or the log has been searched. Gives what was found.
fn page(store: &Store, filter: &VerdictFilter) -> usize {
    let (mut found, mut below) = (0, None);
    loop {
        let step = store.verdicts(filter, below, PAGE - found).expect("the store can be read");
        found += step.rows.len();
        below = step.below;
        if below.is_none() || found == PAGE {
            return found;
        }
    }
}

fn measure(store: &Store, what: &str, filter: &VerdictFilter) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut found = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        found = page(store, filter);
        times.push(began.elapsed());
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what:40} {found:3} found   p50 {:7.3} ms   p99 {:7.3} ms",
        ms(times[ROUNDS / 2]),
        ms(times[ROUNDS * 99 / 100])
    );
}

fn main() {
    let records = std::env::var("GAVEL_BENCH_RECORDS").ok().and_then(|number| number.parse().ok()).unwrap_or(RECORDS);
    let dir = TempDir::new().expect("a directory");
    let key = SigningKey::from_seed([7; 32], Origin::parse("gavel.localhost/bench").expect("an origin"));
    let store = Store::open(dir.path(), key, StoreOptions::default()).expect("a store");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let owners = runtime.block_on(async {
        let mut owners = Vec::new();
        for _ in 0..AGENTS {
            owners.push(owner(&store).await);
        }
        fill(&store, &owners, records).await;
        owners
    });
    println!("{} records of {AGENTS} agents, written in {:.1?}", store.head().size, began.elapsed());

    let all = VerdictFilter::default();
    let blocked = VerdictFilter { decision: Some(DecisionKind::Block), ..all.clone() };
    let agent = VerdictFilter { agent: Some(owners[0].agent), ..all.clone() };
    let day = |from: i64| (Some(BEGINNING + from * 86_400_000), Some(BEGINNING + (from + 1) * 86_400_000));
    let ((first, second), (late, later)) = (day(1), day(10));
    for (what, filter) in [
        ("everything", all.clone()),
        ("blocked", blocked.clone()),
        ("blocked on the second day", VerdictFilter { from: first, to: second, ..blocked.clone() }),
        ("blocked on the eleventh day", VerdictFilter { from: late, to: later, ..blocked.clone() }),
        ("a rule, one in 100,000", VerdictFilter { rule: Some("iban".into()), ..all.clone() }),
        ("a rule that never was", VerdictFilter { rule: Some("nobody".into()), ..all.clone() }),
        ("one agent's", agent.clone()),
        ("one agent's, blocked", VerdictFilter { decision: Some(DecisionKind::Block), ..agent.clone() }),
        ("one agent's, redacted: none", VerdictFilter { decision: Some(DecisionKind::Redact), ..agent.clone() }),
        (
            "one agent's, blocked at output: none",
            VerdictFilter { stage: Some(Stage::Output), decision: Some(DecisionKind::Block), ..agent },
        ),
    ] {
        measure(&store, what, &filter);
    }
    store.close();
}
