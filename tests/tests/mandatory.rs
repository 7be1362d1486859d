//! Policies that the operator binds to every agent: whatever its owner says, they are obeyed.

use gavel_tests::gavel_with;
use serde_json::json;

const CARD: &str = "4111 1111 1111 1111";
const MANDATORY: &str = "[governance]\nmandatory_policies = [{ policy = \"pii\" }]\n";

#[tokio::test]
async fn a_mandatory_policy_is_obeyed_in_transparent_mode_and_without_a_binding() {
    let (_server, upstream, alice) = gavel_with(MANDATORY).await;
    let agent = alice.starts(json!({"governance_mode": "transparent", "policies": []})).await;
    upstream.will_say(["The card is ", "4111 1111 ", "1111 1111", "."]);
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say(&format!("I paid with {CARD}")).await;
    assert_eq!(upstream.last_conversation(), ["user: I paid with [redacted:card]"]);
    assert_eq!(turn.ended("stop").text, "The card is [redacted:card].");
    assert!(!turn.shows(CARD), "{:#?}", turn.frames);
    for result in [&turn.input, &turn.output] {
        assert_eq!((&result["mode"], &result["enforced"]), (&json!("transparent"), &json!(true)));
        assert_eq!(result["verdicts"][0]["policy"], "pii");
    }
    assert!(alice.history(&agent).await.iter().all(|message| !message.contains(CARD)));
}

#[tokio::test]
async fn a_mandatory_policy_judges_the_system_prompt_too() {
    let (_server, upstream, alice) = gavel_with(MANDATORY).await;
    let wish =
        json!({"governance_mode": "transparent", "policies": [], "system_prompt": format!("Their card is {CARD}.")});
    let agent = alice.starts(wish).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert!(upstream.last_conversation().iter().all(|message| !message.contains(CARD)));
}
