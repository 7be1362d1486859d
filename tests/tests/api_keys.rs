//! Keys that open one agent, as far as their scopes say.

use gavel_tests::{Agent, Script, User, gavel};
use serde_json::{Value, json};

/// The story's key in the owner's list.
async fn listed(owner: &User, agent: &Agent) -> Vec<Value> {
    let list = owner.get(&agent.path("/api-keys")).await.expect(200);
    list["api_keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_key_is_shown_once_and_then_recognised_by_its_beginning() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let wish = json!({"name": "ci", "scopes": ["chat", "agent:read"], "expires_at": "2099-01-01T02:00:00+02:00"});
    let made = alice.post(&agent.path("/api-keys"), &wish).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let mut made = made.expect(201);
    let raw = made["raw_key"].as_str().unwrap().to_owned();
    assert!(raw.starts_with("gvk_") && raw.len() == 53, "{raw}");
    assert!(made["key_id"].as_str().unwrap().starts_with("key_"));
    assert_eq!(made["scopes"], json!(["chat", "agent:read"]));
    assert_eq!((&made["name"], &made["expires_at"]), (&json!("ci"), &json!("2099-01-01T00:00:00.000Z")));
    assert_eq!(made["last_used_at"], Value::Null);
    let prefix = made["prefix"].as_str().unwrap().to_owned();
    assert!(prefix.len() <= 12 && raw.starts_with(&prefix), "{prefix}");

    made.as_object_mut().unwrap().remove("raw_key");
    let list = alice.get(&agent.path("/api-keys")).await;
    assert!(!list.text().contains(&raw) && !list.text().contains("raw_key"));
    assert_eq!(list.body, json!({"api_keys": [made]}));
    let kept: Vec<_> = ["gavel.redb", "gavel.redb-journal"].map(|name| server.data_dir().join(name)).into();
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(raw.len()).any(|window| window == raw.as_bytes()), "{}", file.display());
    }
    assert!(!server.said().contains(&raw));
}

#[tokio::test]
async fn a_key_opens_its_own_agent_as_far_as_its_scopes_say() {
    let (_server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let (_, ci) = alice.gives_key(&agent, &["chat", "messages:read"]).await;
    ci.chat(&agent).await.say("Hello").await.ended("stop");
    let mut from_a_browser = ci.try_chat_from_a_browser(&agent).await.ok().unwrap();
    from_a_browser.say("Hello again").await.ended("stop");
    assert_eq!(ci.messages(&agent).await.len(), 4);

    ci.get(&agent.path("")).await.refused(403, "forbidden");
    ci.get("/v1/agents").await.refused(403, "forbidden");
    ci.post("/v1/agents", &json!({})).await.refused(403, "forbidden");
    ci.get(&agent.path("/api-keys")).await.refused(403, "forbidden");
    // Nor does it learn what else there is.
    for path in [other.path("/messages"), "/v1/agents/ocs_01hzzzzzzzzzzzzzzzzzzzzzzz/messages".to_owned()] {
        ci.get(&path).await.refused(403, "forbidden");
    }
    ci.get("/v1/agents/x%ff/messages").await.refused(404, "not_found");
    assert_eq!(ci.try_chat(&other).await.err().unwrap().status, 403);
}

#[tokio::test]
async fn what_is_for_the_owners_eyes_is_not_for_a_keys() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"policies": [{"policy": "pii"}]})).await;
    let (_, ci) = alice.gives_key(&agent, &["chat"]).await;
    let said = "Write to alice@example.org";
    let details = |turn: &gavel_tests::Turn| turn.input["verdicts"][0]["findings"][0].get("detail").cloned();
    let seen_by_owner = alice.chat(&agent).await.say(said).await;
    let seen_by_key = ci.chat(&agent).await.say(said).await;
    assert_eq!(seen_by_key.input["verdicts"][0]["findings"][0]["rule"], "email");
    assert!(details(&seen_by_owner).is_some(), "{}", seen_by_owner.input);
    assert!(details(&seen_by_key).is_none_or(|detail| detail.is_null()), "{}", seen_by_key.input);

    // Another's turn is not a key's to take up.
    let mut chat = ci.chat(&agent).await;
    chat.resume(&seen_by_owner.message_id).await;
    assert_eq!(chat.next_frame().await["code"], "turn_not_found");
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_sockets_close() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (key, ci) = alice.gives_key(&agent, &["chat"]).await;
    let (_, other) = alice.gives_key(&agent, &["chat"]).await;
    let (mut idle, mut busy) = (ci.chat(&agent).await, ci.chat(&agent).await);
    let (mut others, mut owners) = (other.chat(&agent).await, alice.chat(&agent).await);
    let (slow, pace) = Script::says_at_a_pace(["Once upon ", "a time."]);
    upstream.will(slow);
    busy.start_saying("Tell me").await;
    pace.let_go(1);
    busy.frames_until("stream_chunk").await;
    idle.is_open().await;

    let path = agent.path(&format!("/api-keys/{}", key["key_id"].as_str().unwrap()));
    let gone = alice.delete(&path).await;
    assert_eq!((gone.status, gone.bytes.len()), (204, 0));
    assert_eq!(idle.closed().await.0, 4401);
    assert_eq!(busy.closed().await.0, 4401);
    ci.get(&agent.path("/messages")).await.refused(401, "unauthorized");
    assert_eq!(ci.try_chat(&agent).await.err().unwrap().status, 401);
    others.is_open().await;
    owners.is_open().await;
    alice.delete(&path).await.refused(404, "not_found");
    assert_eq!(listed(&alice, &agent).await.len(), 1);

    // The turn goes on, as if its client were gone.
    pace.let_all_go();
    alice.stop(&agent).await;
    assert_eq!(alice.history(&agent).await, ["user: Tell me", "assistant: Once upon a time."]);

    server.kill().await;
    server.start_again().await;
    let ci = server.bearer(ci.token().unwrap());
    ci.get(&agent.path("")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    let seconds = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    let wish = json!({"name": "short", "scopes": ["chat"], "expires_at": rfc3339(seconds)});
    let made = alice.post(&agent.path("/api-keys"), &wish).await.expect(201);
    let ci = server.bearer(made["raw_key"].as_str().unwrap());
    let mut chat = ci.chat(&agent).await;
    chat.is_open().await;
    assert_eq!(chat.closed().await.0, 4401);
    ci.get(&agent.path("/messages")).await.refused(401, "unauthorized");
    assert_eq!(listed(&alice, &agent).await.len(), 1, "its owner still sees it");
}

