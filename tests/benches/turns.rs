//! What governance adds to a turn: the real server against a mock upstream that answers at once, side by side with the
//! same request sent straight to that upstream; and how many turns a second 64 clients get.
//!
//! `cargo bench -p gavel-tests --bench turns`. Times are taken from outside, over loopback: a WebSocket client on the
//! one side, an HTTP client on the other. All runs on the same machine, the load included, so the server's own CPU time
//! is read from the kernel beside it.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement may stop")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use gavel_tests::{Agent, GavelServer, Script, Setup, Upstream, User, cpu_seconds};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Deltas of an answer, and their text: some 80 bytes in all.
const DELTAS: [&str; 16] = [
    "The ", "quick ", "brown ", "fox ", "jumps ", "over ", "the ", "lazy ", "dog, ", "and ", "then ", "it ", "sleeps ",
    "until ", "noon", ".",
];
/// Turns of one client that are measured, each with a fresh agent, so that no prompt is longer than another.
const SINGLE_TURNS: usize = 400;
/// Clients at once, conversations of each, one after the other, and turns of a conversation.
const CLIENTS: usize = 64;
const CONVERSATIONS: usize = 5;
const TURNS: usize = 10;
/// Rounds of many clients.
const ROUNDS: usize = 6;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

#[derive(Clone, Copy)]
struct Taken {
    first: Duration,
    end: Duration,
}

#[tokio::main]
async fn main() {
    for mode in ["enforcing", "transparent"] {
        single(mode).await;
        crowd(mode).await;
    }
}

/// One client: straight and governed by turns, so that a drift of the machine falls on both.
async fn single(mode: &str) {
    let (server, upstream, alice) = start("warn,gavel::turn::timing=debug").await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut straight = Vec::new();
    let mut governed = Vec::new();
    for turn in 0..SINGLE_TURNS + 20 {
        let agent = agent(&alice, mode).await;
        let mut socket = connect(&server, &alice, &agent).await;
        let directly = direct(&http, upstream.addr()).await;
        let through = say(&mut socket).await;
        // The first ones warm up caches and connections.
        if turn >= 20 {
            straight.push(directly);
            governed.push(through);
        }
    }
    println!("\none client, {mode}, {SINGLE_TURNS} turns of {} deltas (ms)", DELTAS.len());
    println!("{:22} {:>8} {:>8} {:>8}", "", "p50", "p90", "p99");
    for (name, pick) in [("first chunk", first as fn(&Taken) -> Duration), ("end", end)] {
        row(&format!("straight, {name}"), &straight, pick);
        row(&format!("governed, {name}"), &governed, pick);
        let added = percentile(&governed, pick, 50) - percentile(&straight, pick, 50);
        println!("{:22} {added:8.3}", format!("added, {name}"));
    }
    stages(&server.said());
}

/// Many clients at once, straight and governed by turns: how fast the machine is just then shows in both.
async fn crowd(mode: &str) {
    let (server, upstream, alice) = start("warn").await;
    println!("\n{CLIENTS} clients, {mode}, rounds of {} turns", CLIENTS * CONVERSATIONS * TURNS);
    println!(
        "{:>12} {:>12} {:>14} {:>17} {:>12}",
        "straight/s", "turns/s", "CPU ms/turn", "first chunk (ms)", "end (ms)"
    );
    for _ in 0..ROUNDS {
        let straight = straight_crowd(upstream.addr()).await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut sockets = Vec::new();
            for _ in 0..CONVERSATIONS {
                let agent = agent(&alice, mode).await;
                sockets.push(connect(&server, &alice, &agent).await);
            }
            clients.push(sockets);
        }
        let before = cpu_seconds(server.pid());
        let started = Instant::now();
        let taken = all(clients.into_iter().map(converse)).await;
        let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(server.pid()) - before);
        let turns = taken.len() as f64;
        println!(
            "{straight:12.0} {:12.0} {:14.3} {:17.1} {:12.1}",
            turns / elapsed,
            cpu * 1000.0 / turns,
            percentile(&taken, first, 50),
            percentile(&taken, end, 50)
        );
    }
}

/// One client's turns.
async fn converse(sockets: Vec<Socket>) -> Vec<Taken> {
    let mut taken = Vec::with_capacity(CONVERSATIONS * TURNS);
    for mut socket in sockets {
        for _ in 0..TURNS {
            taken.push(say(&mut socket).await);
        }
    }
    taken
}

