//! Transparent mode: everything is judged and recorded, nothing is changed or held back.

use gavel_tests::{MOCK_KEY, Script, Turn, gavel};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

/// The members that every governance result has.
const RESULT: [&str; 14] = [
    "checkpoint",
    "decision",
    "enforced",
    "leaf_hash",
    "leaf_index",
    "message_id",
    "mode",
    "proof_url",
    "reason",
    "seq",
    "stage",
    "type",
    "verdicts",
    "would",
];

fn members(object: &Value) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[track_caller]
fn decided(result: &Value, decision: &str, would: &str, enforced: bool) {
    let found = (&result["decision"], &result["would"], &result["enforced"]);
    assert_eq!(found, (&json!(decision), &json!(would), &json!(enforced)), "{result:#}");
}

#[tokio::test]
async fn a_turn_comes_in_the_order_that_was_promised() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will_say(["Good ", "morning", "."]);
    let turn = alice.chat(&agent).await.say("Hello").await;
    let shape = ["governance_result input", "stream_start", "stream_chunk", "governance_result output", "stream_end"];
    assert_eq!(turn.shape(), shape);
    assert_eq!(turn.ended("stop").text, "Good morning.");
    assert_eq!(turn.usage, json!({"input_tokens": 11, "output_tokens": 7}));

    let answer = turn.answer_id();
    assert!(answer.starts_with("msg_") && answer != turn.message_id);
    let start = &turn.frames[1];
    let expected = json!({
        "type": "stream_start", "message_id": answer, "role": "assistant", "in_reply_to": turn.message_id,
    });
    assert_eq!(*start, expected);
    for frame in turn.frames.iter().filter(|frame| frame["type"] == "stream_chunk") {
        assert_eq!(members(frame), ["content", "message_id", "type"]);
        assert_eq!(frame["message_id"], answer);
    }
    let end = turn.frames.last().unwrap();
    assert_eq!(members(end), ["finish_reason", "message_id", "type", "usage"]);
    assert_eq!(end["message_id"], answer);
    assert_eq!(turn.input["message_id"], json!(turn.message_id));
    assert_eq!(turn.output["message_id"], answer);
}

#[tokio::test]
async fn a_governance_result_has_its_shape() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will_say([format!("It is {CARD}.")]);
    let turn = alice.chat(&agent).await.say("Hello").await;
    for (seq, result) in [(0, &turn.input), (1, &turn.output)] {
        assert_eq!(members(result), RESULT);
        assert_eq!((&result["mode"], &result["seq"]), (&json!("transparent"), &json!(seq)));
        let hash = result["leaf_hash"].as_str().unwrap();
        assert!(hash.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64), "{hash}");
        assert_eq!(result["proof_url"], json!(agent.path(&format!("/proofs/{hash}"))));
        let note = result["checkpoint"].as_str().unwrap();
        gavel_log::Checkpoint::verify(note, &server.log().key().await).unwrap();
        let policies: Vec<_> = result["verdicts"].as_array().unwrap().iter().map(|v| &v["policy"]).collect();
        assert_eq!(policies, ["pii", "secrets"]);
    }
    let verdict = &turn.output["verdicts"][0];
    let expected = ["decision", "digest", "enforcement", "error", "findings", "micros", "policy", "version"];
    assert_eq!(members(verdict), expected);
    assert!(verdict["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!((&verdict["decision"], &verdict["error"]), (&json!("redact"), &Value::Null));
    let finding = &verdict["findings"][0];
    assert_eq!(members(finding), ["detail", "rule", "severity", "span", "summary"]);
    assert_eq!((&finding["rule"], &finding["span"]), (&json!("card"), &json!([6, 6 + CARD.len()])));
    assert_eq!((&turn.input["reason"], &turn.output["reason"]["policy"]), (&Value::Null, &json!("pii")));
}

#[tokio::test]
async fn what_is_found_is_reported_and_nothing_is_changed() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (question, answer) = (format!("Is {CARD} mine?"), format!("Yes, {CARD} is yours."));
    upstream.will_say([&answer[..9], &answer[9..]]);
    let turn = alice.chat(&agent).await.say(&question).await;
    decided(&turn.input, "redact", "redact", false);
    decided(&turn.output, "redact", "redact", false);
    assert_eq!(turn.output["reason"]["rule"], "card");
    assert_eq!(turn.ended("stop").text, answer);
    assert_eq!(upstream.last_conversation(), [format!("user: {question}")]);
    assert_eq!(alice.history(&agent).await, [format!("user: {question}"), format!("assistant: {answer}")]);
}

