//! The OpenAI-compatible endpoint: the same governed turn, without the agent's session.

use futures_util::StreamExt as _;
use gavel_tests::{Completion, Script, gavel, gavel_with, within};
use reqwest::Method;
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

/// The wish for either form of an answer.
fn forms() -> [Value; 2] {
    [json!({}), json!({"stream": true})]
}

#[tokio::test]
async fn a_completion_is_answered_and_its_verdicts_are_in_the_log() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    for wish in forms() {
        let said = alice.completes(&agent, user("Hi"), wish).await.ended("stop");
        assert_eq!(said.text, "Hello there.");
        assert_eq!(said.stages(), ["input", "output"]);
        assert_eq!(said.answer.header("x-gavel-leaf-hash"), said.at("input")["leaf_hash"]);
        for result in &said.results {
            assert_eq!((&result["decision"], &result["enforced"]), (&json!("allow"), &json!(false)));
            alice.proof(&agent, result["leaf_hash"].as_str().unwrap()).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_whole_answer_has_openais_shape() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let said = alice.completes(&agent, user("Hi"), json!({})).await.ended("stop");
    let body = &said.answer.body;
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!(agent.id)));
    assert!(body["created"].as_i64().is_some_and(|at| at > 1_700_000_000));
    assert_eq!(body["id"], said.at("output")["message_id"]);
    let choice = json!({
        "index": 0, "logprobs": null, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello there.", "refusal": null},
    });
    assert_eq!(body["choices"], json!([choice]));
    assert_eq!(said.usage, json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}));
}

#[tokio::test]
async fn a_stream_has_openais_shape() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let wish = json!({"stream": true, "stream_options": {"include_usage": true}});
    let said = alice.completes(&agent, user("Hi"), wish).await.ended("stop");
    assert!(said.answer.header("content-type").starts_with("text/event-stream"));
    assert!(said.answer.text().ends_with("data: [DONE]\n\n"));
    let delta = |index: usize| said.chunks[index]["choices"][0]["delta"].clone();
    assert_eq!(delta(0), json!({"role": "assistant", "content": ""}));
    assert!(delta(1)["content"].is_string());
    let [.., finish, usage] = &said.chunks[..] else { panic!("{:?}", said.chunks) };
    assert_eq!((&finish["choices"][0]["finish_reason"], &finish["usage"]), (&json!("stop"), &Value::Null));
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(18)));
    assert!(usage["governance"]["results"].is_array(), "the last chunk has the verdicts");
    for chunk in &said.chunks {
        assert_eq!((&chunk["object"], &chunk["id"]), (&json!("chat.completion.chunk"), &said.chunks[0]["id"]));
    }

    let said = alice.completes(&agent, user("Hi"), json!({"stream": true})).await.ended("stop");
    assert_eq!(said.usage, Value::Null);
    assert!(said.chunks.last().unwrap()["governance"]["results"].is_array());
}

#[tokio::test]
async fn a_blocked_input_never_reaches_the_provider() {
    let (_server, upstream, alice) = gavel().await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    for wish in forms() {
        let said = alice.completes(&agent, user(CARD), wish).await.refused(400, "content_filter");
        assert_eq!(said.stages(), ["input"]);
        assert_eq!(said.results[0]["reason"]["rule"], "card");
        assert_eq!(said.answer.header("x-gavel-leaf-hash"), said.results[0]["leaf_hash"]);
        let record = alice.record(&agent, said.answer.header("x-gavel-leaf-hash")).await;
        assert_eq!((&record["outcome"], &record["coverage"]["released"]), (&json!("blocked"), &json!(0)));
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_blocked_answer_ends_with_content_filter() {
    let (_server, upstream, alice) = gavel().await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    upstream.answers(Script::says(["Your card is ", "4111 1111", " 1111 1111."]));
    for wish in forms() {
        let said = alice.completes(&agent, user("Which card?"), wish).await.ended("content_filter");
        assert!("Your card is ".starts_with(&said.text), "{}", said.text);
        assert_eq!((&said.at("output")["decision"], said.shows("1111 ")), (&json!("block"), false));
    }
}

#[tokio::test]
async fn what_is_redacted_goes_on_redacted() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    upstream.answers(Script::says(["It is ", "4111 1111", " 1111 1111."]));
    for wish in forms() {
        let said = alice.completes(&agent, user(&format!("Is it {CARD}?")), wish).await.ended("stop");
        assert_eq!(said.text, "It is [redacted:card].");
        assert_eq!(upstream.last_conversation(), ["user: Is it [redacted:card]?"]);
        assert!(said.results.iter().all(|result| result["enforced"] == json!(true)));
    }
}

#[tokio::test]
async fn the_agents_session_is_neither_read_nor_written() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"system_prompt": "Be brief."})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("Remember me").await.ended("stop");
    let messages = json!([
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "One, "}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "Three?"},
        {"role": "user", "content": "Yes"},
    ]);
    let said = alice.completes(&agent, messages, json!({})).await.ended("stop");
    let told = ["system: Be brief.", "system: Be kind.", "user: One, two", "assistant: Three?", "user: Yes"];
    assert_eq!(upstream.last_conversation(), told);
    assert_eq!(alice.history(&agent).await, ["user: Remember me", "assistant: Hello there."]);
    chat.say("Still there?").await.ended("stop");
    let expected = ["system: Be brief.", "user: Remember me", "assistant: Hello there.", "user: Still there?"];
    assert_eq!(upstream.last_conversation(), expected);

    // Its turn is in the log under a session of its own, of which no text is kept but in the openings.
    let record = alice.record(&agent, said.answer.header("x-gavel-leaf-hash")).await;
    let current = alice.agent(&agent).await["session_id"].clone();
    assert_ne!(record["session"], current);
    let path = agent.path(&format!("/messages?session_id={}", record["session"].as_str().unwrap()));
    let kept = alice.get(&path).await.expect(200);
    assert!(kept["messages"].as_array().unwrap().iter().all(|message| message["content"] == ""), "{kept}");
}

