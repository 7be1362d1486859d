//! `kill -9` at any moment: nothing that a client was told is lost, and the log goes on from where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use gavel_log::{Checkpoint, Entry, Hash, VerifierKey, verify, verify_consistency};
use gavel_tests::{Agent, Chat, GavelServer, Heard, Script, User, gavel, message_id, within};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Rounds of an ordinary test run; `GAVEL_CRASH_ROUNDS` sets another number.
const ROUNDS: usize = 5;
/// Clients that chat when the server is killed.
const CLIENTS: usize = 4;
/// It is killed after at most so many frames.
const MOST_FRAMES: u64 = 600;

/// What one client was told before the connection broke.
#[derive(Default)]
struct Told {
    leaf_hashes: Vec<(String, String)>,
    /// Answers of which a chunk was received.
    begun: BTreeSet<String>,
    checkpoints: Vec<String>,
}

impl Told {
    fn note(&mut self, agent: &str, frame: &Value) {
        match frame["type"].as_str() {
            Some("governance_result") => {
                self.leaf_hashes.push((agent.to_owned(), frame["leaf_hash"].as_str().unwrap().to_owned()));
                self.checkpoints.push(frame["checkpoint"].as_str().unwrap().to_owned());
            }
            Some("stream_chunk") => {
                self.begun.insert(frame["message_id"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }

    fn join(&mut self, other: Self) {
        self.leaf_hashes.extend(other.leaf_hashes);
        self.begun.extend(other.begun);
        self.checkpoints.extend(other.checkpoints);
    }
}

/// Chats until the server is gone.
async fn chatter(agent: String, mut chat: Chat, frames: Arc<watch::Sender<u64>>) -> Told {
    let mut told = Told::default();
    loop {
        let content = "My card is 4111 1111 1111 1111. ".repeat(3);
        if !chat.try_send(json!({"type": "message", "message_id": message_id(), "content": content})).await {
            return told;
        }
        loop {
            let Heard::Frame(frame) = chat.hear().await else { return told };
            told.note(&agent, &frame);
            frames.send_modify(|count| *count += 1);
            if frame["type"] == "stream_end" {
                break;
            }
        }
    }
}

/// What must hold over all rounds.
struct Auditor {
    key: VerifierKey,
    agents: [Agent; 2],
    /// The newest head of the log that was audited.
    head: Checkpoint,
    /// Which of the agents a chain is of.
    chains: BTreeMap<[u8; 16], usize>,
    /// Allowed inputs without an output so far, by agent.
    unanswered: [i64; 2],
}

impl Auditor {
    async fn new(server: &GavelServer, agents: [Agent; 2]) -> Self {
        let log = server.log();
        let (key, head) = (log.key().await, log.head().await);
        Self { key, agents, head, chains: BTreeMap::new(), unanswered: [0; 2] }
    }

    async fn check(&mut self, server: &GavelServer, told: &Told) {
        let alice = server.admin();
        let head = server.log().head().await;
        assert_eq!(server.log().key().await.to_string(), self.key.to_string());
        for (agent, hash) in &told.leaf_hashes {
            let proof = alice.get(&format!("/v1/agents/{agent}/proofs/{hash}")).await.expect(200);
            verify(&proof.to_string(), std::slice::from_ref(&self.key)).unwrap();
        }
        self.heads(server, told, &head).await;
        let answered = self.new_entries(server, &alice, &head).await;
        let lost: Vec<_> = told.begun.iter().filter(|answer| !answered.contains(*answer)).collect();
        assert!(lost.is_empty(), "text was sent, and there is no record of it: {lost:?}");
        self.head = head;
    }

    /// The tree continues every one that a client was told of, and the last one that was audited.
    async fn heads(&self, server: &GavelServer, told: &Told, head: &Checkpoint) {
        let told = told.checkpoints.iter().map(|note| Checkpoint::verify(note, &self.key).unwrap());
        let by_size: BTreeMap<u64, Hash> =
            told.chain([self.head.clone()]).map(|checkpoint| (checkpoint.size, checkpoint.root)).collect();
        for (size, root) in by_size.into_iter().filter(|(size, _)| *size > 0) {
            let proof = server.log().consistency(size, head.size).await;
            verify_consistency(size, head.size, &root, &head.root, &proof).unwrap();
        }
    }

    /// Reads the records since the last audit; gives the answers that have an output record.
    async fn new_entries(&mut self, server: &GavelServer, alice: &User, head: &Checkpoint) -> BTreeSet<String> {
        let mut answered = BTreeSet::new();
        for entry in server.log().entries(self.head.size, head.size).await {
            let (entry, hash) = (Entry::parse(&entry).unwrap(), Hash::leaf(&entry).tagged());
            let agent = self.agent_of(alice, &entry, &hash).await;
            let record = alice.record(&self.agents[agent], &hash).await;
            if record["stage"] == "input" {
                self.unanswered[agent] += i64::from(record["outcome"] == "complete");
                continue;
            }
            self.unanswered[agent] -= 1;
            let interrupted = record["outcome"] == "interrupted";
            assert_eq!(interrupted, record["decision"] == "unknown", "{record}");
            assert!(!interrupted || record["coverage"]["released"].is_null(), "{record}");
            let new = answered.insert(record["message"].as_str().unwrap().to_owned());
            assert!(new, "two output records of one answer: {record}");
        }
        assert_eq!(self.unanswered, [0; 2], "each allowed input is followed by exactly one output record");
        answered
    }

    async fn agent_of(&mut self, alice: &User, entry: &Entry, hash: &str) -> usize {
        if let Some(agent) = self.chains.get(&entry.chain.0) {
            return *agent;
        }
        let agent = usize::from(alice.proof(&self.agents[0], hash).await.status != 200);
        self.chains.insert(entry.chain.0, agent);
        agent
    }
}

/// A number below `most`, another each time: the standard library's hashers are seeded at random.
fn random(most: u64) -> u64 {
    RandomState::new().build_hasher().finish() % most
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_was_told_is_lost() {
    let rounds = std::env::var("GAVEL_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let (mut server, upstream, alice) = gavel().await;
    let words = "Your card 4111 1111 1111 1111 is an example of one, and here is what I have to say of it. ".repeat(4);
    upstream.answers(Script::says(words.split_inclusive(' ')));
    let enforcing = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let transparent = alice.starts(json!({"governance_mode": "transparent"})).await;
    let agents = [enforcing, transparent];
    let mut auditor = Auditor::new(&server, agents.clone()).await;

    for round in 0..rounds {
        let alice = server.admin();
        let (frames, mut count) = watch::channel(0);
        let frames = Arc::new(frames);
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let agent = &agents[client % 2];
            let chat = alice.chat(agent).await;
            clients.push(tokio::spawn(chatter(agent.id.clone(), chat, frames.clone())));
        }
        let at = 1 + random(MOST_FRAMES);
        within("enough frames to kill the server at", count.wait_for(|count| *count >= at)).await.unwrap();
        server.kill().await;
        let mut told = Told::default();
        for client in clients {
            told.join(within("a client's end", client).await.unwrap());
        }
        server.start_again().await;
        auditor.check(&server, &told).await;
        let alice = server.admin();
        for agent in &agents {
            assert_eq!(alice.agent(agent).await["state"], "running", "round {round}");
            alice.chat(agent).await.say("Still there?").await.ended("stop");
        }
    }
}

#[tokio::test]
async fn a_turn_that_a_crash_cut_off_is_recorded_as_interrupted() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will(Script::stalls_after(["Once upon ", "a time"]));
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Tell me").await;
    let begun = chat.frames_until("stream_chunk").await;
    let answer = begun.iter().find(|frame| frame["type"] == "stream_start").unwrap()["message_id"].clone();
    server.kill().await;
    server.start_again().await;
    let alice = server.admin();

    let head = server.log().head().await;
    assert_eq!(head.size, 2);
    let entries = server.log().entries(0, 2).await;
    let record = alice.record(&agent, &Hash::leaf(&entries[1]).tagged()).await;
    assert_eq!(record["message"], answer);
    let found = (&record["stage"], &record["outcome"], &record["decision"]);
    assert_eq!(found, (&json!("output"), &json!("interrupted"), &json!("unknown")));
    assert_eq!(record["coverage"]["released"], Value::Null);

    let mut chat = alice.chat(&agent).await;
    chat.say_as(&id, "Tell me").await;
    let replayed = chat.turn(&id).await;
    assert_eq!(replayed.shape().last().map(String::as_str), Some("stream_end"), "{:#?}", replayed.frames);
    assert_eq!(upstream.received().len(), 1, "the message is not answered a second time");
    chat.say("Again").await.ended("stop");
    assert_eq!(
        alice.record(&agent, &Hash::leaf(&server.log().entries(2, 3).await[0]).tagged()).await["stage"],
        "input"
    );
}
