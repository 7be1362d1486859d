//! A provider that fails: the client learns what happened, the record says so, and the server goes on.

use std::net::TcpListener;

use gavel_tests::{Agent, Script, Turn, Upstream, User, gavel_with, within};
use serde_json::{Value, json};

/// Short enough to be waited for; a loaded machine may still answer in it.
const SHORT_WAITS: &str =
    "[limits]\nupstream_connect_ms = 1000\nupstream_first_byte_ms = 1000\nupstream_idle_ms = 700\n";

/// Checks that the turn failed as it should, is recorded once as failed, and that the next one is answered.
async fn failed(alice: &User, upstream: &Upstream, agent: &Agent, turn: &Turn, code: &str) {
    assert_eq!(turn.error["code"], code, "{:#?}", turn.frames);
    assert_eq!(turn.error["message_id"], turn.answer_id());
    turn.ended("error");
    let mut shape = vec!["governance_result input", "stream_start", "governance_result output", "error", "stream_end"];
    if !turn.text.is_empty() {
        shape.insert(2, "stream_chunk");
    }
    assert_eq!(turn.shape(), shape);
    assert!(!turn.shows("the provider's own words"), "{:#?}", turn.frames);
    let record = alice.record(agent, turn.output["leaf_hash"].as_str().unwrap()).await;
    assert_eq!((&record["outcome"], &record["stage"]), (&json!("error"), &json!("output")));
    assert_eq!(record["coverage"]["released"], turn.text.len());

    upstream.answers(Script::says(["All is well."]));
    let next = alice.chat(agent).await.say("And now?").await;
    assert_eq!(next.ended("stop").text, "All is well.");
    assert_eq!(next.input["seq"], turn.output["seq"].as_u64().unwrap() + 1, "one output record, no more");
    let told = upstream.last_conversation();
    assert!(!told.iter().any(|message| message.starts_with("assistant:")), "what failed is no part of it: {told:?}");
}

async fn after(script: Script, code: &str) -> Turn {
    let (_server, upstream, alice) = gavel_with(SHORT_WAITS).await;
    let agent = alice.starts(json!({})).await;
    upstream.answers(script);
    let turn = alice.chat(&agent).await.say("Hello").await;
    failed(&alice, &upstream, &agent, &turn, code).await;
    turn
}

#[tokio::test]
async fn that_refuses_the_key() {
    for status in [401, 403] {
        after(Script::refuses(status), "provider_unauthorized").await;
    }
}

#[tokio::test]
async fn that_is_rate_limited() {
    let turn = after(Script::refuses(429).header("retry-after", "7"), "provider_rate_limited").await;
    assert_eq!(turn.error["retry_after"], 7);
    let turn = after(Script::refuses(429), "provider_rate_limited").await;
    assert_eq!(turn.error["retry_after"], Value::Null);
}

#[tokio::test]
async fn that_refuses_the_request() {
    after(Script::refuses(400), "provider_refused").await;
    after(Script::refuses(404), "provider_refused").await;
}

#[tokio::test]
async fn that_is_broken() {
    for status in [500, 503] {
        after(Script::refuses(status), "provider_unavailable").await;
    }
    let elsewhere = Script::refuses(302).header("location", "http://169.254.169.254/latest");
    after(elsewhere, "provider_unavailable").await;
}

#[tokio::test]
async fn that_is_broken_for_a_moment_only() {
    let (_server, upstream, alice) = gavel_with("").await;
    let agent = alice.starts(json!({})).await;
    upstream.will(Script::refuses(500));
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert_eq!(turn.ended("stop").text, "Hello there.");
    assert_eq!(upstream.received().len(), 2, "what failed before its first delta is tried again");
}

#[tokio::test]
async fn that_never_answers() {
    after(Script::says_nothing(), "provider_timeout").await;
    // The header comes, and then silence.
    after(Script::stalls_after(Vec::<String>::new()), "provider_timeout").await;
}

#[tokio::test]
async fn that_falls_silent() {
    let turn = after(Script::stalls_after(["Once upon ", "a time"]), "provider_timeout").await;
    assert_eq!(turn.text, "Once upon a time");
}

