//! A thousand answers that stream at once, each reviewed while it is written by a policy in an instance of its own: what
//! the server holds for them, and how fast they go on.
//!
//! `cargo bench -p gavel-tests --bench streams` takes the bundled `secrets`. `STREAMS_POLICIES` names components instead,
//! such as those that `.ci/templates` builds; `STREAMS_CONFIG` is their configuration.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement may stop")]

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use gavel_tests::{Chat, GavelServer, Memory, Script, Setup, Upstream, cpu_seconds};
use reqwest::Method;
use serde_json::{Value, json};

/// Chats at once.
const STREAMS: usize = 1_000;
/// Deltas of each answer, all long enough for a part of each to be cleared at once.
const DELTAS: usize = 30;
/// Requests that are under way at once while sockets are opened.
const AT_ONCE: usize = 32;

#[tokio::main]
async fn main() {
    let config = std::env::var("STREAMS_CONFIG").unwrap_or_else(|_| r#"{"names":["Bluebird"]}"#.to_owned());
    let config: Value = serde_json::from_str(&config).expect("STREAMS_CONFIG is JSON");
    println!("\n{STREAMS} streams at once, {DELTAS} deltas each; in a burst each stream gets one more delta");
    measure("secrets", None, &json!({})).await;
    for path in std::env::var("STREAMS_POLICIES").unwrap_or_default().split_whitespace() {
        let name = Path::new(path).file_stem().and_then(|name| name.to_str()).expect("a component's path");
        measure(name, Some(std::fs::read(path).expect("the component can be read")), &config).await;
    }
}

async fn measure(policy: &str, component: Option<Vec<u8>>, config: &Value) {
    let upstream = Upstream::start().await;
    let setup = Setup::with(&upstream)
        .log_level("warn")
        .env("GAVEL_PLUGINS__POLICY_INSTANCES", "4096")
        .env("GAVEL_PLUGINS__PROVIDER_INSTANCES", "2048");
    let server = GavelServer::start(setup).await;
    let alice = server.admin();
    if let Some(bytes) = component {
        let request = alice.request(Method::POST, "/v1/plugins").header("content-type", "application/wasm").body(bytes);
        let status = request.send().await.expect("an answer").status();
        assert!(status.is_success(), "{policy} is refused: {status}");
    }
    let bindings = json!([{"policy": policy, "config": config}]);
    let wish = json!({"model_provider": "mock", "governance_mode": "enforcing", "policies": bindings});
    let agent = alice.starts(wish).await;
    let mut chats: Vec<Chat> =
        stream::iter(0..STREAMS).map(|_| alice.chat(&agent)).buffer_unordered(AT_ONCE).collect().await;
    chats[0].say("Hello.").await.ended("stop");
    let idle = Memory::of(server.pid());
    let (script, pace) =
        Script::says_at_a_pace((0..DELTAS).map(|nth| format!("Delta {nth} tells of a Bluebird in May. ")));
    upstream.answers(script);

    let begun = Instant::now();
    let ids = join_all(chats.iter_mut().map(|chat| chat.start_saying("What of birds?"))).await;
    upstream.has_received(1 + STREAMS).await;
    let started = begun.elapsed();
    let mut heard = vec![Vec::new(); STREAMS];
    let mut took = Took { started, ..Took::default() };
    let (cpu, streamed) = (cpu_seconds(server.pid()), Instant::now());
    // The last delta ends with the answer.
    for _ in 1..DELTAS {
        let begun = Instant::now();
        pace.let_go(1);
        let chunks = chats.iter_mut().zip(&mut heard).map(|(chat, frames)| chunk(chat, frames, begun));
        took.chunks.extend(join_all(chunks).await);
        took.bursts.push(begun.elapsed());
    }
    took.streamed = streamed.elapsed();
    took.cpu = cpu_seconds(server.pid()) - cpu;
    let open = Memory::of(server.pid());
    pace.let_all_go();
    let rest = chats.iter_mut().zip(heard).zip(&ids);
    let turns = join_all(rest.map(async |((chat, frames), id)| chat.rest_of_turn(id, frames).await)).await;
    let whole = turns[0].text.clone();
    for turn in turns {
        assert_eq!(turn.ended("stop").text, whole, "all answers are the same");
    }
    took.report(policy);
    println!("  memory: {} MiB before, {} MiB with all open", idle.now >> 10, open.now >> 10);
    println!(
        "  that is {} KiB a stream; most ever {} MiB",
        open.now.saturating_sub(idle.now) / STREAMS as u64,
        open.most >> 10
    );
}

/// Waits for the next chunk of an answer; how long after `begun` it came.
async fn chunk(chat: &mut Chat, frames: &mut Vec<Value>, begun: Instant) -> Duration {
    loop {
        let frame = chat.next_frame().await;
        let kind = frame["type"].as_str().unwrap_or_default().to_owned();
        assert!(kind != "stream_end" && kind != "error", "the answer ends too early: {frame}, after {frames:?}");
        frames.push(frame);
        if kind == "stream_chunk" {
            return begun.elapsed();
        }
    }
}

/// What was measured of one policy.
#[derive(Default)]
struct Took {
    /// Until all answers had begun.
    started: Duration,
    /// From the first delta to the last but one.
    streamed: Duration,
    /// The server's CPU seconds meanwhile.
    cpu: f64,
    bursts: Vec<Duration>,
    chunks: Vec<Duration>,
}

impl Took {
    fn report(&mut self, policy: &str) {
        let deltas = self.chunks.len() as f64;
        self.bursts.sort_unstable();
        self.chunks.sort_unstable();
        let ms = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        println!("{policy}");
        println!("  all begun within {:.2} s, their inputs judged and sealed", self.started.as_secs_f64());
        let (rate, each) = (deltas / self.streamed.as_secs_f64(), self.cpu * 1e6 / deltas);
        println!("  {rate:.0} deltas/s, each {each:.0} us of the server's CPU");
        println!("  a burst: p50 {:.0} ms, most {:.0} ms", ms(&self.bursts, 50), ms(&self.bursts, 100));
        println!("  a chunk in it: p50 {:.0} ms, p99 {:.0} ms", ms(&self.chunks, 50), ms(&self.chunks, 99));
    }
}
