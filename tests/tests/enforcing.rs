//! Enforcing mode: what the policies decide happens, and nothing goes past them.

use gavel_tests::{Script, Turn, gavel};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";
const REDACTED: &str = "[redacted:card]";

fn enforcing(policies: &Value) -> Value {
    json!({"governance_mode": "enforcing", "policies": policies})
}

fn blocking() -> Value {
    json!([{"policy": "pii", "config": {"action": "block"}}])
}

#[track_caller]
fn decided(result: &Value, decision: &str, would: &str, enforced: bool) {
    assert_eq!(result["mode"], "enforcing");
    let found = (&result["decision"], &result["would"], &result["enforced"]);
    assert_eq!(found, (&json!(decision), &json!(would), &json!(enforced)), "{result:#}");
}

/// Nothing that the client was sent holds so much as a group of the card's digits. The space makes it one: hashes hold
/// digits too.
#[track_caller]
fn shows_no_card(turn: &Turn) {
    assert!(!turn.shows("1111 ") && !turn.shows(" 1111"), "{:#?}", turn.frames);
}

#[tokio::test]
async fn a_card_number_is_redacted_although_it_comes_in_many_deltas() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let answer = format!("Your card {CARD} is valid, and so is 5555-5555-5555-4444.");
    upstream.will_say(answer.split_inclusive(|c: char| c.is_ascii_digit() || c == ' '));
    let turn = alice.chat(&agent).await.say("Which card?").await;
    let shape = ["governance_result input", "stream_start", "stream_chunk", "governance_result output", "stream_end"];
    assert_eq!(turn.shape(), shape);
    assert_eq!(turn.ended("stop").text, format!("Your card {REDACTED} is valid, and so is {REDACTED}."));
    shows_no_card(&turn);
    decided(&turn.input, "allow", "allow", false);
    decided(&turn.output, "redact", "redact", true);
    assert_eq!((&turn.output["reason"]["policy"], &turn.output["reason"]["rule"]), (&json!("pii"), &json!("card")));
    assert_eq!(turn.usage, json!({"input_tokens": 11, "output_tokens": 7}));
    let history = ["user: Which card?".to_owned(), format!("assistant: {}", turn.text)];
    assert_eq!(alice.history(&agent).await, history);

    let record = alice.record(&agent, turn.output["leaf_hash"].as_str().unwrap()).await;
    assert_eq!(record["verdicts"][0]["findings"], json!([{"rule": "card", "severity": "high", "count": 2}]));
    let bytes = answer.len();
    let coverage = json!({"received": bytes, "judged": bytes, "released": bytes, "unjudged": 0});
    assert_eq!(record["coverage"], coverage);
}

#[tokio::test]
async fn what_comes_before_a_finding_does_not_wait_for_the_end() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let opening = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let (script, pace) = Script::says_at_a_pace([opening.as_str(), "The card is 4111 1111 ", "1111 1111", ", truly."]);
    upstream.will(script);
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Tell me").await;
    pace.let_go(1);
    // The provider has said no more than its opening, and some of it is here already.
    let begun = chat.frames_until("stream_chunk").await;
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, format!("{opening}The card is {REDACTED}, truly."));
    shows_no_card(&turn);
}

#[tokio::test]
async fn a_blocked_input_never_reaches_the_provider() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(enforcing(&blocking())).await;
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say(&format!("Charge {CARD}.")).await;
    assert_eq!(turn.shape(), ["governance_result input", "stream_start", "stream_end"]);
    assert_eq!(turn.ended("blocked").usage, json!({"input_tokens": 0, "output_tokens": 0}));
    decided(&turn.input, "block", "block", true);
    assert_eq!((&turn.input["reason"]["policy"], &turn.input["reason"]["rule"]), (&json!("pii"), &json!("card")));
    assert!(upstream.received().is_empty());

    chat.say("Never mind.").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: Never mind."]);
    let record = alice.record(&agent, turn.input["leaf_hash"].as_str().unwrap()).await;
    assert_eq!((&record["outcome"], &record["released"]), (&json!("blocked"), &Value::Null));
    assert!(!alice.history(&agent).await.iter().any(|message| message.contains("1111")));
}

#[tokio::test]
async fn a_redacted_input_reaches_the_provider_redacted() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say(&format!("Charge {CARD}, please.")).await;
    decided(&turn.input, "redact", "redact", true);
    turn.ended("stop");
    let reached = format!("user: Charge {REDACTED}, please.");
    assert_eq!(upstream.last_conversation(), [reached.as_str()]);
    chat.say("Done?").await.ended("stop");
    assert_eq!(upstream.last_conversation()[0], reached);
    assert_eq!(alice.history(&agent).await[0], reached);
    let bodies: Vec<_> = upstream.received().iter().map(|request| request.body.to_string()).collect();
    assert!(!bodies.concat().contains("1111"), "{bodies:?}");
}

#[tokio::test]
async fn a_blocked_answer_ends_and_is_left_out_of_what_follows() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(enforcing(&blocking())).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will_say(["Well, ", "it is ", "4111 1111 ", "1111 1111", ", and more."]);
    let turn = chat.say("Which card?").await;
    turn.ended("blocked");
    decided(&turn.output, "block", "block", true);
    assert!("Well, it is ".starts_with(&turn.text), "{}", turn.text);
    shows_no_card(&turn);
    let record = alice.record(&agent, turn.output["leaf_hash"].as_str().unwrap()).await;
    assert_eq!(record["outcome"], "blocked");

    chat.say("Go on.").await.ended("stop");
    assert!(!upstream.last_conversation().iter().any(|message| message.starts_with("assistant:")));
}

