//! A verdict is computed again, in another process and on another day, and gives the same bytes, or says why not.

use std::path::{Path, PathBuf};

use gavel_tests::{Agent, GavelServer, Ran, Script, Setup, Upstream, User, gavel, gavel_command};
use serde_json::{Value, json};

use crate::hostile::Home;

const CARD: &str = "4111 1111 1111 1111";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// Redacts cards, and stops at a cloud key.
fn bindings() -> Value {
    json!([{"policy": "pii"}, {"policy": "secrets", "config": {"action": "block"}}])
}

fn said(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("no JSON: {ran:?}"))
}

/// Turns of every kind: allowed, redacted, blocked before and in the middle, broken off, with thinking and a tool call.
async fn history(alice: &User, upstream: &Upstream, agent: &Agent) -> Vec<String> {
    let mut chat = alice.chat(agent).await;
    let mut leaves = Vec::new();
    upstream.will_say(["Nothing ", "to ", "see."]);
    leaves.extend(chat.say("Hello, Grüße, 世界").await.ended("stop").leaf_hashes());
    upstream.will_say(["It is 4111 11".to_owned(), "11 1111 1111, and ".to_owned(), "that is all.".to_owned()]);
    leaves.extend(chat.say(&format!("Is it {CARD}?")).await.ended("stop").leaf_hashes());
    leaves.extend(chat.say(&format!("Mine is {KEY}.")).await.ended("blocked").leaf_hashes());
    upstream.will_say([format!("Take {KEY} and "), "go. ".into(), "Far away.".into()]);
    leaves.extend(chat.say("Which key?").await.ended("blocked").leaf_hashes());
    upstream.will(Script::breaks_off_after([format!("Then {CARD}, and")]));
    leaves.extend(chat.say("Go on.").await.ended("error").leaf_hashes());
    upstream.will(Script::thinks([format!("The card {CARD}…")], ["Let me see.".to_owned()]));
    leaves.extend(chat.say("Think.").await.ended("stop").leaf_hashes());
    assert!(leaves.len() >= 12, "{leaves:?}");
    leaves
}

#[tokio::test]
async fn every_stored_verdict_is_the_same_with_the_server_and_without() {
    // Commands open the installation by the key that is in it.
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": bindings()})).await;
    let leaves = history(&alice, &upstream, &agent).await;
    for leaf in &leaves {
        let ran = server.command(&["replay", leaf, "--json"]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let replayed = said(&ran);
        assert_eq!((&replayed["leaf_hash"], &replayed["agent"]), (&json!(leaf), &json!(agent.id)));
        for policy in replayed["replay"]["policies"].as_array().unwrap() {
            assert_eq!((&policy["outcome"], &policy["computed"]), (&json!("same"), &policy["recorded"]));
        }
    }
    let unknown = server.command(&["replay", &format!("sha256:{}", "0".repeat(64))]).await;
    assert_eq!(unknown.status, Some(1), "{unknown:?}");
    assert_eq!(server.command(&["replay", "nonsense"]).await.status, Some(2));

    server.kill().await;
    for leaf in [&leaves[2], &leaves[7]] {
        let ran = server.command(&["replay", leaf]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.out.contains("pii 0.1.0: the same") && ran.out.contains("byte for byte"), "{ran:?}");
    }
}

/// A proof that opens all that a replay needs, and where it lies.
struct Case {
    directory: tempfile::TempDir,
    proof: Value,
    key: String,
    components: PathBuf,
}

impl Case {
    async fn of(server: &GavelServer, alice: &User, agent: &Agent, leaf: &str) -> Self {
        let proof = alice.proof(agent, &format!("{leaf}?opening=replay")).await.expect(200);
        let directory = tempfile::tempdir().unwrap();
        let components = directory.path().join("components");
        std::fs::create_dir(&components).unwrap();
        for file in std::fs::read_dir(server.data_dir().join("components")).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, components.join(file.file_name().unwrap())).unwrap();
        }
        Self { directory, proof, key: server.log().key_text().await, components }
    }

    async fn verify(&self, proof: &Value, components: &Path) -> Ran {
        let file = self.directory.path().join("proof.json");
        std::fs::write(&file, proof.to_string()).unwrap();
        let (file, components) = (file.to_str().unwrap(), components.to_str().unwrap());
        gavel_command(&["verify", file, "--key", &self.key, "--replay", "--plugins", components]).await
    }
}

