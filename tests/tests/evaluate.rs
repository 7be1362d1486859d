//! A policy tried out on a text, without an agent and without a trace in the log.

use gavel_tests::{User, gavel, gavel_with};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

async fn tree_size(alice: &User) -> Value {
    alice.get("/health").await.expect(200)["log"]["tree_size"].clone()
}

#[tokio::test]
async fn a_policy_says_what_it_would_do_and_nothing_is_logged() {
    let (server, upstream, alice) = gavel().await;
    let bob = server.new_user("bob", &[]).await;
    let before = tree_size(&alice).await;
    let text = format!("é: {CARD} and {CARD}.");
    let answer = bob.post("/v1/policies/pii/evaluate", &json!({"text": text})).await.expect(200);
    let members: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["decision", "digest", "edits", "error", "findings", "micros", "policy", "reason", "text", "version"];
    assert_eq!(members, expected);
    assert_eq!(
        (&answer["policy"], &answer["decision"], &answer["error"]),
        (&json!("pii"), &json!("redact"), &Value::Null)
    );
    assert_eq!(answer["text"], "é: [redacted:card] and [redacted:card].");
    let edits = json!([
        {"span": [4, 23], "replacement": "[redacted:card]"}, {"span": [28, 47], "replacement": "[redacted:card]"},
    ]);
    assert_eq!(answer["edits"], edits);
    let finding = &answer["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["span"], &finding["severity"]),
        (&json!("card"), &json!([4, 23]), &json!("high"))
    );
    assert_eq!(answer["reason"], json!({"policy": "pii", "rule": "card", "summary": "A payment card number."}));
    assert!(answer["micros"].as_u64().unwrap() > 0);

    let ask = |config: Value, stage: &str| json!({"text": CARD, "config": config, "stage": stage});
    for (config, decision, text) in [
        (json!({"action": "block"}), "block", CARD),
        (json!({"action": "flag"}), "flag", CARD),
        (json!({"actions": {"card": "off"}}), "allow", CARD),
        (json!({"allow": ["4111*"]}), "allow", CARD),
    ] {
        let answer = bob.post("/v1/policies/pii/evaluate", &ask(config.clone(), "output")).await.expect(200);
        assert_eq!((&answer["decision"], &answer["text"]), (&json!(decision), &json!(text)), "{config}");
        assert_eq!(answer["edits"], json!([]), "{config}");
        assert_eq!(answer["reason"].is_null(), decision != "block", "{config}");
    }
    let whole = json!({"text": CARD, "stage": "tool_result", "config": {}, "model": "m", "provider": "p", "tool": "pay",
        "facts": {"label.team": "x"}, "history": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]});
    bob.post("/v1/policies/pii/evaluate", &whole).await.expect(200);
    for pin in ["version", "digest"].map(|pin| answer[pin].as_str().unwrap()) {
        let pinned = bob.post(&format!("/v1/policies/pii@{pin}/evaluate"), &json!({"text": ""})).await.expect(200);
        assert_eq!((&pinned["digest"], &pinned["decision"]), (&answer["digest"], &json!("allow")));
    }
    assert_eq!(tree_size(&alice).await, before);
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn what_cannot_be_asked_is_pointed_at() {
    let (_server, _upstream, alice) = gavel_with("[limits]\nmessage_bytes = 100\n").await;
    let path = "/v1/policies/pii/evaluate";
    let many: Vec<_> = (0..201).map(|_| json!({"role": "user", "content": ""})).collect();
    let long = "x".repeat(101);
    let malformed: [(Value, &str); 9] = [
        (json!({}), ""),
        (json!({"text": 7}), "/text"),
        (json!({"text": long}), "/text"),
        (json!({"text": "", "stage": "mouth"}), "/stage"),
        (json!({"text": "", "config": []}), "/config"),
        (json!({"text": "", "history": many}), "/history"),
        (json!({"text": "", "history": [{"role": "user"}]}), "/history/0"),
        (json!({"text": "", "history": [{"role": "developer", "content": ""}]}), "/history/0/role"),
        (json!({"text": "", "agent": "x"}), "/agent"),
    ];
    for (question, pointer) in malformed {
        alice.post(path, &question).await.points_at(400, "invalid_request", &[pointer]);
    }
    let refused = json!({"text": "", "config": {"action": "shout", "actions": {"card": 7}}});
    let answer = alice.post(path, &refused).await;
    let pointers: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert!(pointers.contains(&"/config/action") && pointers.contains(&"/config/actions/card"), "{pointers:?}");
    answer.refused(422, "invalid_configuration");
    for unknown in ["nobody", "pii@9.9.9", "pii@sha256:00", "pii@"] {
        let answer = alice.post(&format!("/v1/policies/{unknown}/evaluate"), &json!({"text": ""})).await;
        answer.refused(404, "not_found");
    }
}
