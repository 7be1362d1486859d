//! Deleting messages and agents: what is gone, and what stays.

use gavel_tests::{Script, gavel, message_id, within};
use serde_json::{Value, json};

/// Large enough for an opening that lies apart from its leaf.
fn long_secret() -> String {
    format!("The secret is {}", "tulip ".repeat(2000))
}

#[tokio::test]
async fn deleted_messages_are_gone_and_their_proofs_say_nothing_of_them() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let session = alice.agent(&agent).await["session_id"].clone();
    assert_eq!(alice.delete(&agent.path("/messages")).await.expect(200), json!({"cleared": 0}));
    let id = message_id();
    let mut chat = alice.chat(&agent).await;
    chat.say_as(&id, &long_secret()).await;
    let turn = chat.turn(&id).await;
    let short = chat.say("A tulip").await;
    let hashes: Vec<_> = turn.leaf_hashes().into_iter().chain(short.leaf_hashes()).collect();
    let opened = |hash: &str| agent.path(&format!("/proofs/{hash}?opening=content,subject,released"));
    for hash in &hashes {
        assert!(alice.get(&opened(hash)).await.expect(200)["opening"]["content"].is_object());
    }
    let proof = alice.proof(&agent, &hashes[0]).await.expect(200);

    assert_eq!(alice.delete(&agent.path("/messages")).await.expect(200), json!({"cleared": 4}));
    chat.send(json!({"type": "resume", "message_id": id})).await;
    assert_eq!(chat.next_frame().await["code"], "turn_not_found", "what was said is not said again");
    chat.say("What did I say?").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: What did I say?"]);
    for restarted in [false, true] {
        if restarted {
            server.kill().await;
            server.start_again().await;
        }
        let alice = server.admin();
        assert_eq!(alice.agent(&agent).await["session_id"], session, "the session goes on");
        assert_eq!(alice.history(&agent).await[0], "user: What did I say?");
        for hash in &hashes {
            let answer = alice.get(&opened(hash)).await.expect(200);
            assert_eq!(answer["opening"], json!({}), "there is nothing to open it with");
            assert!(answer["proof"]["record"].is_string());
            server.anyone().get(&format!("/verify/proof/{hash}")).await.expect(200);
        }
        let again = alice.proof(&agent, &hashes[0]).await.expect(200);
        assert_eq!(again["proof"]["record"], proof["proof"]["record"], "the record is what it was");
    }
    let alice = server.admin();
    let mut chat = alice.chat(&agent).await;
    chat.say_as(&id, "Something else").await;
    chat.turn(&id).await.ended("stop");
    assert_eq!(upstream.last_conversation().last().unwrap(), "user: Something else", "the id is not known any more");
}

#[tokio::test]
async fn only_the_current_sessions_messages_are_deleted() {
    let (_server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let old = alice.agent(&agent).await["session_id"].as_str().unwrap().to_owned();
    alice.chat(&agent).await.say("Old").await.ended("stop");
    alice.chat(&other).await.say("Another's").await.ended("stop");
    alice.stop(&agent).await;
    alice.post(&agent.path("/start"), &json!({"new_session": true})).await.expect(200);
    alice.chat(&agent).await.say("New").await.ended("stop");
    assert_eq!(alice.delete(&agent.path("/messages")).await.expect(200), json!({"cleared": 2}));
    assert_eq!(alice.messages(&agent).await, Vec::<Value>::new());
    let kept = alice.get(&agent.path(&format!("/messages?session_id={old}"))).await.expect(200);
    assert_eq!(kept["messages"][0]["content"], "Old");
    assert_eq!(alice.messages(&other).await.len(), 2);

    let never = alice.create_agent(json!({})).await;
    assert_eq!(alice.delete(&never.path("/messages")).await.expect(200), json!({"cleared": 0}));
}

#[tokio::test]
async fn of_a_turn_under_way_nothing_is_kept_when_its_messages_are_deleted() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["The tulip ", "is red."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Which tulip?").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;
    assert_eq!(alice.delete(&agent.path("/messages")).await.expect(200), json!({"cleared": 1}));
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, "The tulip is red.", "its reader has it to the end");
    assert_eq!(alice.messages(&agent).await, Vec::<Value>::new());
    for hash in turn.leaf_hashes() {
        let proof = alice.get(&agent.path(&format!("/proofs/{hash}?opening=content"))).await.expect(200);
        assert_eq!(proof["opening"], json!({}), "it is recorded, and not to be opened");
    }
    for message in [id.as_str(), turn.answer_id()] {
        chat.send(json!({"type": "resume", "message_id": message})).await;
        assert_eq!(chat.next_frame().await["code"], "turn_not_found");
    }
    chat.say("And now?").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: And now?"]);
}