/// A time of this day, which is all that the story needs: the date is taken from the server's own clock.
fn rfc3339(seconds: u64) -> String {
    gavel::clock::rfc3339_ms(i64::try_from(seconds).unwrap() * 1000)
}

#[tokio::test]
async fn a_keys_use_is_noted() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (key, ci) = alice.gives_key(&agent, &["agent:read"]).await;
    ci.agent(&agent).await;
    let used = gavel_tests::within("a noted use", async {
        loop {
            let keys = listed(&alice, &agent).await;
            if let Some(used) = keys[0]["last_used_at"].as_str() {
                return used.to_owned();
            }
        }
    });
    let used = used.await;
    assert!(used.as_str() >= key["created_at"].as_str().unwrap());
    for _ in 0..5 {
        ci.agent(&agent).await;
    }
    assert_eq!(listed(&alice, &agent).await[0]["last_used_at"], used.as_str(), "once a minute is enough");
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_what_is_wrong() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let path = agent.path("/api-keys");
    let refused = async |wish: Value, pointers: &[&str]| {
        alice.post(&path, &wish).await.points_at(400, "invalid_request", pointers);
    };
    refused(json!({"scopes": ["chat"]}), &[""]).await;
    refused(json!({"name": "a"}), &[""]).await;
    refused(json!({"name": "a", "scopes": "chat"}), &["/scopes"]).await;
    refused(json!({"name": "a", "scopes": ["chat", "agent:write"]}), &["/scopes/1"]).await;
    refused(json!({"name": "a", "scopes": [{"chat": null}]}), &["/scopes/0"]).await;
    refused(json!({"name": "", "scopes": ["chat", "chat"]}), &["/name", "/scopes/1"]).await;
    refused(json!({"name": "a".repeat(201), "scopes": []}), &["/name", "/scopes"]).await;
    refused(json!({"name": "a", "scopes": ["chat"], "expires_at": "2020-01-01T00:00:00Z"}), &["/expires_at"]).await;
    refused(json!({"name": "a", "scopes": ["chat"], "expires_at": "tomorrow"}), &["/expires_at"]).await;
    refused(json!({"name": "a", "scopes": ["chat"], "expires_at": 4_070_908_800_u64}), &["/expires_at"]).await;
    refused(json!({"name": "a", "scopes": ["chat"], "expire_at": null}), &["/expire_at"]).await;
    assert_eq!(listed(&alice, &agent).await, [] as [Value; 0], "nothing was made");
    alice.delete(&agent.path("/api-keys/key_1")).await.refused(404, "not_found");
    alice.delete(&agent.path("/api-keys/key_01hzzzzzzzzzzzzzzzzzzzzzzz")).await.refused(404, "not_found");
}