#[tokio::test]
async fn a_proof_is_computed_again_with_no_server_and_whatever_is_tampered_with_is_named() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": bindings()})).await;
    upstream.will_say([format!("It is {CARD}.")]);
    let turn = alice.chat(&agent).await.say("Which?").await;
    let leaf = turn.output["leaf_hash"].as_str().unwrap();
    let case = Case::of(&server, &alice, &agent, leaf).await;
    assert_eq!(case.proof["replay"]["configs"].as_object().unwrap().len(), 2);
    let plain = alice.proof(&agent, leaf).await.expect(200);
    server.kill().await;

    let ran = case.verify(&case.proof, &case.components).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("verified") && ran.out.contains("pii 0.1.0: the same"), "{ran:?}");

    let refused = async |what: &str, proof: &Value, words: &str| {
        let ran = case.verify(proof, &case.components).await;
        assert_eq!(ran.status, Some(1), "{what}: {ran:?}");
        assert!(ran.out.contains(words), "{what}: {ran:?}");
    };
    let tampered = |change: &dyn Fn(&mut Value)| {
        let mut proof = case.proof.clone();
        change(&mut proof);
        assert_ne!(proof, case.proof);
        proof
    };
    let text = tampered(&|proof| proof["opening"]["content"]["text"] = json!("It is nothing."));
    refused("another text", &text, "does not verify: the opening: the opened content is not what").await;
    let verdict =
        tampered(&|proof| proof["opening"]["verdict/0"]["text"] = json!(r#"{"decision":"allow","findings":[]}"#));
    refused("another verdict", &verdict, "the opened verdict/0 is not what").await;
    let config = tampered(&|proof| {
        for config in proof["replay"]["configs"].as_object_mut().unwrap().values_mut() {
            *config = json!({"action": "flag"});
        }
    });
    refused("another configuration", &config, "is another: its digest is").await;
    let none = tampered(&|proof| proof["replay"]["configs"].as_object_mut().unwrap().clear());
    refused("no configuration", &none, "is neither in the proof nor in").await;
    refused("no opening", &plain, "ask for it with ?opening=replay").await;

    // The configurations may lie beside the components.
    for (digest, config) in case.proof["replay"]["configs"].as_object().unwrap() {
        std::fs::write(case.components.join(format!("{digest}.json")), config.to_string()).unwrap();
    }
    let ran = case.verify(&none, &case.components).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");

    let record: Value = serde_json::from_str(case.proof["proof"]["record"].as_str().unwrap()).unwrap();
    let pii = case.components.join(format!("{}.wasm", record["verdicts"][0]["component"].as_str().unwrap()));
    let secrets = case.components.join(format!("{}.wasm", record["verdicts"][1]["component"].as_str().unwrap()));
    std::fs::copy(&secrets, &pii).unwrap();
    refused("another component", &case.proof, "is not what its name says").await;
    std::fs::remove_file(&pii).unwrap();
    refused("no component", &case.proof, "no component in").await;
}

#[tokio::test]
async fn an_opening_for_a_replay_is_the_owners_alone() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"policies": bindings()})).await;
    upstream.will_say([format!("It is {CARD}.")]);
    let turn = alice.chat(&agent).await.say("Which?").await;
    let leaf = turn.output["leaf_hash"].as_str().unwrap();
    let (_, key) = alice.gives_key(&agent, &["proofs:read"]).await;
    key.proof(&agent, &format!("{leaf}?opening=replay")).await.refused(403, "forbidden");
    let proof = alice.proof(&agent, &format!("{leaf}?opening=verdicts")).await.expect(200);
    assert_eq!(proof.get("replay"), None);
    let verdict: Value = serde_json::from_str(proof["opening"]["verdict/0"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(verdict["findings"][0]["rule"], "card");
    assert!(!proof.to_string().contains(CARD));
}

#[tokio::test]
async fn what_was_erased_cannot_be_computed_again_and_is_no_mismatch() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will_say(["Hello."]);
    let leaf = alice.chat(&agent).await.say("Hello").await.leaf_hashes().remove(0);
    alice.delete(&agent.path("/messages")).await.expect(200);
    let ran = server.command(&["replay", &leaf, "--json"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let replayed = said(&ran);
    assert_eq!(replayed["replay"]["outcome"], "impossible");
    assert!(replayed["replay"]["policies"][0]["reason"].as_str().unwrap().contains("erased"), "{replayed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_failed_while_it_followed_the_text_fails_again_at_the_same_place() {
    let home = Home::new().await;
    let agent = home.agent("enforcing", json!({"policy": "hostile", "on_error": "allow"})).await;
    let mut chat = home.alice.chat(&agent).await;
    let data_dir = home.directory.path().to_str().unwrap();
    let told =
        ["clear beyond", "forget a block", "finish otherwise", "push loop", "edit what was cleared", "loop", "é panic"];
    for told in told {
        home.upstream.will_say([format!("do:{told}."), " More of it.".into(), " And more.".into()]);
        let turn = chat.say("Go on.").await;
        for leaf in turn.leaf_hashes() {
            let ran = gavel_command(&["replay", &leaf, "--data-dir", data_dir, "--json"]).await;
            assert_eq!(ran.status, Some(0), "{told}: {ran:?}");
        }
    }
    for (told, outcome) in [("overflow", "same"), ("eat memory", "same"), ("flood", "same"), ("refuse", "same")] {
        let turn = chat.say(&format!("é do:{told}.")).await;
        let leaf = turn.input["leaf_hash"].as_str().unwrap();
        let ran = gavel_command(&["replay", leaf, "--data-dir", data_dir, "--json"]).await;
        assert_eq!(said(&ran)["replay"]["outcome"], outcome, "{told}: {ran:?}");
    }
    home.ends().await;
}