#[tokio::test]
async fn a_deleted_agent_is_gone_with_all_it_had_and_the_log_stays() {
    let (mut server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let turn = alice.chat(&agent).await.say(&long_secret()).await;
    alice.post(&agent.path("/checkpoints"), &json!({})).await.expect(201);
    alice.post(&agent.path("/vault"), &json!({"provider": "mock", "api_key": "sk-tulip-0a1b2c3d"})).await.expect(201);
    let key = json!({"name": "reader", "scopes": ["agent:read"]});
    let key = alice.post(&agent.path("/api-keys"), &key).await.expect(201)["raw_key"].as_str().unwrap().to_owned();
    server.bearer(&key).get(&agent.path("")).await.expect(200);
    let (mut idle, mut others) = (alice.chat(&agent).await, alice.chat(&other).await);
    idle.is_open().await;
    let size = server.log().head().await.size;

    let answer = alice.delete(&agent.path("")).await;
    assert_eq!((answer.status, answer.bytes.len()), (204, 0));
    assert_eq!(idle.closed().await, (4404, Vec::new()));
    others.is_open().await;
    for restarted in [false, true] {
        if restarted {
            server.kill().await;
            server.start_again().await;
        }
        let alice = server.admin();
        for path in ["", "/messages", "/checkpoints", "/chat", &format!("/proofs/{}", turn.leaf_hashes()[0])] {
            alice.get(&agent.path(path)).await.refused(404, "not_found");
        }
        assert_eq!(server.bearer(&key).get(&agent.path("")).await.status, 401, "its keys end with it");
        for path in ["/start", "/stop", "/checkpoints"] {
            alice.post(&agent.path(path), &json!({})).await.refused(404, "not_found");
        }
        alice.patch(&agent.path(""), &json!({"agent_name": "x"})).await.refused(404, "not_found");
        alice.delete(&agent.path("/messages")).await.refused(404, "not_found");
        alice.delete(&agent.path("")).await.refused(404, "not_found");
        let listed = alice.get("/v1/agents").await.expect(200)["agents"].clone();
        assert_eq!(
            listed.as_array().unwrap().iter().map(|agent| &agent["agent_id"]).collect::<Vec<_>>(),
            [&json!(other.id)]
        );
        assert_eq!(server.log().head().await.size, size);
        for hash in turn.leaf_hashes() {
            server.anyone().get(&format!("/verify/proof/{hash}")).await.expect(200);
        }
    }
    server.admin().chat(&other).await.say("Still here?").await.ended("stop");
}

#[tokio::test]
async fn a_turn_under_way_ends_before_its_agent_is_deleted() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["One ", "two."]);
    upstream.will(slow);
    let (mut chat, mut other) = (alice.chat(&agent).await, alice.chat(&agent).await);
    let id = chat.start_saying("Count").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;
    let deleting = tokio::spawn({
        let (alice, path) = (alice.clone(), agent.path(""));
        async move { alice.delete(&path).await.status }
    });
    // From the deletion on, every message is refused; before it, one is answered.
    loop {
        let turn = other.say("Me too").await;
        if turn.finish_reason.is_empty() {
            assert_eq!(turn.error["code"], "agent_not_running");
            break;
        }
    }
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, "One two.");
    assert_eq!(chat.closed().await.0, 4404);
    assert_eq!(within("the deletion", deleting).await.unwrap(), 204);
    server.anyone().get(&format!("/verify/proof/{}", turn.output["leaf_hash"].as_str().unwrap())).await.expect(200);
}
