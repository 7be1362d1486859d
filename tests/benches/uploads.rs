//! What an upload of 1 GiB costs the real server: its memory, read from the kernel, and its time; and the same for the
//! way back. It fails if memory grows by 64 MiB or more.
//!
//! `cargo bench -p gavel-tests --bench uploads`. `GAVEL_UPLOAD_MIB` sets another size.

#![expect(clippy::expect_used, clippy::panic, reason = "a measurement may stop")]

use std::time::Instant;

use axum::body::Bytes;
use futures_util::stream;
use gavel_tests::{Agent, Form, GavelServer, Memory, Setup, Upstream, User};
use serde_json::json;

/// MiB of the file.
const SIZE: usize = 1024;
/// What memory may grow by, in KiB.
const MOST_KIB: u64 = 64 * 1024;

#[tokio::main]
async fn main() {
    let size = std::env::var("GAVEL_UPLOAD_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(SIZE);
    let upstream = Upstream::start().await;
    let limit = format!("[limits]\nfile_bytes = {}\n", size << 20);
    let server = GavelServer::start(Setup::with(&upstream).log_level("warn").toml(&limit)).await;
    let alice = server.admin();
    let agent = alice.create_agent(json!({})).await;
    // What the first upload of all needs is not this one's.
    alice.uploads(&agent, "small.bin", "application/x-any", &[0xff; 100_000]).await;

    let before = Memory::of(server.pid());
    println!("{size} MiB; before: {} MiB resident, at most {} MiB", before.now >> 10, before.most >> 10);
    let file = measured("upload", size, &server, before.most, upload(&alice, &agent, size)).await;
    measured("download", size, &server, before.most, download(&alice, &agent, &file, size)).await;
}

/// Does something with so many MiB, and says what it took.
async fn measured<T>(what: &str, size: usize, server: &GavelServer, before: u64, doing: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = doing.await;
    let rate = size as f64 / started.elapsed().as_secs_f64();
    let grown = Memory::of(server.pid()).most.saturating_sub(before);
    println!("{what}: {rate:.0} MiB/s, memory at most {:.1} MiB above that before", grown as f64 / 1024.0);
    if grown >= MOST_KIB {
        panic!("memory grew by {grown} KiB");
    }
    done
}

/// Uploads a file of so many MiB that nobody holds whole, and gives its id.
async fn upload(alice: &User, agent: &Agent, size: usize) -> String {
    let block = Bytes::from(vec![0xa5; 1 << 20]);
    let (head, end) = Form::new().around("large.bin", "application/x-any");
    let pieces = std::iter::once(head.into()).chain(std::iter::repeat_n(block, size)).chain([end.into()]);
    let body = reqwest::Body::wrap_stream(stream::iter(pieces.map(Ok::<Bytes, std::io::Error>)));
    let request = alice.request(reqwest::Method::POST, &agent.path("/files")).body(body);
    let response = request.header("content-type", Form::content_type()).send().await.expect("the server answers");
    let answer: serde_json::Value = response.json().await.expect("JSON");
    let file = answer.pointer("/files/0").unwrap_or_else(|| panic!("the upload is refused: {answer}"));
    assert_eq!(file.pointer("/size").and_then(serde_json::Value::as_u64), Some((size << 20) as u64));
    file.pointer("/file_id").and_then(|id| id.as_str()).expect("an id").to_owned()
}

/// Reads it back and forgets it as it comes.
async fn download(alice: &User, agent: &Agent, file: &str, size: usize) {
    let request = alice.request(reqwest::Method::GET, &agent.path(&format!("/files/{file}")));
    let mut response = request.send().await.expect("the server answers");
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.expect("a chunk") {
        read += chunk.len();
    }
    assert_eq!(read, size << 20);
}
