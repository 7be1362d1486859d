//! Many of everything on one server: ten thousand agents listed page by page, and thousands of open sockets that say
//! nothing. It fails if a page takes 20 ms or more at the 99th percentile.
//!
//! `cargo bench -p gavel-tests --bench scale`.

#![expect(clippy::indexing_slicing, reason = "a measurement may stop")]

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use gavel_tests::{GavelServer, Memory, Setup, Upstream, User};
use serde_json::json;

/// Agents of one user.
const AGENTS: usize = 10_000;
/// The largest page.
const PAGE: usize = 200;
/// Times that the whole list is read.
const ROUNDS: usize = 5;
/// What a page may take.
const MOST: Duration = Duration::from_millis(20);
/// Sockets that are opened at once, and how often: the first thousands may find memory that the start has let go of.
const SOCKETS: usize = 1_000;
const THOUSANDS: usize = 4;
/// Requests that are under way at once while agents are made and sockets opened.
const AT_ONCE: usize = 32;

#[tokio::main]
async fn main() {
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream).log_level("warn")).await;
    let alice = server.admin();
    sockets(&server, &alice).await;
    agents(&alice).await;
}

/// Opens the sockets and says what each costs the server while nobody talks.
async fn sockets(server: &GavelServer, alice: &User) {
    let agent = alice.starts(json!({})).await;
    let mut open = Vec::new();
    for _ in 0..THOUSANDS {
        let before = Memory::of(server.pid()).now;
        let more: Vec<_> =
            stream::iter(0..SOCKETS).map(|_| alice.chat(&agent)).buffer_unordered(AT_ONCE).collect().await;
        open.extend(more);
        let grown = Memory::of(server.pid()).now.saturating_sub(before);
        println!("{} open sockets: the last {SOCKETS} took {:.1} KiB each", open.len(), grown as f64 / SOCKETS as f64);
    }
}

/// Makes the agents, then reads all pages of their list, in order.
async fn agents(alice: &User) {
    let making = stream::iter(0..AGENTS).map(|_| alice.create_agent(json!({"labels": {"team": "blue"}})));
    making.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let (mut cursor, mut seen) = (String::new(), 0);
        loop {
            let begun = Instant::now();
            let page = alice.get(&format!("/v1/agents?limit={PAGE}{cursor}")).await.expect(200);
            took.push(begun.elapsed());
            seen += page["agents"].as_array().map_or(0, Vec::len);
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(seen >= AGENTS, "{seen} agents were listed");
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("{AGENTS} agents in pages of {PAGE}: p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100));
    assert!(at(99) < MOST, "a page takes too long");
}
