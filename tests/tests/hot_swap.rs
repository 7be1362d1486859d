//! A policy that is replaced again and again while agents chat under it. `GAVEL_SWAPS` and `GAVEL_CHATS` make it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gavel_tests::{Agent, GavelServer, Script, Setup, Turn, Upstream, User};
use serde_json::{Value, json};

use crate::guests::{MARKER, marker};

/// Deltas of an answer, each with a sign to be replaced.
const DELTAS: usize = 24;

fn sized(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

async fn install(admin: &User, version: u16) -> (String, Duration) {
    let component = marker(version);
    let begun = Instant::now();
    let made = admin.post_bytes("/v1/plugins", "application/wasm", component).await.expect(201);
    (made["digest"].as_str().unwrap().to_owned(), begun.elapsed())
}

/// Checks that a turn is whole and was judged by one version from its beginning to its end; gives that version's digest.
fn whole(turn: &Turn) -> String {
    let expected: String = (0..DELTAS).map(|delta| format!("{delta} [mark] ")).collect();
    assert_eq!(turn.ended("stop").text, expected);
    let ends = turn.frames.iter().filter(|frame| frame["type"] == "stream_end").count();
    let starts = turn.frames.iter().filter(|frame| frame["type"] == "stream_start").count();
    assert_eq!((starts, ends, turn.error.clone()), (1, 1, Value::Null));
    let digests: BTreeSet<&str> = [&turn.input, &turn.output]
        .into_iter()
        .map(|result| {
            let verdict = &result["verdicts"][0];
            assert_eq!((&verdict["policy"], &verdict["decision"]), (&json!(MARKER), &json!("redact")), "{result}");
            assert!(result["leaf_hash"].is_string(), "sealed");
            verdict["digest"].as_str().unwrap()
        })
        .collect();
    assert_eq!(digests.len(), 1, "one turn, one version");
    digests.into_iter().collect()
}

async fn chats(user: User, agent: Agent, over: Arc<AtomicBool>) -> Vec<(Turn, Duration)> {
    let mut chat = user.chat(&agent).await;
    let mut turns = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let turn = chat.say("a # of the user's").await;
        turns.push((turn, begun.elapsed()));
        // Else the whole conversation would be judged anew by each version, which is not what is told here.
        user.delete(&agent.path("/messages")).await.expect(200);
    }
    turns
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_chat_drops_waits_or_tears_while_its_policy_is_replaced() {
    let (swaps, chatting) = (sized("GAVEL_SWAPS", 40), sized("GAVEL_CHATS", 10));
    let upstream = Upstream::start().await;
    // With a cache of machine code of its own, so that each version is compiled.
    let server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let alice = server.admin();
    upstream.answers(Script::says((0..DELTAS).map(|delta| format!("{delta} # "))));
    let (first, _) = install(&alice, 1000).await;
    let over = Arc::<AtomicBool>::default();
    let mut talking = Vec::new();
    let mut agents = Vec::new();
    for _ in 0..chatting {
        let wish = json!({"governance_mode": "enforcing", "policies": [{"policy": MARKER}]});
        let agent = alice.starts(wish).await;
        talking.push(tokio::spawn(chats(alice.clone(), agent.clone(), over.clone())));
        agents.push(agent);
    }
    let (mut installed, mut times) = (vec![first], Vec::new());
    for version in 1001..=1000 + u16::try_from(swaps).unwrap() {
        let (digest, took) = install(&alice, version).await;
        installed.push(digest);
        times.push(took);
    }
    over.store(true, Ordering::Relaxed);
    let (mut used, mut latencies) = (BTreeMap::<String, usize>::new(), Vec::new());
    for (talk, agent) in talking.into_iter().zip(&agents) {
        let turns = talk.await.unwrap();
        for (turn, took) in &turns {
            let digest = whole(turn);
            assert!(installed.contains(&digest));
            *used.entry(digest).or_default() += 1;
            latencies.push(*took);
        }
        // Each turn is two leaves, and each of an agent's leaves has its place in its chain.
        let last = turns.last().expect("it said something").0.output["seq"].as_u64().unwrap();
        assert_eq!(last + 1, 2 * turns.len() as u64, "no turn is missing in the log of {}", agent.id);
    }
    let newest = alice.chat(&agents[0]).await.say("a last #").await;
    assert_eq!(whole(&newest), *installed.last().unwrap(), "the next turn has the newest");
    let memory = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    times.sort_unstable();
    latencies.sort_unstable();
    let at = |sorted: &[Duration], share: usize| sorted[(sorted.len() - 1) * share / 100];
    println!(
        "{swaps} swaps under {chatting} chats: {} turns by {} versions, none dropped or torn; POST to active p50 {:?}, p99 {:?}; \
         turn p50 {:?}, p99 {:?}; {peak}",
        latencies.len(),
        used.len(),
        at(&times, 50),
        at(&times, 99),
        at(&latencies, 50),
        at(&latencies, 99),
    );
}
