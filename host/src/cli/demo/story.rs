//! What the demo shows, and that it is so: each step checks what it prints.

#![expect(clippy::indexing_slicing, reason = "reading a missing member of a JSON value gives null and does not panic")]

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gavel_log::{Hash, Signer, VerifierKey, verify};
use serde_json::{Value, json};

use super::client::{Chat, Client};
use crate::plugins::bundled_policy;
use crate::server::Server;

/// The card number that the demo provider leaks when it is asked to.
const CARD: &str = "4111 1111 1111 1111";
/// A secret that no message may carry: the example key of its vendor's documentation, never a real one.
const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";

/// Longest time from a plugin's file to its service.
const SWAP: Duration = Duration::from_secs(60);
/// How often it is looked whether the file serves.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// One turn as the client saw it.
#[derive(Default)]
struct Seen {
    text: String,
    chunks: usize,
    results: Vec<Value>,
    finish_reason: String,
}

impl Seen {
    fn result(&self, stage: &str) -> Result<&Value> {
        self.results.iter().find(|result| result["stage"] == stage).with_context(|| format!("no verdict on {stage}"))
    }
}

pub(super) async fn tell(server: &Server, data_dir: &Path) -> Result<()> {
    let token = server.first_user().context("the server has no first user")?.token.expose().to_owned();
    let client = Client::new(server.addr().to_string(), token)?;
    say(
        "Gavel demo: a server on a free port, the offline provider `demo`, the policies `pii` and `secrets` enforced.",
    )?;
    let body = json!({
        "agent_name": "Demo", "model": "demo", "model_provider": "demo", "governance_mode": "enforcing",
        "policies": [{ "policy": "pii" }, { "policy": "secrets", "config": { "action": "block" } }],
    });
    let agent = client.post("/v1/agents", &body).await?["agent_id"].as_str().context("no agent id")?.to_owned();
    client.post(&format!("/v1/agents/{agent}/start"), &json!({})).await?;
    let mut chat = client.chat(&agent).await?;

    step(1, "An answer streams through both policies")?;
    let seen = turn(&mut chat, "Hello! What are you?").await?;
    ensure!(seen.finish_reason == "stop" && seen.chunks > 1, "the answer did not stream");

    step(2, "An input with a secret is blocked before the provider is called")?;
    let seen = turn(&mut chat, &format!("Deploy with the key {SECRET}, please.")).await?;
    ensure!(seen.finish_reason == "blocked" && seen.chunks == 0, "the secret was not blocked");

    step(3, "A card number in the answer is redacted, although it comes in many deltas")?;
    let seen = turn(&mut chat, "Show me the card on file.").await?;
    ensure!(!seen.text.contains(CARD) && seen.text.contains("[redacted:card]"), "the card number was not redacted");
    let leaf = seen.result("output")?["leaf_hash"].as_str().context("no leaf hash")?.to_owned();

    step(4, "The verdict's proof is verified offline, a tampered one refused")?;
    prove(&client, &agent, &leaf).await?;

    step(5, "A policy is replaced while a chat streams")?;
    swap(server, data_dir, &mut chat).await?;
    say("\nDone: every step was checked.")
}

/// Says something and prints what comes back.
async fn turn(chat: &mut Chat, text: &str) -> Result<Seen> {
    say(&format!("  > {text}"))?;
    chat.say(text).await?;
    let mut seen = Seen::default();
    while seen.finish_reason.is_empty() {
        let frame = chat.frame().await?;
        see(&mut seen, frame)?;
    }
    Ok(seen)
}

fn see(seen: &mut Seen, frame: Value) -> Result<()> {
    match frame["type"].as_str().unwrap_or_default() {
        "stream_chunk" => {
            let piece = frame["content"].as_str().unwrap_or_default();
            write(if seen.chunks == 0 { "  < " } else { "" })?;
            write(piece)?;
            seen.text.push_str(piece);
            seen.chunks += 1;
        }
        "governance_result" => {
            if seen.chunks > 0 && frame["stage"] == "output" {
                say(&format!("   ({} chunks)", seen.chunks))?;
            }
            say(&format!("    {}", in_words(&frame)))?;
            seen.results.push(frame);
        }
        "stream_end" => {
            seen.finish_reason = frame["finish_reason"].as_str().unwrap_or_default().to_owned();
            say(&format!("    ended: {}", seen.finish_reason))?;
        }
        "error" => anyhow::bail!("the server says: {frame}"),
        _ => {}
    }
    Ok(())
}

