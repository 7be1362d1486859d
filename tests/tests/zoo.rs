//! The zoo: agents whose policies and upstreams do their worst, over and over, while others chat. Each animal is held by its
//! limit, and the others get their right answers in about the time that they take alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gavel::plugins::Source;
use gavel::plugins::trust::Evidence;
use gavel_tests::{Agent, Script, User};
use serde_json::json;

use crate::components;
use crate::hostile::{Home, error};

/// What the animals are told, and what becomes of it: in an input, which no provider hears of, or in an answer.
const ANIMALS: [(&str, &str); 8] = [
    ("loop", "fuel"),
    ("print without end", "fuel"),
    ("eat memory", "memory"),
    ("overflow", "stack"),
    ("panic", "trap"),
    ("sleep", "trap"),
    ("flood", "size"),
    ("undeclared", "inconsistent"),
];
/// What a provider does that comes to an end soon, again and again, and why a turn ends on it.
const BEASTS: [(&str, &str); 6] = [
    ("bomb", "error"),
    ("recurse", "error"),
    ("panic", "error"),
    ("large", "error"),
    ("endless", "length"),
    ("flood", "length"),
];
/// What one does that nobody waits for the end of.
const NEVER_ENDING: [&str; 10] = ["spin", "spin", "spin", "spin", "spin", "spin", "spin", "spin", "wait", "wait"];
/// Chats at once, and turns of each.
const CHATS: usize = 4;
const TURNS: usize = 25;
/// How much longer a turn may take beside the zoo. It says that nothing is starved, and is no figure: two cores, shared with
/// other tests and a compiler that was not optimised.
const FACTOR: u32 = 4;
const SLACK: Duration = Duration::from_millis(25);

