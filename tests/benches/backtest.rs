//! How fast a history is judged again, and what chats notice of it.
//!
//! `cargo bench -p gavel-tests --bench backtest`. The history is filled through the product itself: a completion brings a
//! thousand texts along, each of which is judged and sealed with an opening. Then the real server judges all of it again, by
//! each bundled policy, while nobody chats and while one client does.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement may stop")]

use std::time::{Duration, Instant};

use gavel_tests::{Agent, Chat, GavelServer, Script, Setup, Upstream, User};
use reqwest::Method;
use serde_json::{Value, json};

/// Completions that fill the history, and the texts that each brings along.
const COMPLETIONS: usize = 50;
const TEXTS: usize = 1_000;
/// Times that each policy judges it.
const ROUNDS: usize = 3;
/// Turns of the client who chats meanwhile, in each of the two states.
const CHATS: usize = 300;

#[tokio::main]
async fn main() {
    let upstream = Upstream::start().await;
    upstream.answers(Script::says(["Fine."]));
    let server = GavelServer::start(Setup::with(&upstream).log_level("warn")).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"policies": [{"policy": "pii"}, {"policy": "secrets"}]})).await;
    fill(&alice, &agent).await;
    println!("\n{} results with texts of some 360 bytes", COMPLETIONS * TEXTS);
    println!("{:10} {:>10} {:>12}", "policy", "judged", "messages/s");
    for policy in ["pii", "secrets"] {
        for _ in 0..ROUNDS {
            let report = backtest(&alice, &agent, policy).await;
            println!("{policy:10} {:>10} {:>12}", report["judged"].to_string(), report["per_second"].to_string());
        }
    }
    beside_chats(&alice, &agent).await;
    drop(server);
}

/// Texts of which one in ten has a card, one in ten an e-mail address and one in a hundred a key.
fn text(number: usize) -> String {
    let found = match number % 100 {
        0 => "with the key AKIAIOSFODNN7EXAMPLE",
        n if n % 10 == 1 => "with the card 4111 1111 1111 1111",
        n if n % 10 == 2 => "to jane.doe@example.org",
        _ => "with nothing of interest in it",
    };
    let filler =
        "The quick brown fox jumps over the lazy dog and then sleeps until noon in the shade of a tree. ".repeat(3);
    format!("Message {number} {found}. {filler}")
}

async fn fill(alice: &User, agent: &Agent) {
    let begun = Instant::now();
    for completion in 0..COMPLETIONS {
        let texts = (0..TEXTS).map(|nth| json!({"role": "user", "content": text(completion * TEXTS + nth)}));
        let messages: Vec<Value> = texts.collect();
        alice.completes(agent, Value::Array(messages), json!({})).await.ended("stop");
    }
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
}

async fn backtest(alice: &User, agent: &Agent, policy: &str) -> Value {
    let path = format!("/v1/policies/{policy}/backtest");
    let wish = json!({"agent_id": agent.id, "config": {"action": "block"}});
    let request = alice.request(Method::POST, &path).header("accept", "application/x-ndjson").json(&wish);
    let body = request.send().await.expect("an answer").text().await.expect("a stream");
    let last: Value = serde_json::from_str(body.lines().last().expect("a line")).expect("JSON");
    assert!(last["result"].is_object(), "{last}");
    last["result"].clone()
}

/// A client's turns, first alone and then beside backtests that go on and on.
async fn beside_chats(alice: &User, agent: &Agent) {
    let chatter = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let mut chat = alice.chat(&chatter).await;
    turns(&mut chat, 20).await;
    let alone = turns(&mut chat, CHATS).await;
    let (other, history) = (alice.clone(), agent.clone());
    let judging = tokio::spawn(async move {
        loop {
            backtest(&other, &history, "pii").await;
        }
    });
    let beside = turns(&mut chat, CHATS).await;
    judging.abort();
    println!("\na turn of one client (ms), p50, p90, p99");
    for (name, mut times) in [("alone", alone), ("beside a backtest", beside)] {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        println!("{name:20} {:8.3} {:8.3} {:8.3}", at(50), at(90), at(99));
    }
}

async fn turns(chat: &mut Chat, count: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        chat.say("Hello.").await.ended("stop");
        times.push(begun.elapsed());
    }
    times
}
