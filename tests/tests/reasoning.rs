//! A model's thinking is a stage of its own, judged on its own.

use gavel_tests::{Script, gavel};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn thinks() -> Script {
    Script::thinks(["They ask for ", "4111 1111 ", "1111 1111", ". Hm."], ["I would ", "rather not."])
}

#[tokio::test]
async fn in_transparent_mode_it_is_shown_as_it_is() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will(thinks());
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say("Which card?").await;
    let shape = [
        "governance_result input",
        "stream_start",
        "reasoning_chunk",
        "stream_chunk",
        "governance_result reasoning",
        "governance_result output",
        "stream_end",
    ];
    assert_eq!(turn.shape(), shape);
    assert_eq!(turn.ended("stop").thinking, format!("They ask for {CARD}. Hm."));
    assert_eq!(turn.text, "I would rather not.");
    assert_eq!((&turn.thought["enforced"], &turn.output["decision"]), (&json!(false), &json!("allow")));
    for hash in turn.leaf_hashes() {
        alice.proof(&agent, &hash).await.expect(200);
    }

    chat.say("Please").await.ended("stop");
    let expected = ["user: Which card?", "assistant: I would rather not.", "user: Please"];
    assert_eq!(upstream.last_conversation(), expected, "thoughts are no part of the conversation");
}

#[tokio::test]
async fn in_enforcing_mode_it_is_redacted_as_an_answer_is() {
    let (_server, upstream, alice) = gavel().await;
    let stages = json!(["input", "output", "reasoning"]);
    let wish = json!({"governance_mode": "enforcing", "policies": [{"policy": "pii", "stages": stages}]});
    let agent = alice.starts(wish).await;
    upstream.will(thinks());
    let turn = alice.chat(&agent).await.say("Which card?").await;
    assert_eq!(turn.ended("stop").thinking, "They ask for [redacted:card]. Hm.");
    assert_eq!((&turn.thought["decision"], &turn.thought["enforced"]), (&json!("redact"), &json!(true)));
    assert!(!turn.shows("1111 "), "{:#?}", turn.frames);
}

#[tokio::test]
async fn in_enforcing_mode_nobody_sees_what_no_policy_judged() {
    let (_server, upstream, alice) = gavel().await;
    let wish = json!({"governance_mode": "enforcing", "policies": [{"policy": "pii", "stages": ["output"]}]});
    let agent = alice.starts(wish).await;
    upstream.will(thinks());
    let turn = alice.chat(&agent).await.say("Which card?").await;
    assert_eq!(turn.ended("stop").text, "I would rather not.");
    assert_eq!(turn.thinking, "");
    assert!(!turn.frames.iter().any(|frame| frame["type"] == "reasoning_chunk"));
    let record = alice.record(&agent, turn.thought["leaf_hash"].as_str().unwrap()).await;
    let released = (&record["coverage"]["released"], &record["released"]);
    assert_eq!(released, (&json!(0), &Value::Null), "what was not shown is not recorded as shown: {record}");
}

#[tokio::test]
async fn thoughts_that_are_blocked_end_the_answer() {
    let (_server, upstream, alice) = gavel().await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}, "stages": ["output", "reasoning"]}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    upstream.will(thinks());
    let turn = alice.chat(&agent).await.say("Which card?").await;
    turn.ended("blocked");
    assert_eq!((&turn.thought["decision"], turn.text.as_str()), (&json!("block"), ""));
    assert!(!turn.shows("1111 "), "{:#?}", turn.frames);
}

#[tokio::test]
async fn the_end_of_a_thought_is_not_lost() {
    let (_server, upstream, alice) = gavel().await;
    let stages = json!(["output", "reasoning"]);
    let wish = json!({"governance_mode": "enforcing", "policies": [{"policy": "pii", "stages": stages}]});
    let agent = alice.starts(wish).await;
    // It ends in what could still have become a card number.
    upstream.will(Script::thinks(["The number begins ", "with 4111 1111"], ["I forgot the rest."]));
    let turn = alice.chat(&agent).await.say("Which card?").await;
    assert_eq!(turn.ended("stop").thinking, "The number begins with 4111 1111");
    assert_eq!(turn.text, "I forgot the rest.");
}