#[tokio::test]
async fn a_binding_that_releases_the_whole_shows_nothing_of_a_blocked_answer() {
    let (_server, upstream, alice) = gavel().await;
    let whole = json!([{"policy": "pii", "config": {"action": "block"}, "release": "whole"}]);
    let agent = alice.starts(enforcing(&whole)).await;
    let mut chat = alice.chat(&agent).await;
    let opening = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    upstream.will_say([opening.as_str(), CARD]);
    let turn = chat.say("Tell me").await;
    turn.ended("blocked");
    let shape = ["governance_result input", "stream_start", "governance_result output", "stream_end"];
    assert_eq!(turn.shape(), shape);

    upstream.will_say([opening.as_str(), "The end."]);
    let turn = chat.say("Tell me again").await;
    assert_eq!(turn.ended("stop").text, format!("{opening}The end."));
}

#[tokio::test]
async fn an_observing_binding_never_enforces() {
    let (_server, upstream, alice) = gavel().await;
    let observe = json!([
        {"policy": "pii", "config": {"action": "block"}, "enforcement": "observe"},
        {"policy": "secrets"},
    ]);
    let agent = alice.starts(enforcing(&observe)).await;
    upstream.will_say([format!("{CARD} it is.")]);
    let turn = alice.chat(&agent).await.say(&format!("Take {CARD}.")).await;
    decided(&turn.input, "allow", "block", false);
    decided(&turn.output, "allow", "block", false);
    assert_eq!(turn.ended("stop").text, format!("{CARD} it is."));
    assert_eq!(upstream.last_conversation(), [format!("user: Take {CARD}.")]);
}

#[tokio::test]
async fn a_binding_judges_the_stages_that_it_names() {
    let (_server, upstream, alice) = gavel().await;
    let output_alone = json!([{"policy": "pii", "stages": ["output"]}]);
    let agent = alice.starts(enforcing(&output_alone)).await;
    upstream.will_say([format!("{CARD} it is.")]);
    let turn = alice.chat(&agent).await.say(&format!("Take {CARD}.")).await;
    decided(&turn.input, "allow", "allow", false);
    assert_eq!(turn.input["verdicts"], json!([]));
    assert_eq!(upstream.last_conversation(), [format!("user: Take {CARD}.")]);
    decided(&turn.output, "redact", "redact", true);
    assert_eq!(turn.ended("stop").text, format!("{REDACTED} it is."));
}

#[tokio::test]
async fn several_policies_judge_the_same_text_and_the_gravest_decides() {
    let (_server, upstream, alice) = gavel().await;
    let both = json!([{"policy": "pii", "config": {"actions": {"email": "flag"}}}, {"policy": "secrets"}]);
    let agent = alice.starts(enforcing(&both)).await;
    let mut chat = alice.chat(&agent).await;
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB\n\
               aFDrBz9vFqU4yK3Jc7y5mV1g0q3l8o9s2d4f6h8j0k2l4m6n8b0v2c4x6z8a0s2d\n-----END RSA PRIVATE KEY-----";
    upstream.will_say([format!("Write to ada@example.com. The key is\n{key}\nKeep it.")]);
    let turn = chat.say("Hello").await;
    decided(&turn.output, "redact", "redact", true);
    assert_eq!(turn.output["reason"]["policy"], "secrets");
    let decisions: Vec<_> = turn.output["verdicts"].as_array().unwrap().iter().map(|v| &v["decision"]).collect();
    assert_eq!(decisions, ["flag", "redact"]);
    assert!(turn.text.contains("ada@example.com") && !turn.shows("MIIEpAIB"), "{}", turn.text);

    upstream.will_say(["Write to ada@example.com."]);
    let turn = chat.say("Once more").await;
    decided(&turn.output, "flag", "flag", false);
    assert_eq!((turn.ended("stop").text.as_str(), &turn.output["reason"]), ("Write to ada@example.com.", &Value::Null));
}

#[tokio::test]
async fn an_answer_that_outgrows_its_bound_is_cut_and_still_judged() {
    let (_server, upstream, alice) = gavel_tests::gavel_with("[limits]\noutput_bytes = 1000\n").await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let filler = "é".repeat(480);
    upstream.will_say([filler.as_str(), " ", CARD, " ", &filler, "the end"]);
    let turn = alice.chat(&agent).await.say("Tell me").await;
    turn.ended("length");
    assert!(turn.text.starts_with(&filler) && !turn.text.contains("the end"));
    shows_no_card(&turn);
    let record = alice.record(&agent, turn.output["leaf_hash"].as_str().unwrap()).await;
    assert!(record["coverage"]["received"].as_u64().unwrap() <= 1000, "{record}");
}

#[tokio::test]
async fn an_installation_may_allow_no_laxer_mode() {
    let (_server, _upstream, alice) = gavel_tests::gavel_with("[governance]\nminimum_mode = \"enforcing\"\n").await;
    let agent = alice.create_agent(json!({})).await;
    assert_eq!(agent.made["governance_mode"], "enforcing");
    let lax = json!({"governance_mode": "transparent"});
    alice.post("/v1/agents", &lax).await.refused(403, "mode_forbidden");
}
