//! Stories about the whole store. Here are its actors; each file beside this one tells one kind of story.

mod agents;
mod checkpoints;
mod configs;
mod crash;
mod erasure;
mod files;
mod group_commit;
mod history;
mod idempotency;
mod journal;
mod keys;
mod leaves;
mod master_key;
mod medium;
mod model;
mod observe;
mod plugins;
mod turns;
mod usage;
mod vault;
mod verdicts;

use std::collections::{BTreeMap, HashMap};

use gavel_log::judged::Role;
use gavel_log::record::Mode;
use gavel_log::{Chain, Checkpoint, Entry, Hash, Origin, SigningKey, record_hash, verify_inclusion};
use tempfile::TempDir;

use crate::{
    Agent, AgentId, AgentState, CheckpointDraft, CheckpointId, InputFate, InputSeal, InputSealed, LeafDraft,
    MessageDraft, MessageId, MonthLimits, MonthUsage, OutputSeal, OutputSealed, Sealed, SessionCheckpoint, SessionId,
    StartSession, Started, Store, StoreError, StoreOptions, TurnEnd, Usage, UserId,
};

/// The log's key in all stories.
fn signer() -> SigningKey {
    SigningKey::from_seed([7; 32], Origin::parse("gavel.localhost/story").unwrap())
}

/// A data directory and the store in it.
struct Home {
    dir: TempDir,
    store: Store,
}

impl Home {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap();
        Self { dir, store }
    }

    /// Closes the store and opens it again.
    fn reopen(self) -> Self {
        let Self { dir, store } = self;
        store.close();
        let store = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap();
        Self { dir, store }
    }
}

fn new_agent(owner: &str) -> Agent {
    let id = AgentId::generate();
    Agent {
        id,
        owner: owner.parse::<UserId>().unwrap(),
        name: "My Agent".into(),
        model: "demo".into(),
        provider: "demo".into(),
        mode: Mode::Enforcing,
        system_prompt: Some("Be kind.".into()),
        labels: BTreeMap::from([("team".into(), "blue".into())]),
        policies: Vec::new(),
        state: AgentState::Stopped,
        session: None,
        last_checkpoint: None,
        usage: MonthUsage::default(),
        wrapped_data_key: vec![1, 2, 3],
        chain: Chain(id.key().to_be_bytes()),
        created_at: 1000,
        updated_at: 1000,
    }
}

fn start(force_new: bool) -> StartSession {
    StartSession { id: SessionId::generate(), wrapped_key: vec![4, 5, 6], force_new, now: 2000 }
}

/// A running agent in its session.
#[derive(Clone)]
struct Actor {
    store: Store,
    agent: AgentId,
    session: SessionId,
}

impl Actor {
    async fn new(store: &Store) -> Self {
        let agent = new_agent("alice");
        store.create_agent(agent.clone()).await.unwrap();
        let started = store.start_agent(&agent.id, start(false)).await.unwrap();
        Self { store: store.clone(), agent: agent.id, session: started.session_id }
    }

    async fn stop(&self) -> SessionCheckpoint {
        let draft = CheckpointDraft { id: CheckpointId::generate(), now: 3000 };
        self.store.stop_agent(&self.agent, draft).await.unwrap()
    }

    async fn start(&mut self, force_new: bool) -> Started {
        let started = self.store.start_agent(&self.agent, start(force_new)).await.unwrap();
        self.session = started.session_id;
        started
    }

    /// The session's; a store that fails gives none, and takes no seal either.
    fn epoch(&self) -> u64 {
        self.store.session(&self.session).ok().flatten().map_or(0, |session| session.epoch)
    }

    fn input(&self, text: &str) -> InputSeal {
        let (input, answer) = (MessageId::generate(), MessageId::generate());
        InputSeal {
            agent: self.agent,
            session: self.session,
            epoch: self.epoch(),
            detached: None,
            input,
            answer,
            earlier: Vec::new(),
            leaf: leaf(Some(input)),
            message: message(input, Role::User, text),
            fate: InputFate::Open(b"recovery".to_vec()),
            limits: MonthLimits::default(),
        }
    }

