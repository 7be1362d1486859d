//! What was decided can be asked for: by its owner for one agent, by an auditor for all, and never with a text.

use gavel_tests::{Agent, User, gavel};
use reqwest::Method;
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

/// The members that every verdict has.
const VERDICT: [&str; 16] = [
    "agent_id",
    "decision",
    "enforced",
    "leaf_hash",
    "leaf_index",
    "message_id",
    "mode",
    "model",
    "outcome",
    "provider",
    "seq",
    "session_id",
    "stage",
    "time",
    "verdicts",
    "would",
];

fn members(object: &Value) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// An agent that blocks card numbers, and nothing else.
async fn strict(alice: &User) -> Agent {
    let pii = json!({"policy": "pii", "config": {"action": "redact", "actions": {"card": "block"}}});
    alice.starts(json!({"governance_mode": "enforcing", "policies": [pii, {"policy": "secrets"}]})).await
}

async fn verdicts(user: &User, path: &str) -> Vec<Value> {
    let page = user.get(path).await.expect(200);
    assert!(page["next_cursor"].is_null(), "{page}");
    page["verdicts"].as_array().unwrap().clone()
}

fn hashes(verdicts: &[Value]) -> Vec<&Value> {
    verdicts.iter().map(|verdict| &verdict["leaf_hash"]).collect()
}

#[tokio::test]
async fn what_was_blocked_and_by_which_rule_is_one_call() {
    let (_server, upstream, alice) = gavel().await;
    let agent = strict(&alice).await;
    upstream.will_say(["Write to ", "bob@example.com", "."]);
    let mut chat = alice.chat(&agent).await;
    let passed = chat.say("Whom do I ask?").await;
    passed.ended("stop");
    let blocked = chat.say(&format!("My card is {CARD}")).await;
    blocked.ended("blocked");

    let day = "from=2020-01-01T00:00:00Z&to=2120-01-01T00:00:00Z";
    let found = verdicts(&alice, &agent.path(&format!("/verdicts?decision=block&rule=card&{day}"))).await;
    assert_eq!(hashes(&found), [&blocked.input["leaf_hash"]]);
    let verdict = &found[0];
    assert_eq!(members(verdict), VERDICT);
    let expected = json!({
        "agent_id": agent.id, "message_id": blocked.message_id, "stage": "input", "mode": "enforcing",
        "decision": "block", "would": "block", "enforced": true, "outcome": "blocked", "provider": "mock",
        "leaf_index": blocked.input["leaf_index"], "seq": blocked.input["seq"],
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(verdict[member], *value, "{member}");
    }
    let by = &verdict["verdicts"][0];
    assert_eq!((&by["policy"], &by["decision"], &by["error"]), (&json!("pii"), &json!("block"), &Value::Null));
    assert_eq!(by["findings"], json!([{"rule": "card", "severity": by["findings"][0]["severity"], "count": 1}]));
    assert_eq!(by["digest"], blocked.input["verdicts"][0]["digest"]);

    // Each filter by itself, newest first.
    let (question, answer, refused) =
        (&passed.input["leaf_hash"], &passed.output["leaf_hash"], &blocked.input["leaf_hash"]);
    for (query, expected) in [
        ("", vec![refused, answer, question]),
        ("?stage=output", vec![answer]),
        ("?decision=redact&stage=output&policy=pii&rule=email", vec![answer]),
        ("?policy=secrets", vec![refused, answer, question]),
        ("?policy=secrets&rule=email", vec![]),
        ("?policy=nobody", vec![]),
        ("?to=2020-01-01T00:00:00Z", vec![]),
        ("?from=2120-01-01T00%3A00%3A00%2B02%3A00", vec![]),
    ] {
        let found = verdicts(&alice, &agent.path(&format!("/verdicts{query}"))).await;
        assert_eq!(hashes(&found), expected, "{query}");
    }
    // The end of a range is not in it, its beginning is.
    let time = verdict["time"].as_str().unwrap();
    assert_eq!(verdicts(&alice, &agent.path(&format!("/verdicts?decision=block&from={time}"))).await.len(), 1);
    assert!(verdicts(&alice, &agent.path(&format!("/verdicts?decision=block&to={time}"))).await.is_empty());
}

#[tokio::test]
async fn verdicts_hold_no_text() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"system_prompt": "You are a parrot of the sea."})).await;
    upstream.will_say([format!("Your card {CARD}, aye.")]);
    alice.chat(&agent).await.say(&format!("Say {CARD}, parrot")).await.ended("stop");
    for path in [agent.path("/verdicts"), "/v1/verdicts".to_owned()] {
        let answer = alice.get(&path).await;
        assert!(answer.body["verdicts"].as_array().unwrap().len() >= 2);
        for text in [CARD, "parrot", "aye"] {
            assert!(!answer.text().contains(text), "{text} in {}", answer.text());
        }
    }
}