fn in_words(result: &Value) -> String {
    let word = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    let reason = result["reason"].as_object().map(|reason| {
        let part = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default();
        format!(" by {}/{}", part("policy"), part("rule"))
    });
    let leaf = word("leaf_hash").chars().take("sha256:".len() + 12).collect::<String>();
    format!(
        "verdict on {}: {}{}, leaf {} is {leaf}…",
        word("stage"),
        word("decision"),
        reason.unwrap_or_default(),
        result["leaf_index"],
    )
}

async fn prove(client: &Client, agent: &str, leaf: &str) -> Result<()> {
    let key = VerifierKey::parse(client.text("/log/key").await?.trim())?;
    let proof = client.get(&format!("/v1/agents/{agent}/proofs/{leaf}?opening=released")).await?;
    let text = proof.to_string();
    let verified = verify(&text, std::slice::from_ref(&key))?;
    let Signer::Known(name) = &verified.signer else { anyhow::bail!("the log's key did not sign") };
    say(&format!("  leaf {} of {} in {name}: verified", verified.leaf_index, verified.tree_size))?;
    let mut tampered = proof;
    let record = tampered["proof"]["record"].as_str().context("no record")?;
    let decided = record.replacen(r#""decision":"redact""#, r#""decision":"allow""#, 1);
    ensure!(decided != record, "the record does not say redact");
    *tampered.pointer_mut("/proof/record").context("no record")? = decided.into();
    let refused = verify(&tampered.to_string(), &[key]).err().context("a tampered proof was accepted")?;
    say(&format!("  with `redact` changed to `allow` in its record: refused, {refused}"))
}

/// Puts another build of `pii` into the watched directory in the middle of an answer: the turn keeps its set, the next one has
/// the new.
async fn swap(server: &Server, data_dir: &Path, chat: &mut Chat) -> Result<()> {
    let text = "Count to 60.";
    say(&format!("  > {text}"))?;
    chat.say(text).await?;
    let mut seen = Seen::default();
    let mut installed = None;
    while seen.finish_reason.is_empty() {
        let frame = chat.frame().await?;
        see(&mut seen, frame)?;
        if seen.chunks == 3 && installed.is_none() {
            let build = another_build(bundled_policy("pii").context("no bundled pii")?);
            let digest = Hash::of(&build);
            replace_file(&data_dir.join("plugins/pii.wasm"), &build)?;
            tokio::time::timeout(SWAP, serves(server, digest)).await.context("the file is not taken")?;
            write("[pii replaced]")?;
            installed = Some(digest.tagged());
        }
    }
    let installed = installed.context("the answer was too short to swap in")?;
    let kept = digest_of(seen.result("output")?)?;
    ensure!(kept != installed, "the turn under way took the new policy");
    let next = turn(chat, "And to 3?").await?;
    let new = digest_of(next.result("output")?)?;
    ensure!(new == installed, "the next turn did not take the new policy");
    say(&format!("  the turn under way kept {}…, the next one has {}…", short(&kept), short(&new)))
}

/// Writes a file under another name and renames it, as whoever deploys one does.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes)?;
    Ok(std::fs::rename(draft, path)?)
}

async fn serves(server: &Server, digest: Hash) {
    while !server.plugins().list().iter().any(|plugin| plugin.digest == Some(digest)) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn digest_of(result: &Value) -> Result<String> {
    let verdicts = result["verdicts"].as_array().context("no verdicts")?;
    let pii = verdicts.iter().find(|verdict| verdict["policy"] == "pii").context("no verdict of pii")?;
    Ok(pii["digest"].as_str().context("no digest")?.to_owned())
}

fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

/// The same component with a custom section more: other bytes, and so another version to the catalogue and the log.
fn another_build(component: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"gavel-demo";
    const CUSTOM_SECTION: u8 = 0;
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(0);
    let mut build = component.to_vec();
    build.extend([CUSTOM_SECTION, length(NAME.len() + 1), length(NAME.len())]);
    build.extend(NAME);
    build
}

fn step(number: usize, title: &str) -> Result<()> {
    say(&format!("\n{number}. {title}"))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
