//! What a durable input costs: one caller alone, and many who share commits. Records and openings have 1 KiB.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark that cannot go on has nothing to say")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gavel_log::judged::Role;
use gavel_log::record::Mode;
use gavel_log::{Chain, Origin, SigningKey};
use gavel_store::{
    Agent, AgentId, AgentState, InputFate, InputSeal, LeafDraft, MessageDraft, MessageId, MonthLimits, MonthUsage,
    SessionId, StartSession, Store, StoreOptions,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const KIB: usize = 1024;

/// One running agent of a store of its own.
struct Client {
    store: Store,
    agent: AgentId,
    session: SessionId,
}

impl Client {
    async fn new(store: &Store) -> Self {
        let agent = new_agent();
        store.create_agent(agent.clone()).await.expect("the agent is new");
        let start = StartSession { id: SessionId::generate(), wrapped_key: vec![0; 61], force_new: false, now: 0 };
        let started = store.start_agent(&agent.id, start).await.expect("the agent exists");
        Self { store: store.clone(), agent: agent.id, session: started.session_id }
    }

    /// Seals one input and ends its turn with it.
    async fn seal(&self) {
        let input = MessageId::generate();
        let seal = InputSeal {
            agent: self.agent,
            session: self.session,
            epoch: 0,
            detached: None,
            input,
            answer: MessageId::generate(),
            earlier: Vec::new(),
            leaf: LeafDraft { record: "r".repeat(KIB), nonce: [7; 32], opening: Some(vec![1; KIB]) },
            message: MessageDraft {
                id: input,
                role: Role::User,
                content: vec![2; 360],
                finish_reason: None,
                judged: None,
                attached: None,
                created_at: 0,
            },
            fate: InputFate::Blocked,
            limits: MonthLimits::default(),
        };
        self.store.seal_input(seal).await.expect("the disk works");
    }
}

fn new_agent() -> Agent {
    let id = AgentId::generate();
    Agent {
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
    }
}

/// The time that `clients` take to seal `count` inputs between them.
async fn race(clients: &Arc<Vec<Client>>, count: u64) -> Duration {
    let began = Instant::now();
    let share = count.div_ceil(u64::try_from(clients.len()).expect("a few"));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..clients.len() {
        let clients = Arc::clone(clients);
        running.spawn(async move {
            for _ in 0..share {
                clients[number].seal().await;
            }
        });
    }
    running.join_all().await;
    began.elapsed()
}

fn commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1));
    for quick_repair in [false, true] {
        for clients in [1, 64] {
            let dir = TempDir::new().expect("a directory");
            let key = SigningKey::from_seed([7; 32], Origin::parse("gavel.localhost/bench").expect("an origin"));
            let options = StoreOptions { quick_repair, ..StoreOptions::default() };
            let store = Store::open(dir.path(), key, options).expect("a store");
            let actors = runtime.block_on(async {
                let mut actors = Vec::new();
                for _ in 0..clients {
                    actors.push(Client::new(&store).await);
                }
                Arc::new(actors)
            });
            let name = if quick_repair { "input, quick repair" } else { "input" };
            group.bench_function(BenchmarkId::new(name, format!("{clients} clients")), |bencher| {
                // Each client seals at least once, so a round counts as whole rounds of all clients.
                bencher.to_async(&runtime).iter_custom(|count| {
                    let actors = Arc::clone(&actors);
                    async move {
                        let rounds = count.div_ceil(clients) * clients;
                        race(&actors, rounds).await.mul_f64(count as f64 / rounds as f64)
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