#[tokio::test]
async fn earlier_parts_are_judged_and_sealed_once() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let messages = json!([
        {"role": "system", "content": "You serve."},
        {"role": "user", "content": CARD},
        {"role": "assistant", "content": format!("Noted: {CARD}")},
        {"role": "user", "content": "Go on"},
    ]);
    let first = alice.completes(&agent, messages.clone(), json!({})).await.ended("stop");
    assert_eq!(first.stages(), ["input", "input", "input", "output", "output"]);
    assert_eq!(first.results[0]["leaf_hash"], first.answer.header("x-gavel-leaf-hash"));
    let told = ["system: You serve.", "user: [redacted:card]", "assistant: Noted: [redacted:card]", "user: Go on"];
    assert_eq!(upstream.last_conversation(), told);

    let again = alice.completes(&agent, messages, json!({})).await.ended("stop");
    assert_eq!(again.stages(), ["input", "output"]);
    assert_eq!(upstream.last_conversation(), told);
    let seqs = |said: &Completion| said.results.iter().filter_map(|result| result["seq"].as_u64()).collect::<Vec<_>>();
    assert_eq!((seqs(&first), seqs(&again)), (vec![3, 0, 1, 2, 4], vec![5, 6]));
}

#[tokio::test]
async fn a_blocked_earlier_part_refuses_the_request_each_time_with_its_reason() {
    let (_server, upstream, alice) = gavel().await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    let messages = json!([
        {"role": "user", "content": CARD}, {"role": "assistant", "content": "Hm."}, {"role": "user", "content": "Well?"},
    ]);
    for wish in forms() {
        let said = alice.completes(&agent, messages.clone(), wish).await.refused(400, "content_filter");
        let blocked: Vec<_> = said.results.iter().filter(|result| result["decision"] == "block").collect();
        assert_eq!(blocked.len(), 1);
        assert_eq!((&blocked[0]["stage"], &blocked[0]["reason"]["rule"]), (&json!("input"), &json!("card")));
        for result in &said.results {
            alice.proof(&agent, result["leaf_hash"].as_str().unwrap()).await.expect(200);
        }
    }
    assert!(upstream.received().is_empty());
    alice.completes(&agent, user("Hello"), json!({})).await.ended("stop");
}

#[tokio::test]
async fn options_reach_the_provider_and_only_those() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"model": "the-model"})).await;
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let wish = json!({
        "temperature": 0.5, "top_p": 0.25, "max_completion_tokens": 9, "stop": ["END"], "seed": 7, "user": "ann",
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "logit_bias": {"50": -100.0}, "reasoning_effort": "low",
        "service_tier": "auto", "store": true, "metadata": {"a": "b"}, "n": 1, "logprobs": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema": schema}},
    });
    alice.completes(&agent, user("Who?"), wish).await.ended("stop");
    let sent = &upstream.received()[0].body;
    for (name, value) in [
        ("model", json!("the-model")),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.25)),
        ("max_tokens", json!(9)),
        ("stop", json!(["END"])),
        ("seed", json!(7)),
        ("user", json!("ann")),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(-0.5)),
        ("logit_bias", json!({"50": -100.0})),
        ("reasoning_effort", json!("low")),
        ("service_tier", json!("auto")),
    ] {
        assert_eq!(sent[name], value, "{name} in {sent}");
    }
    let format = json!({"name": "person", "strict": true, "schema": schema});
    assert_eq!(sent["response_format"], json!({"type": "json_schema", "json_schema": format}));
    for absent in ["store", "metadata", "n", "logprobs"] {
        assert!(sent.get(absent).is_none(), "{absent} in {sent}");
    }
}

