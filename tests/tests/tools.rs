//! Tools: what the model calls and what comes back is judged before it goes on.

use gavel_tests::{Script, User, gavel};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn asked() -> Value {
    json!([{"role": "user", "content": "Pay the bill"}])
}

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"card": {"type": "string"}}});
    json!([{"type": "function", "function": {"name": "pay", "description": "Pays.", "parameters": parameters}}])
}

fn forms() -> [Value; 2] {
    [json!({"tools": tools()}), json!({"tools": tools(), "stream": true})]
}

fn arguments(call: &Value) -> &str {
    call["function"]["arguments"].as_str().unwrap()
}

async fn record(alice: &User, agent: &gavel_tests::Agent, result: &Value) -> Value {
    alice.record(agent, result["leaf_hash"].as_str().unwrap()).await
}

#[tokio::test]
async fn a_call_goes_to_the_client_in_one_spelling_and_its_result_to_the_model() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    for wish in forms() {
        upstream.will(Script::calls([("pay", r#"{ "to": "caf\u00e9", "amount": 1.0 }"#)]));
        let said = alice.completes(&agent, asked(), wish.clone()).await.ended("tool_calls");
        assert_eq!((said.text.as_str(), said.calls.len()), ("", 1));
        let call = &said.calls[0];
        assert_eq!(
            (&call["id"], &call["type"], &call["function"]["name"]),
            (&json!("call_1"), &json!("function"), &json!("pay"))
        );
        assert_eq!(arguments(call), r#"{"amount":1,"to":"café"}"#);
        let judged = said.at("tool_call");
        assert_eq!((&judged["decision"], &judged["message_id"]), (&json!("allow"), &said.at("output")["message_id"]));
        let record = record(&alice, &agent, judged).await;
        assert_eq!((&record["stage"], &record["outcome"]), (&json!("tool_call"), &json!("complete")));

        let mut messages = asked();
        let call = json!({"id": "call_1", "type": "function", "function": call["function"]});
        messages.as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": "call_1", "content": "Paid."}),
        ]);
        upstream.will_say(["Done."]);
        let said = alice.completes(&agent, messages, wish).await.ended("stop");
        assert_eq!((said.text.as_str(), said.results[0]["stage"].as_str()), ("Done.", Some("tool_result")));
        let sent = upstream.received().last().unwrap().body.clone();
        assert_eq!(sent["messages"][1]["tool_calls"][0], call);
        assert_eq!(sent["messages"][2], json!({"role": "tool", "tool_call_id": "call_1", "content": "Paid."}));
        assert_eq!(sent["tools"], tools());
    }
}

#[tokio::test]
async fn each_call_has_a_verdict_and_a_leaf_of_its_own() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let pays = format!(r#"{{"card":"{CARD}"}}"#);
    upstream.answers(Script::calls([("pay", "{}"), ("pay", &pays)]));
    for wish in forms() {
        let said = alice.completes(&agent, asked(), wish).await.ended("tool_calls");
        assert_eq!(said.calls.iter().map(arguments).collect::<Vec<_>>(), ["{}", r#"{"card":"[redacted:card]"}"#]);
        let judged: Vec<_> = said.results.iter().filter(|result| result["stage"] == "tool_call").collect();
        let decisions: Vec<_> = judged.iter().map(|result| &result["decision"]).collect();
        assert_eq!(decisions, ["allow", "redact"]);
        for result in judged {
            record(&alice, &agent, result).await;
        }
    }
}

#[tokio::test]
async fn one_blocked_call_holds_all_of_them_back() {
    let (_server, upstream, alice) = gavel().await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    let pays = format!(r#"{{"card":"{CARD}"}}"#);
    upstream.answers(Script::calls([("pay", "{}"), ("pay", &pays)]));
    for wish in forms() {
        let said = alice.completes(&agent, asked(), wish).await.ended("content_filter");
        assert!(said.calls.is_empty() && !said.shows("1111 "));
        let judged: Vec<_> = said.results.iter().filter(|result| result["stage"] == "tool_call").collect();
        for result in judged {
            let record = record(&alice, &agent, result).await;
            assert_eq!((&record["outcome"], &record["coverage"]["released"]), (&json!("blocked"), &json!(0)));
        }
    }
}

#[tokio::test]
async fn an_edit_that_breaks_the_json_blocks() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    upstream.answers(Script::calls([("pay", r#"{"card":4111111111111111}"#)]));
    for wish in forms() {
        let said = alice.completes(&agent, asked(), wish).await.ended("content_filter");
        assert!(said.calls.is_empty() && !said.shows("4111111111111111"));
        let record = record(&alice, &agent, said.at("tool_call")).await;
        assert_eq!((&record["decision"], &record["outcome"]), (&json!("redact"), &json!("blocked")));
    }
    let call = json!({"id": "c", "function": {"name": "pay", "arguments": r#"{"card":4111111111111111}"#}});
    let messages = json!([
        {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]);
    let asked = upstream.received().len();
    alice.completes(&agent, messages, json!({})).await.refused(400, "content_filter");
    assert_eq!(upstream.received().len(), asked);
}

#[tokio::test]
async fn rubbish_calls_are_the_providers_fault() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    for script in [
        Script::calls([("pay", r#"{"card":"#)]),
        Script::calls([("steal", "{}")]),
        Script::calls(std::iter::repeat_n(("pay", "{}"), 64)),
    ] {
        upstream.answers(script);
        for wish in forms() {
            let said = alice.completes(&agent, asked(), wish).await.refused(502, "provider_unavailable");
            assert!(said.calls.is_empty());
        }
    }
    // Without tools any call is.
    upstream.answers(Script::calls([("pay", "{}")]));
    alice.completes(&agent, asked(), json!({})).await.refused(502, "provider_unavailable");
}

#[tokio::test]
async fn integers_that_json_readers_would_round_stay_whole() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.answers(Script::calls([("pay", r#"{"to":9007199254740993}"#)]));
    let said = alice.completes(&agent, asked(), json!({"tools": tools()})).await.ended("tool_calls");
    assert_eq!(arguments(&said.calls[0]), r#"{"to":9007199254740993}"#);
}

#[tokio::test]
async fn the_demo_calls_a_tool_offline() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"model_provider": "demo"})).await;
    let asked = json!([{"role": "user", "content": "Please pay with the card"}]);
    let said = alice.completes(&agent, asked, json!({"tools": tools()})).await.ended("tool_calls");
    assert_eq!(arguments(&said.calls[0]), r#"{"question":"Please pay with the card"}"#);
}
