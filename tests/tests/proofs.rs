//! Every verdict has its proof, which anyone with the log's key verifies without the server.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gavel_log::{Signer, VerifierKey, verify};
use gavel_tests::{Ran, Turn, gavel, gavel_command};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

async fn verified(proof: &Path, more: &[&str]) -> Ran {
    let mut args = vec!["verify", proof.to_str().unwrap()];
    args.extend(more);
    gavel_command(&args).await
}

#[tokio::test]
async fn each_leaf_hash_has_a_proof_that_verifies_offline() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will_say([format!("It is {CARD}.")]);
    let turns = [chat.say("Which?").await, chat.say(&format!("Not {CARD}?")).await];
    let key = server.log().key_text().await;
    let mut proofs = Vec::new();
    for hash in turns.iter().flat_map(Turn::leaf_hashes) {
        let proof = alice.proof(&agent, &hash).await.expect(200);
        assert_eq!((&proof["agent_id"], &proof["hash"]), (&json!(agent.id), &json!(hash)));
        assert_eq!(proof["verification_url"], json!(format!("/verify/proof/{hash}")));
        assert_eq!(proof["verification_portal"], "https://obligationsign.com/verify/");
        assert_eq!(proof["proof_error"], Value::Null);
        proofs.push((hash.clone(), proof, server.anyone().get(&format!("/verify/proof/{hash}")).await.expect(200)));
    }
    assert_eq!(proofs.len(), 4);
    server.kill().await;

    let directory = tempfile::tempdir().unwrap();
    let key_file = written(directory.path(), "log.vkey", &format!("{key}\n"));
    let keys = [VerifierKey::parse(&key).unwrap()];
    for (hash, proof, public) in &proofs {
        let text = proof.to_string();
        let outcome = verify(&text, &keys).unwrap();
        assert_eq!(outcome.signer, Signer::Known(keys[0].name().to_string()));
        assert_eq!(outcome.entry.leaf_hash().tagged(), *hash);
        assert_eq!(outcome.record.unwrap().agent, agent.id);
        let tlog_proof = proof["proof"]["tlog_proof"].as_str().unwrap();
        for (name, text) in [("answer", text.as_str()), ("tlog", tlog_proof), ("public", &public.to_string())] {
            let file = written(directory.path(), name, text);
            for given in [key.as_str(), key_file.to_str().unwrap()] {
                let ran = verified(&file, &["--key", given]).await;
                assert_eq!(ran.status, Some(0), "{name}: {ran:?}");
                assert!(ran.out.contains("verified"), "{ran:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_the_logs_key_a_proof_is_only_consistent() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    let proof = alice.proof(&agent, &turn.leaf_hashes()[0]).await.expect(200);
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "proof.json", &proof.to_string());
    let ran = verified(&file, &[]).await;
    assert_eq!(ran.status, Some(1));
    assert!(ran.out.contains("consistent, signer unknown"), "{ran:?}");
    let ran = verified(&file, &["--json"]).await;
    assert_eq!(ran.status, Some(1));
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&said["verified"], &said["consistent"]), (&json!(false), &json!(true)));

    let (another, _upstream, _bob) = gavel().await;
    let ran = verified(&file, &["--key", &another.log().key_text().await]).await;
    assert_eq!(ran.status, Some(1), "another log's key: {ran:?}");
    let ran = verified(&file, &["--key", &server.log().key_text().await, "--json"]).await;
    assert_eq!(ran.status, Some(0));
}

#[tokio::test]
async fn a_tampered_proof_is_refused() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will_say([format!("It is {CARD}.")]);
    let hashes = [chat.say("Which?").await.leaf_hashes(), chat.say("Really?").await.leaf_hashes()].concat();
    let proof = alice.proof(&agent, &hashes[1]).await.expect(200);
    let other = alice.proof(&agent, &hashes[2]).await.expect(200);
    let key = server.log().key_text().await;
    let keys = [VerifierKey::parse(&key).unwrap()];
    assert!(verify(&proof.to_string(), &keys).is_ok());

    let mut tampered: Vec<(String, Value)> = Vec::new();
    let mut change = |what: &str, change: &dyn Fn(&mut Value)| {
        let mut changed = proof.clone();
        change(&mut changed);
        assert_ne!(changed, proof, "{what} is no change");
        tampered.push((what.to_owned(), changed));
    };
    change("another hash", &|p| p["hash"] = json!(hashes[0]));
    change("another agent", &|p| p["agent_id"] = json!("ocs_01hzzzzzzzzzzzzzzzzzzzzzzz"));
    change("another index", &|p| p["proof"]["leaf_index"] = json!(0));
    change("another size", &|p| p["proof"]["tree_size"] = json!(5));
    change("another root", &|p| p["proof"]["root_hash"] = json!("0".repeat(64)));
    change("a shorter path", &|p| drop(p["proof"]["inclusion_path"].as_array_mut().unwrap().pop()));
    change("a longer path", &|p| p["proof"]["inclusion_path"].as_array_mut().unwrap().push(json!("0".repeat(64))));
    change("another nonce", &|p| p["proof"]["nonce"] = json!("0".repeat(64)));
    change("no proof", &|p| p["proof"] = Value::Null);
    change("a member too many", &|p| p["proof"]["more"] = json!(1));
    for member in ["entry", "record", "checkpoint", "tlog_proof", "nonce"] {
        change(&format!("another's {member}"), &|p| {
            p["proof"][member] = match member {
                // Both proofs are of one tree, and so have one checkpoint.
                "checkpoint" => json!(p["proof"][member].as_str().unwrap().replacen("\n4\n", "\n5\n", 1)),
                _ => other["proof"][member].clone(),
            }
        });
    }
    let record = |from: &'static str, to: &'static str| {
        move |p: &mut Value| p["proof"]["record"] = json!(p["proof"]["record"].as_str().unwrap().replacen(from, to, 1))
    };
    change("a milder verdict", &record("\"redact\"", "\"allow\""));
    change("white space", &record("{", "{ "));

    let directory = tempfile::tempdir().unwrap();
    for (what, proof) in tampered {
        assert!(verify(&proof.to_string(), &keys).is_err(), "{what}");
        let ran = verified(&written(directory.path(), "proof.json", &proof.to_string()), &["--key", &key]).await;
        assert_eq!(ran.status, Some(1), "{what}: {ran:?}");
        assert!(ran.out.contains("does not verify"), "{what}: {ran:?}");
    }
}