#[tokio::test]
async fn what_would_go_around_the_gate_is_refused() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let refused = [
        ("n", json!(2), "n"),
        ("logprobs", json!(true), "logprobs"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("modalities", json!(["text", "audio"]), "modalities"),
        ("audio", json!({"voice": "a"}), "audio"),
        ("prediction", json!({"type": "content", "content": "x"}), "prediction"),
        ("functions", json!([]), "functions"),
        ("web_search_options", json!({}), "web_search_options"),
        ("temperature", json!(3), "temperature"),
        ("top_p", json!(-0.1), "top_p"),
        ("max_tokens", json!(0), "max_tokens"),
        ("stop", json!(["a", "b", "c", "d", "e"]), "stop"),
        ("logit_bias", json!({"a card": 1}), "logit_bias"),
        ("user", json!("x".repeat(257)), "user"),
        ("tools", json!([{"type": "custom", "custom": {"name": "a"}}]), "tools[0]"),
        ("tools", json!([{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name"),
        ("tool_choice", json!("required"), "tool_choice"),
        ("response_format", json!({"type": "yaml"}), "response_format.type"),
        ("messages", json!([]), "messages"),
        ("messages", json!([{"role": "assistant", "content": "x"}]), "messages"),
        ("messages", json!([{"role": "user"}]), "messages[0].content"),
        ("messages", json!([{"role": "tool", "tool_call_id": "x", "content": "x"}]), "messages[0].tool_call_id"),
        ("messages", json!([{"role": "user", "content": 7}]), "messages[0].content"),
    ];
    for (field, value, param) in refused {
        for stream in [false, true] {
            let wish = json!({field: value, "stream": stream});
            let said = alice.completes(&agent, user("Hi"), wish.clone()).await.refused(400, "invalid_request");
            assert_eq!(said.error["param"], param, "{wish}: {}", said.error);
        }
    }
    let typo = alice.completes(&agent, user("Hi"), json!({"temprature": 1})).await.refused(400, "invalid_request");
    assert!(typo.error["message"].as_str().unwrap().contains("temprature"));
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]);
    alice.completes(&agent, image, json!({})).await.refused(400, "unjudged_content");
    let large = user(&"x".repeat(9 << 20));
    alice.completes(&agent, large, json!({})).await.refused(413, "payload_too_large");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn whoever_is_refused_reads_it_in_openais_shape() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let body = json!({"model": agent.id, "messages": user("Hi")});
    server.anyone().asks_to_complete(&body).await.refused(401, "unauthorized");
    server.bearer("gvu_nonsense").asks_to_complete(&body).await.refused(401, "unauthorized");
    let none = alice.asks_to_complete(&json!({"model": "gpt-4o", "messages": user("Hi")})).await;
    assert_eq!(none.refused(404, "model_not_found").error["param"], "model");
    alice.asks_to_complete(&json!({"messages": user("Hi")})).await.refused(404, "model_not_found");

    let models = alice.get("/v1/models").await.expect(200);
    assert_eq!(models["object"], "list");
    let model = &models["data"][0];
    assert_eq!(
        (&model["id"], &model["object"], &model["owned_by"]),
        (&json!(agent.id), &json!("model"), &json!("gavel"))
    );
    assert_eq!(&alice.get(&format!("/v1/models/{}", agent.id)).await.expect(200), model);
    assert_eq!(server.anyone().get("/v1/models").await.body["error"]["code"], "unauthorized");
    assert_eq!(alice.get("/v1/models/none").await.body["error"]["code"], "model_not_found");

    alice.stop(&agent).await;
    let stopped = alice.asks_to_complete(&body).await.refused(409, "agent_not_running");
    assert_eq!(stopped.answer.header("x-should-retry"), "false");
    let method = alice.send(alice.request(Method::DELETE, "/v1/chat/completions")).await;
    assert_eq!((method.status, &method.body["error"]["code"]), (405, &json!("method_not_allowed")));
}

#[tokio::test]
async fn an_api_key_speaks_with_its_agent_whatever_the_model_is_called() {
    let (_server, upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let (made, key) = alice.gives_key(&agent, &["chat"]).await;
    for body in [json!({}), json!({"model": "gpt-4o"}), json!({"model": other.id})] {
        let mut body = body;
        body["messages"] = user("Hi");
        let said = key.asks_to_complete(&body).await.ended("stop");
        assert_eq!(said.answer.body["model"], agent.id);
        assert!(said.at("input")["proof_url"].as_str().unwrap().contains(&agent.id));
    }
    let models = key.get("/v1/models").await.expect(200);
    assert_eq!((&models["data"][0]["id"], models["data"].as_array().unwrap().len()), (&json!(agent.id), 1));
    let (_, reader) = alice.gives_key(&agent, &["messages:read"]).await;
    reader.asks_to_complete(&json!({"messages": user("Hi")})).await.refused(403, "forbidden");

    // A key that is taken away ends what was asked with it.
    upstream.will(Script::stalls_after(["One "]));
    let asked = upstream.received().len();
    let waiting = tokio::spawn(async move { key.asks_to_complete(&json!({"messages": user("Count")})).await });
    upstream.has_received(asked + 1).await;
    alice.delete(&agent.path(&format!("/api-keys/{}", made["key_id"].as_str().unwrap()))).await.expect(204);
    within("the end", waiting).await.unwrap().refused(401, "unauthorized");
    upstream.was_hung_up_on(1).await;
}

#[tokio::test]
async fn a_provider_that_fails_has_a_status_as_long_as_nothing_was_sent() {
    let (_server, upstream, alice) = gavel_with("[limits]\nupstream_first_byte_ms = 1000\n").await;
    let agent = alice.starts(json!({})).await;
    let fails = [
        (Script::refuses(401), 502, "provider_unauthorized"),
        (Script::refuses(429).header("retry-after", "7"), 429, "provider_rate_limited"),
        (Script::refuses(400), 400, "provider_refused"),
        (Script::answers(200, "text/html", "<html>"), 502, "provider_unavailable"),
        (Script::says_nothing(), 504, "provider_timeout"),
    ];
    for (script, status, code) in fails {
        for wish in forms() {
            upstream.answers(script.clone());
            let said = alice.completes(&agent, user("Hi"), wish).await.refused(status, code);
            assert_eq!(said.stages(), ["input", "output"], "what happened is in the log");
            assert!(!said.shows("the provider's own words"));
            if status == 429 {
                assert_eq!(said.answer.header("retry-after"), "7");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_and_ends() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.answers(Script::breaks_off_after(["Once upon ", "a time"]));
    let said = alice.completes(&agent, user("Hi"), json!({"stream": true})).await;
    assert_eq!((said.answer.status, said.text.as_str()), (200, "Once upon a time"));
    assert_eq!(said.error["code"], "provider_unavailable");
    assert!(!said.answer.text().contains("[DONE]"));
    alice.completes(&agent, user("Hi"), json!({})).await.refused(502, "provider_unavailable");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_turn() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (script, pace) = Script::says_at_a_pace(["One ", "two ", "three"]);
    upstream.will(script);
    let body = json!({"model": agent.id, "messages": user("Count"), "stream": true});
    let request = alice.request(Method::POST, "/v1/chat/completions").json(&body);
    let sending = tokio::spawn(request.send());
    upstream.has_received(1).await;
    pace.let_go(1);
    let response = within("the head", sending).await.unwrap().unwrap();
    let mut events = response.bytes_stream();
    within("the first event", events.next()).await.unwrap().unwrap();
    drop(events);
    upstream.was_hung_up_on(1).await;

    upstream.will(Script::stalls_after(["One "]));
    let body = json!({"model": agent.id, "messages": user("Count")});
    let waiting = tokio::spawn(alice.request(Method::POST, "/v1/chat/completions").json(&body).send());
    upstream.has_received(2).await;
    waiting.abort();
    upstream.was_hung_up_on(2).await;
}

#[tokio::test]
async fn a_crash_leaves_no_completion_without_its_output_record() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (script, pace) = Script::says_at_a_pace(["One ", "two"]);
    upstream.will(script);
    let body = json!({"model": agent.id, "messages": user("Count"), "stream": true});
    let sending = tokio::spawn(alice.request(Method::POST, "/v1/chat/completions").json(&body).send());
    upstream.has_received(1).await;
    pace.let_go(1);
    within("the head", sending).await.unwrap().unwrap();
    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    assert_eq!(server.log().head().await.size, 2);
    let next = alice.completes(&agent, user("Again"), json!({})).await.ended("stop");
    assert_eq!(next.at("input")["seq"], 2);
}

#[tokio::test]
async fn thinking_is_shown_as_it_is_in_a_chat() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    upstream.answers(Script::thinks(["It is ", CARD], ["I know ", "it."]));
    for wish in forms() {
        let said = alice.completes(&agent, user("Which?"), wish).await.ended("stop");
        assert_eq!((said.thinking.as_str(), said.text.as_str()), ("It is [redacted:card]", "I know it."));
        assert_eq!(said.stages(), ["input", "reasoning", "output"]);
    }
}