#[tokio::test]
async fn pages_follow_one_another_and_a_stream_gives_all_at_once() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = strict(&alice).await;
    let mut chat = alice.chat(&agent).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.insert(0, chat.say(&format!("My card is {CARD}")).await.input["leaf_hash"].clone());
    }
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&agent.path(&format!("/verdicts?decision=block&limit=2{cursor}"))).await.expect(200);
        paged.extend(page["verdicts"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(hashes(&paged), told.iter().collect::<Vec<_>>());

    let stream = alice.request(Method::GET, &agent.path("/verdicts?decision=block&limit=2"));
    let stream = alice.send(stream.header("accept", "application/x-ndjson")).await;
    assert_eq!((stream.status, stream.header("content-type")), (200, "application/x-ndjson"));
    let text = stream.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(text.ends_with('\n'));
    assert_eq!(lines, paged);
}

#[tokio::test]
async fn a_stream_is_as_long_as_what_was_asked_for() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"policies": []})).await;
    // Each text of a conversation that is brought along has a result of its own: one request makes many.
    let said: Vec<_> = (0..700).map(|n| json!({"role": "user", "content": format!("This is number {n}.")})).collect();
    alice.completes(&agent, json!(said), json!({})).await.ended("stop");
    let stream = alice.request(Method::GET, &agent.path("/verdicts"));
    let text = alice.send(stream.header("accept", "application/x-ndjson")).await.text();
    let seqs: Vec<_> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64()).collect();
    assert_eq!(seqs, (0..701).rev().map(Some).collect::<Vec<_>>(), "each once, the newest first");
}

#[tokio::test]
async fn an_agents_verdicts_are_its_own_and_an_auditor_sees_all() {
    let (server, _upstream, _admin) = gavel().await;
    let (alice, bob) = (server.new_user("alice", &[]).await, server.new_user("bob", &[]).await);
    let eve = server.new_user("eve", &["--auditor"]).await;
    let (one, two) = (strict(&alice).await, strict(&bob).await);
    let first = alice.chat(&one).await.say(CARD).await;
    let second = bob.chat(&two).await.say(CARD).await;
    assert_eq!(hashes(&verdicts(&alice, &one.path("/verdicts")).await), [&first.input["leaf_hash"]]);
    assert_eq!(hashes(&verdicts(&bob, &two.path("/verdicts")).await), [&second.input["leaf_hash"]]);
    alice.get(&two.path("/verdicts")).await.refused(404, "not_found");
    alice.get("/v1/verdicts").await.refused(403, "forbidden");
    let (_, key) = alice.gives_key(&one, &["proofs:read"]).await;
    assert_eq!(verdicts(&key, &one.path("/verdicts")).await.len(), 1);
    key.get("/v1/verdicts").await.refused(403, "forbidden");
    let (_, key) = alice.gives_key(&one, &["chat"]).await;
    key.get(&one.path("/verdicts")).await.refused(403, "forbidden");
    let all = verdicts(&eve, "/v1/verdicts").await;
    assert_eq!(hashes(&all), [&second.input["leaf_hash"], &first.input["leaf_hash"]]);
    assert_eq!(all[0]["agent_id"], two.id);
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let (server, _upstream, alice) = gavel().await;
    let agent = strict(&alice).await;
    for path in [agent.path("/verdicts"), "/v1/verdicts".to_owned()] {
        server.anyone().get(&path).await.refused(401, "unauthorized");
        for query in [
            "decision=maybe",
            "decision=unknown",
            "decision=",
            "stage=mouth",
            "limit=0",
            "limit=201",
            "limit=few",
            "order=asc",
            "decision=block&decision=allow",
        ] {
            alice.get(&format!("{path}?{query}")).await.refused(400, "invalid_request");
        }
        for (query, pointer) in [
            ("from=yesterday", "/from"),
            ("to=2026-02-30T00:00:00Z", "/to"),
            ("cursor=%00", "/cursor"),
            ("cursor=bXNn", "/cursor"),
        ] {
            alice.get(&format!("{path}?{query}")).await.points_at(400, "invalid_request", &[pointer]);
        }
    }
}

#[tokio::test]
async fn a_deleted_agents_verdicts_stay_for_auditors() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = strict(&alice).await;
    let blocked = alice.chat(&agent).await.say(&format!("My card is {CARD}")).await;
    blocked.ended("blocked");
    assert_eq!(alice.delete(&agent.path("")).await.status, 204);

    alice.get(&agent.path("/verdicts")).await.refused(404, "not_found");
    let found = verdicts(&alice, "/v1/verdicts?rule=card").await;
    assert_eq!(hashes(&found), [&blocked.input["leaf_hash"]]);
    assert_eq!(found[0]["agent_id"], agent.id.as_str());
}