/// As many requests of as many clients, straight to the upstream: how many a second.
async fn straight_crowd(upstream: SocketAddr) -> f64 {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let started = Instant::now();
    let requests = |http: reqwest::Client| async move {
        let mut taken = Vec::with_capacity(CONVERSATIONS * TURNS);
        for _ in 0..CONVERSATIONS * TURNS {
            taken.push(direct(&http, upstream).await);
        }
        taken
    };
    let taken = all((0..CLIENTS).map(|_| requests(http.clone()))).await;
    taken.len() as f64 / started.elapsed().as_secs_f64()
}

/// What all of these take, side by side.
async fn all(clients: impl Iterator<Item = impl Future<Output = Vec<Taken>> + Send + 'static>) -> Vec<Taken> {
    let mut taken = Vec::new();
    for client in clients.map(tokio::spawn).collect::<Vec<_>>() {
        taken.extend(client.await.expect("a client ends"));
    }
    taken
}

async fn start(log_level: &str) -> (GavelServer, Upstream, User) {
    let upstream = Upstream::start().await;
    upstream.answers(Script::says(DELTAS));
    let setup = Setup::with(&upstream).log_level(log_level).toml("");
    let server = GavelServer::start(setup).await;
    let alice = server.admin();
    (server, upstream, alice)
}

async fn agent(alice: &User, mode: &str) -> Agent {
    alice.starts(json!({ "model_provider": "mock", "model": "bench", "governance_mode": mode })).await
}

async fn connect(server: &GavelServer, alice: &User, agent: &Agent) -> Socket {
    let url = format!("ws://{}{}", server.admin().addr(), agent.path("/chat"));
    let mut request = url.into_client_request().expect("an address");
    let bearer = format!("Bearer {}", alice.token().expect("a token"));
    request.headers_mut().insert("authorization", bearer.parse().expect("a header"));
    connect_async(request).await.expect("the server takes the socket").0
}

async fn say(socket: &mut Socket) -> Taken {
    let message = json!({ "type": "message", "content": "What does the fox do?" }).to_string();
    let started = Instant::now();
    socket.send(Message::text(message)).await.expect("the message is sent");
    let mut first = None;
    loop {
        let frame = socket.next().await.expect("the socket stays open").expect("a frame");
        let Message::Text(text) = frame else { continue };
        if text.starts_with("{\"type\":\"stream_chunk\"") {
            first.get_or_insert_with(|| started.elapsed());
        } else if text.starts_with("{\"type\":\"stream_end\"") {
            assert!(text.contains("\"stop\""), "a turn failed: {text}");
            let end = started.elapsed();
            return Taken { first: first.unwrap_or(end), end };
        }
    }
}

async fn direct(http: &reqwest::Client, upstream: SocketAddr) -> Taken {
    let body = json!({
        "model": "bench", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "What does the fox do?" }],
    });
    let started = Instant::now();
    let request = http.post(format!("http://{upstream}/v1/chat/completions")).json(&body);
    let mut response = request.send().await.expect("the upstream answers");
    let mut first = None;
    while response.chunk().await.expect("a chunk").is_some() {
        first.get_or_insert_with(|| started.elapsed());
    }
    let end = started.elapsed();
    Taken { first: first.unwrap_or(end), end }
}

fn first(taken: &Taken) -> Duration {
    taken.first
}

fn end(taken: &Taken) -> Duration {
    taken.end
}

fn row(name: &str, taken: &[Taken], pick: fn(&Taken) -> Duration) {
    let at = |share| percentile(taken, pick, share);
    println!("{name:22} {:8.3} {:8.3} {:8.3}", at(50), at(90), at(99));
}

fn percentile(taken: &[Taken], pick: fn(&Taken) -> Duration, share: usize) -> f64 {
    let mut times: Vec<_> = taken.iter().map(pick).collect();
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0
}

/// Where the time goes, from the server's own events: the median of each point, in microseconds from the beginning.
fn stages(said: &str) {
    const POINTS: [&str; 10] = [
        "begun",
        "prompted",
        "judged",
        "input_sealed",
        "first_delta",
        "first_chunk",
        "last_delta",
        "output_judged",
        "output_sealed",
        "ended",
    ];
    let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for line in said.lines().filter(|line| line.contains("gavel::turn::timing")) {
        for (name, at) in line.split_whitespace().filter_map(|field| field.split_once('=')) {
            if let (Some(point), Ok(at)) = (POINTS.iter().find(|point| **point == name), at.parse()) {
                times.entry(point).or_default().push(at);
            }
        }
    }
    println!("where the time goes, median µs from the turn's beginning");
    for point in POINTS {
        if let Some(times) = times.get_mut(point).filter(|times| !times.is_empty()) {
            times.sort_unstable();
            println!("  {point:14} {:7}", times[times.len() / 2]);
        }
    }
}