    fn output(&self, turn: u64, answer: MessageId, text: &str, finish_reason: &str) -> OutputSeal {
        OutputSeal {
            agent: self.agent,
            session: self.session,
            turn,
            also: Vec::new(),
            leaf: leaf(Some(answer)),
            answer: (!text.is_empty()).then(|| message(answer, Role::Assistant, text)),
            end: TurnEnd {
                finish_reason: finish_reason.into(),
                usage: Usage { input_tokens: 3, output_tokens: 5 },
                at: 2600,
            },
        }
    }

    /// A whole turn: question, answer and how it ended.
    async fn turn(&self, question: &str, answer: &str, finish_reason: &str) -> (InputSealed, Sealed) {
        let seal = self.input(question);
        let id = seal.answer;
        let input = self.store.seal_input(seal).await.unwrap();
        let output = self.store.seal_output(self.output(input.turn, id, answer, finish_reason)).await.unwrap();
        (input, output.sealed)
    }

    async fn blocked(&self, question: &str) -> InputSealed {
        let seal = InputSeal { fate: InputFate::Blocked, ..self.input(question) };
        self.store.seal_input(seal).await.unwrap()
    }
}

/// A record with a nonce of its own; the store reads nothing of it but the message's id.
fn leaf(message: Option<MessageId>) -> LeafDraft {
    let record = serde_json::json!({ "message": message, "v": 1 }).to_string();
    let nonce = Hash::of(MessageId::generate().to_string().as_bytes()).0;
    LeafDraft { record, nonce, opening: Some(b"opening".to_vec()) }
}

fn message(id: MessageId, role: Role, text: &str) -> MessageDraft {
    let content = text.as_bytes().to_vec();
    MessageDraft {
        id,
        role,
        content,
        finish_reason: None,
        judged: Some(Hash::of(b"bindings")),
        attached: None,
        created_at: 2500,
    }
}

fn texts(messages: &[crate::StoredMessage]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.content.clone()).unwrap()).collect()
}

/// What a prompt would repeat of these turns.
fn said(turns: &[crate::Exchange]) -> Vec<String> {
    turns.iter().flat_map(|turn| texts(&turn.messages)).collect()
}

/// RFC 9162 §2.1.1, by its own words.
fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            Hash::node(&tree_hash(&leaves[..split]), &tree_hash(&leaves[split..]))
        }
    }
}

/// Checks the whole log as a client would who holds the verifier key only, and its records as their owner would:
/// signature, tree, every proof, every chain, every record.
fn audit(store: &Store) {
    let head = store.head();
    let checkpoint = Checkpoint::verify(&head.checkpoint, signer().verifier_key()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (head.size, head.root));

    let mut entries = Vec::new();
    for from in (0..head.size).step_by(256) {
        entries.extend(store.entries(from, head.size.min(from + 256)).unwrap());
    }
    let leaves: Vec<Hash> = entries.iter().map(|entry| Hash::leaf(entry)).collect();
    assert_eq!(tree_hash(&leaves), head.root);

    let mut chains: HashMap<Chain, (u64, Hash)> = HashMap::new();
    for (index, (bytes, leaf)) in (0..).zip(entries.iter().zip(&leaves)) {
        let entry = Entry::parse(bytes).unwrap();
        let next = chains.entry(entry.chain).or_insert((0, Hash::ZERO));
        assert_eq!((entry.seq, entry.prev), *next, "entry {index}");
        *next = (entry.seq + 1, *leaf);

        let row = store.leaf(leaf).unwrap().unwrap();
        assert_eq!((row.index, &row.entry), (index, bytes));
        assert_eq!(record_hash(&row.nonce, &row.record), entry.record);
        assert_eq!(Chain(row.agent.key().to_be_bytes()), entry.chain);
        let path = store.inclusion_proof(index, head.size).unwrap();
        verify_inclusion(leaf, index, head.size, &path, &head.root).unwrap();
    }
}

/// Checks that a receipt is signed and covers its leaf.
fn check_receipt(store: &Store, sealed: &Sealed) {
    let checkpoint = Checkpoint::verify(&sealed.checkpoint, signer().verifier_key()).unwrap();
    assert!(checkpoint.size > sealed.leaf_index);
    let path = store.inclusion_proof(sealed.leaf_index, checkpoint.size).unwrap();
    verify_inclusion(&sealed.leaf_hash, sealed.leaf_index, checkpoint.size, &path, &checkpoint.root).unwrap();
}