#[tokio::test]
async fn what_would_be_blocked_goes_on() {
    let (_server, upstream, alice) = gavel().await;
    let block = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"policies": block})).await;
    upstream.will_say([format!("{CARD} it is.")]);
    let turn = alice.chat(&agent).await.say(&format!("Take {CARD}.")).await;
    decided(&turn.input, "block", "block", false);
    decided(&turn.output, "block", "block", false);
    assert_eq!(turn.ended("stop").text, format!("{CARD} it is."));
    assert_eq!(upstream.last_conversation(), [format!("user: Take {CARD}.")]);
}

#[tokio::test]
async fn an_observing_binding_says_what_it_would_do() {
    let (_server, upstream, alice) = gavel().await;
    let observe = json!([{"policy": "pii", "enforcement": "observe"}]);
    let agent = alice.starts(json!({"policies": observe})).await;
    upstream.will_say(["Noted."]);
    let turn = alice.chat(&agent).await.say(&format!("Take {CARD}.")).await;
    decided(&turn.input, "allow", "redact", false);
    decided(&turn.output, "allow", "allow", false);
    assert_eq!(turn.input["reason"], Value::Null);
    assert_eq!(turn.input["verdicts"][0]["enforcement"], "observe");
}

#[tokio::test]
async fn without_policies_each_message_still_has_its_leaf() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"policies": []})).await;
    let turn = alice.chat(&agent).await.say(&format!("Take {CARD}.")).await;
    for result in [&turn.input, &turn.output] {
        decided(result, "allow", "allow", false);
        assert_eq!(result["verdicts"], json!([]));
        alice.proof(&agent, result["leaf_hash"].as_str().unwrap()).await.expect(200);
    }
}

#[tokio::test]
async fn history_shows_what_went_on_and_the_provider_gets_it() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"system_prompt": "Be brief.", "model": "m-1"})).await;
    let mut chat = alice.chat(&agent).await;
    let mut turns: Vec<Turn> = Vec::new();
    for (question, answer) in [("One?", "First."), ("Two?", "Second."), ("Três?", "Terceiro: ✓.")] {
        upstream.will_say(answer.split_inclusive(' '));
        turns.push(chat.say(question).await);
    }
    let expected =
        ["system: Be brief.", "user: One?", "assistant: First.", "user: Two?", "assistant: Second.", "user: Três?"];
    assert_eq!(upstream.last_conversation(), expected);
    let request = upstream.received().pop().unwrap();
    assert_eq!((&request.body["model"], &request.body["stream"]), (&json!("m-1"), &json!(true)));
    assert_eq!(request.headers["authorization"], format!("Bearer {MOCK_KEY}"));

    let messages = alice.messages(&agent).await;
    assert_eq!(messages.len(), 6);
    let session = alice.agent(&agent).await["session_id"].clone();
    for (pair, turn) in messages.chunks(2).zip(&turns) {
        let shown = ["content", "created_at", "finish_reason", "leaf_hashes", "message_id", "role", "session_id"];
        assert_eq!(members(&pair[0]), shown);
        assert_eq!((&pair[0]["session_id"], &pair[1]["session_id"]), (&session, &session));
        assert_eq!((&pair[0]["role"], &pair[1]["role"]), (&json!("user"), &json!("assistant")));
        assert_eq!(
            (&pair[0]["message_id"], &pair[1]["message_id"]),
            (&json!(turn.message_id), &json!(turn.answer_id()))
        );
        assert_eq!((&pair[0]["finish_reason"], &pair[1]["finish_reason"]), (&Value::Null, &json!("stop")));
        assert_eq!(pair[0]["leaf_hashes"], json!([turn.input["leaf_hash"]]));
        assert_eq!(pair[1]["leaf_hashes"], json!([turn.output["leaf_hash"]]));
    }
    assert_eq!(messages[5]["content"], "Terceiro: ✓.");
}

#[tokio::test]
async fn an_answer_ends_as_the_provider_says() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    for (said, told) in [("length", "length"), ("content_filter", "blocked"), ("what is new", "stop")] {
        upstream.will(Script::ends_with(["And so"], said));
        let turn = chat.say("Go on").await;
        assert_eq!(turn.ended(told).text, "And so");
        assert_eq!(turn.usage, json!({"input_tokens": 11, "output_tokens": 7}));
    }
    upstream.will(Script::says(Vec::<String>::new()));
    assert_eq!(chat.say("Silence?").await.ended("stop").text, "");
}

#[tokio::test]
async fn the_demo_provider_needs_no_network() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"model_provider": "demo"})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert!(!turn.ended("stop").text.is_empty());
    assert!(upstream.received().is_empty());
}