#[tokio::test]
async fn what_is_no_proof_does_not_verify() {
    let (server, _upstream, _alice) = gavel().await;
    let key = server.log().key_text().await;
    let directory = tempfile::tempdir().unwrap();
    for text in ["", "{}", "[]", "null", "c2sp.org/tlog-proof@v1\n", "hello", "{\"proof\":"] {
        let ran = verified(&written(directory.path(), "proof", text), &["--key", &key]).await;
        assert_eq!(ran.status, Some(1), "{text}: {ran:?}");
    }
    let file = written(directory.path(), "proof", "{}");
    assert_eq!(verified(&file, &["--key", "no key"]).await.status, Some(2));
}

#[tokio::test]
async fn a_proof_is_for_its_own_agent_alone() {
    let (server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let turn = alice.chat(&agent).await.say("Hello").await;
    let hash = &turn.leaf_hashes()[0];
    alice.proof(&agent, hash).await.expect(200);
    alice.proof(&other, hash).await.refused(403, "proof_forbidden");
    alice.proof(&agent, &format!("sha256:{}", "0".repeat(64))).await.refused(403, "proof_forbidden");
    let hex = hash.strip_prefix("sha256:").unwrap();
    let malformed =
        [hex.to_owned(), format!("sha256:{}", hex.to_uppercase()), "sha256:".into(), format!("{hash}0"), "x".into()];
    for malformed in malformed {
        alice.proof(&agent, &malformed).await.refused(400, "invalid_request");
        server.anyone().get(&format!("/verify/proof/{malformed}")).await.refused(400, "invalid_request");
    }
    let unknown = format!("/verify/proof/sha256:{}", "0".repeat(64));
    server.anyone().get(&unknown).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_anyone_may_see_says_nothing_of_the_agent() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    let public = server.anyone().get(&format!("/verify/proof/{}", turn.leaf_hashes()[0])).await.expect(200);
    let members: Vec<_> = public["proof"].as_object().unwrap().keys().cloned().collect();
    let expected = ["checkpoint", "entry", "inclusion_path", "leaf_index", "root_hash", "tree_size", "witnessed"];
    assert_eq!(members, expected);
    assert!(!public.to_string().contains(&agent.id) && !public.to_string().contains(&turn.message_id));
}

#[tokio::test]
async fn an_opening_shows_what_was_committed_to() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let answer = format!("It is {CARD}.");
    upstream.will_say([answer.as_str()]);
    let turn = alice.chat(&agent).await.say("Which?").await;
    let hash = turn.output["leaf_hash"].as_str().unwrap();
    let asked = format!("{hash}?opening=content,released,edits,subject");
    let proof = alice.proof(&agent, &asked).await.expect(200);
    let opening = &proof["opening"];
    assert_eq!((&opening["content"]["text"], &opening["released"]["text"]), (&json!(answer), &json!(turn.text)));
    let keys = [server.log().key().await];
    let outcome = verify(&proof.to_string(), &keys).unwrap();
    assert_eq!(outcome.openings_checked.len(), 4);

    for field in ["content", "released"] {
        let mut lie = proof.clone();
        lie["opening"][field]["text"] = json!("It is nothing.");
        assert!(verify(&lie.to_string(), &keys).is_err(), "{field}");
    }
    let part = alice.proof(&agent, &format!("{hash}?opening=released")).await.expect(200);
    assert!(!part.to_string().contains(CARD), "who opens the redacted text learns nothing of the original");
    alice.proof(&agent, &format!("{hash}?opening=everything")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn an_agents_chain_is_unbroken() {
    let (server, upstream, alice) = gavel().await;
    let agents = [alice.starts(json!({})).await, alice.starts(json!({"governance_mode": "enforcing"})).await];
    let mut told: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    for number in 0..4 {
        for (agent, told) in agents.iter().zip(&mut told) {
            upstream.will_say([format!("answer {number}, {CARD}")]);
            told.extend(alice.chat(agent).await.say(&format!("question {number}")).await.leaf_hashes());
        }
    }
    let entries = server.log().entries(0, 16).await;
    let mut chains = HashSet::new();
    for told in &told {
        let chain: Vec<_> = told
            .iter()
            .map(|hash| {
                let entry = entries.iter().find(|entry| gavel_log::Hash::leaf(entry).tagged() == *hash).unwrap();
                gavel_log::Entry::parse(entry).unwrap()
            })
            .collect();
        chains.insert(chain[0].chain.0);
        let mut prev = gavel_log::Hash::ZERO;
        for (seq, entry) in (0..).zip(&chain) {
            assert_eq!((entry.seq, entry.prev, entry.chain), (seq, prev, chain[0].chain));
            prev = entry.leaf_hash();
        }
        assert_eq!(chain.len(), 8);
    }
    assert_eq!(chains.len(), 2, "each agent has a chain of its own");
}