#[tokio::test]
async fn that_breaks_off() {
    let turn = after(Script::breaks_off_after(["Once upon ", "a time"]), "provider_unavailable").await;
    assert_eq!(turn.text, "Once upon a time");
    after(Script::breaks_off_after(Vec::<String>::new()), "provider_unavailable").await;
}

#[tokio::test]
async fn that_sends_rubbish() {
    let sse = "text/event-stream";
    let rubbish: [(&str, Vec<u8>); 7] = [
        ("text/html", b"<html>It works!</html>".to_vec()),
        ("application/json", b"{".to_vec()),
        ("application/json", b"{\"choices\": 7}".to_vec()),
        (sse, b"data: {\"choices\": [{\"delta\": {\"content\": 7}}]}\n\n".to_vec()),
        (sse, b"data: not json\n\n".to_vec()),
        (sse, vec![0xff; 4096]),
        (sse, Vec::new()),
    ];
    for (content_type, body) in rubbish {
        after(Script::answers(200, content_type, body), "provider_unavailable").await;
    }
}

#[tokio::test]
async fn that_sends_an_event_without_end() {
    let mut event = b"data: ".to_vec();
    event.resize(4 << 20, b'x');
    after(Script::answers(200, "text/event-stream", event), "provider_unavailable").await;
}

#[tokio::test]
async fn that_calls_a_tool_which_it_was_not_given() {
    after(Script::calls_a_tool(), "provider_unavailable").await;
}

#[tokio::test]
async fn that_breaks_off_while_it_is_judged() {
    let (_server, upstream, alice) = gavel_with(SHORT_WAITS).await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    upstream.answers(Script::breaks_off_after(["Well. ", "It is 4111 1111 "]));
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert!(!turn.shows("4111 "), "what was held back stays back: {:#?}", turn.frames);
    failed(&alice, &upstream, &agent, &turn, "provider_unavailable").await;
}

#[tokio::test]
async fn that_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!(
        "[providers.nobody]\nplugin = \"openai\"\nallow_private = true\n\
         config = {{ base_url = \"http://127.0.0.1:{port}/v1\" }}\n"
    );
    let (_server, _upstream, alice) = gavel_with(&nobody).await;
    let agent = alice.starts(json!({"model_provider": "nobody"})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    turn.ended("error");
    assert_eq!(turn.error["code"], "provider_unavailable");
}

#[tokio::test]
async fn that_is_at_a_private_address_without_the_operators_leave() {
    let upstream = Upstream::start().await;
    let private = format!(
        "[providers.private]\nplugin = \"openai\"\nconfig = {{ base_url = \"http://{}/v1\" }}\n",
        upstream.addr()
    );
    let (_server, _mock, alice) = gavel_with(&private).await;
    let agent = alice.starts(json!({"model_provider": "private"})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    turn.ended("error");
    assert_eq!(turn.error["code"], "provider_unavailable");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn that_no_plugin_serves() {
    let (_server, _upstream, alice) = gavel_with("").await;
    let agent = alice.starts(json!({"model_provider": "gemini"})).await;
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say("Hello").await;
    assert_eq!((turn.shape().len(), &turn.error["code"]), (1, &json!("provider_unavailable")));
    chat.is_open().await;
}

#[tokio::test]
async fn several_at_once_do_not_disturb_one_another() {
    let (_server, upstream, alice) = gavel_with("").await;
    let agent = alice.starts(json!({})).await;
    upstream.answers(Script::stalls_after(["Once upon"]));
    let mut stuck = alice.chat(&agent).await;
    stuck.start_saying("Tell me").await;
    stuck.frames_until("stream_chunk").await;
    upstream.answers(Script::says(["Fine."]));
    let mut chats = Vec::new();
    for _ in 0..4 {
        let (alice, agent) = (alice.clone(), agent.clone());
        chats.push(tokio::spawn(async move { alice.chat(&agent).await.say("How are you?").await }));
    }
    for chat in chats {
        assert_eq!(within("a turn beside a stuck one", chat).await.unwrap().ended("stop").text, "Fine.");
    }
}
