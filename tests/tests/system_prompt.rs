//! What an agent was told before the conversation is judged before it goes to a provider, too.
//!
//! Older messages from transparent days are judged by the same code; their story needs a change of mode.

use gavel_tests::gavel;
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn seqs(results: &[&Value]) -> Vec<u64> {
    results.iter().map(|result| result["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_system_prompt_is_judged_once_and_goes_on_redacted() {
    let (_server, upstream, alice) = gavel().await;
    let prompt = format!("The house card is {CARD}.");
    let agent = alice.starts(json!({"governance_mode": "enforcing", "system_prompt": prompt})).await;
    let mut chat = alice.chat(&agent).await;
    let first = chat.say("Hello").await;
    let second = chat.say("Hello again").await;
    first.ended("stop");
    second.ended("stop");
    for request in upstream.received() {
        assert_eq!(request.conversation()[0], "system: The house card is [redacted:card].");
    }
    // Its own leaf comes first, and it has no second one.
    assert_eq!(seqs(&[&first.input, &first.output, &second.input, &second.output]), [1, 2, 3, 4]);
    assert_eq!(alice.agent(&agent).await["system_prompt"], json!(prompt));
}

#[tokio::test]
async fn a_system_prompt_that_is_blocked_stops_every_turn() {
    let (_server, upstream, alice) = gavel().await;
    let wish = json!({
        "governance_mode": "enforcing", "system_prompt": format!("The house card is {CARD}."),
        "policies": [{"policy": "pii", "config": {"action": "block"}}],
    });
    let agent = alice.starts(wish).await;
    let mut chat = alice.chat(&agent).await;
    for _ in 0..2 {
        let turn = chat.say("Hello").await;
        turn.ended("blocked");
        let shape = ["governance_result input", "stream_start", "governance_result output", "stream_end"];
        assert_eq!(turn.shape(), shape);
        assert_eq!(turn.input["decision"], "allow");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn in_transparent_mode_it_goes_on_as_it_is_and_what_was_found_is_on_record() {
    let (_server, upstream, alice) = gavel().await;
    let prompt = format!("The house card is {CARD}.");
    let agent = alice.starts(json!({"system_prompt": prompt})).await;
    let mut chat = alice.chat(&agent).await;
    let (turn, again) = (chat.say("Hello").await, chat.say("Hello again").await);
    assert_eq!(upstream.last_conversation()[0], format!("system: {prompt}"));
    assert_eq!(seqs(&[&turn.input, &turn.output, &again.input, &again.output]), [1, 2, 3, 4]);
    assert!(
        turn.shape().iter().filter(|kind| kind.starts_with("governance")).count() == 2,
        "it has no frame of its own"
    );
    let verdicts = alice.get(&agent.path("/verdicts?decision=redact")).await.expect(200)["verdicts"].clone();
    assert_eq!(verdicts.as_array().map(Vec::len), Some(1), "{verdicts:#}");
    let found = (&verdicts[0]["seq"], &verdicts[0]["message_id"], &verdicts[0]["enforced"]);
    assert_eq!(found, (&json!(0), &Value::Null, &json!(false)));
    // Where nothing is asked, there is nothing to record.
    let silent = alice.starts(json!({"system_prompt": prompt, "policies": []})).await;
    let turn = alice.chat(&silent).await.say("Hello").await;
    assert_eq!(seqs(&[&turn.input, &turn.output]), [0, 1]);
}