#[tokio::test(flavor = "multi_thread")]
async fn others_chat_on_beside_the_zoo() {
    let home = Home::new().await;
    let well = well(&home).await;
    let alone = chat_all(&home.alice, &well).await;

    let gates_open = Arc::new(AtomicBool::new(true));
    let mut zoo = Vec::new();
    for (told, kind) in ANIMALS {
        let agent = home.agent("enforcing", json!({"policy": "hostile"})).await;
        let turns = Arc::new(AtomicUsize::new(0));
        let (alice, gates_open, counted) = (home.alice.clone(), gates_open.clone(), turns.clone());
        let animal = tokio::spawn(async move {
            let mut chat = alice.chat(&agent).await;
            while gates_open.load(Ordering::Relaxed) {
                let turn = chat.say(&format!("do:{told}.")).await;
                turn.ended("blocked");
                let (failed, decision) = error(&turn.input);
                // On a machine that has no time for it, it may run out of time first.
                assert!(failed == kind || failed == "deadline", "{told}: {failed}");
                assert_eq!(decision, "block");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        zoo.push((told, turns, animal));
    }
    let beside = chat_all(&home.alice, &well).await;
    gates_open.store(false, Ordering::Relaxed);
    println!("a turn's median: {alone:?} alone, {beside:?} beside {} hostile policies", ANIMALS.len());
    for (told, turns, animal) in zoo {
        animal.await.unwrap();
        assert!(turns.load(Ordering::Relaxed) > 0, "{told}: it did nothing meanwhile");
    }
    assert!(beside <= alone * FACTOR + SLACK, "{beside:?} beside the zoo, {alone:?} alone");
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_chat_on_beside_hostile_providers() {
    let home = Home::new().await;
    let rogue = components::build("gavel-provider-rogue");
    home.plugins().install(rogue.into(), Source::Upload, Evidence::None).await.unwrap();
    home.alice.post("/v1/plugins/rogue/approve", &json!({})).await.expect(200);
    let well = well(&home).await;
    let alone = chat_all(&home.alice, &well).await;

    let mut never_ending = Vec::new();
    for does in NEVER_ENDING {
        let agent = rogue_agent(&home, does).await;
        let mut chat = home.alice.chat(&agent).await;
        let id = chat.start_saying("Go on.").await;
        let begun = chat.frames_until("stream_start").await;
        never_ending.push((does, chat, id, begun));
    }
    let gates_open = Arc::new(AtomicBool::new(true));
    let mut agents = Vec::new();
    for (does, end) in BEASTS {
        agents.push((rogue_agent(&home, does).await, does, end));
    }
    let beasts = tokio::spawn(beasts(home.alice.clone(), agents, gates_open.clone()));
    let beside = chat_all(&home.alice, &well).await;
    gates_open.store(false, Ordering::Relaxed);
    println!("a turn's median: {alone:?} alone, {beside:?} beside hostile providers");
    assert!(beasts.await.unwrap() >= BEASTS.len(), "they did little meanwhile");
    for (does, mut chat, id, begun) in never_ending {
        chat.send(json!({"type": "cancel", "message_id": id})).await;
        let turn = chat.rest_of_turn(&id, begun).await;
        assert_eq!((turn.finish_reason.as_str(), turn.text.as_str()), ("cancelled", ""), "{does}");
    }
    assert!(beside <= alone * FACTOR + SLACK, "{beside:?} beside them, {alone:?} alone");
    home.ends().await;
}

/// Has them do what they do, one after the other, for as long as the gates are open; how often.
async fn beasts(alice: User, agents: Vec<(Agent, &str, &str)>, gates_open: Arc<AtomicBool>) -> usize {
    let mut turns = 0;
    while gates_open.load(Ordering::Relaxed) {
        for (agent, does, end) in &agents {
            let turn = alice.chat(agent).await.say("Go on.").await;
            assert_eq!(turn.finish_reason, *end, "{does}: {}", turn.error);
            let code = turn.error["code"].as_str();
            assert_eq!(code, (*end == "error").then_some("provider_unavailable"), "{does}");
            // What it said is a megabyte, and would be told to it again each time.
            alice.delete(&agent.path("/messages")).await.expect(200);
            turns += 1;
        }
    }
    turns
}

/// An agent whose provider does this, with a key for it.
async fn rogue_agent(home: &Home, does: &str) -> Agent {
    let agent = home.alice.starts(json!({"model_provider": "rogue", "model": does, "policies": []})).await;
    let key = json!({"provider": "rogue", "api_key": "sk-rogue-0123456789"});
    home.alice.post(&agent.path("/vault"), &key).await.expect(201);
    agent
}

/// Agents that mean no harm, and have chatted already.
async fn well(home: &Home) -> Vec<Agent> {
    home.upstream.answers(Script::says(["Write to ", "jane.doe@example", ".org today."]));
    let mut well = Vec::new();
    for _ in 0..CHATS {
        let policies = json!([{"policy": "pii"}, {"policy": "secrets"}]);
        let wish = json!({"model_provider": "mock", "governance_mode": "enforcing", "policies": policies});
        well.push(home.alice.starts(wish).await);
    }
    chat_all(&home.alice, &well).await;
    well
}

/// Chats with all of these agents at once; gives the median of all turns.
async fn chat_all(alice: &User, agents: &[Agent]) -> Duration {
    let chats: Vec<_> = agents
        .iter()
        .map(|agent| {
            let (alice, agent) = (alice.clone(), agent.clone());
            tokio::spawn(async move { chat(&alice, &agent).await })
        })
        .collect();
    let mut took = Vec::new();
    for chat in chats {
        took.extend(chat.await.unwrap());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

async fn chat(alice: &User, agent: &Agent) -> Vec<Duration> {
    let mut chat = alice.chat(agent).await;
    let mut took = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let begun = Instant::now();
        let turn = chat.say("Whom do I write to? I am 536-90-4399.").await;
        took.push(begun.elapsed());
        assert_eq!(turn.ended("stop").text, "Write to [redacted:email] today.");
        assert_eq!(turn.output["decision"], "redact");
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_repeats_the_text_is_heard_by_the_owner_alone() {
    const SECRET: &str = "the heron flies at dawn";
    let home = Home::new().await;
    for (mode, told) in [
        ("transparent", "tell"),
        ("transparent", "refuse"),
        ("transparent", "name a rule by the text"),
        ("enforcing", "push a refusal"),
        ("enforcing", "block by the text"),
    ] {
        let agent = home.agent(mode, json!({"policy": "hostile"})).await;
        let (_, key) = home.alice.gives_key(&agent, &["chat"]).await;
        let message = format!("do:{told}. {SECRET}");
        home.upstream.answers(Script::says([message.clone()]));
        let owners = home.alice.chat(&agent).await.say(&message).await;
        let others = key.chat(&agent).await.say(&message).await;
        for result in [&others.input, &others.output] {
            assert!(!result.to_string().contains(SECRET), "{told}: {result}");
            let record = home.alice.record(&agent, result["leaf_hash"].as_str().unwrap()).await;
            assert!(!record.to_string().contains(SECRET), "{told}: {record}");
        }
        let detail = &owners.input["verdicts"][0]["findings"][0]["detail"];
        assert_eq!(detail.as_str().is_some_and(|detail| detail.contains(SECRET)), told == "tell", "{told}: {detail}");
        let verdicts = home.alice.get(&agent.path("/verdicts")).await.body;
        assert_eq!(verdicts["verdicts"].as_array().unwrap().len(), 4);
        assert!(!verdicts.to_string().contains(SECRET), "{told}: {verdicts}");
    }
    let metrics = home.operator().get("/metrics").await;
    assert!(!String::from_utf8_lossy(&metrics.bytes).contains(SECRET));
    home.ends().await;
}
