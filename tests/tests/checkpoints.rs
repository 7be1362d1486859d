//! Start, stop, and what is kept between them.

use gavel_tests::{Script, gavel, message_id};
use serde_json::{Value, json};

#[tokio::test]
async fn an_agent_starts_once_and_goes_on_where_it_stopped() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({"model_provider": "mock"})).await;
    let first = alice.start(&agent).await;
    let session = first["session_id"].as_str().unwrap().to_owned();
    assert!(session.starts_with("ses_"));
    let running = json!({"agent_id": agent.id, "state": "running", "session_id": session, "resumed_from": null});
    assert_eq!(first, running);
    assert_eq!(alice.start(&agent).await, running, "a running agent answers the same, unchanged");
    assert_eq!(alice.agent(&agent).await["state"], "running");
    assert_eq!(alice.agent(&agent).await["session_id"], json!(session));

    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let stopped = alice.stop(&agent).await;
    let checkpoint = stopped["checkpoint"].clone();
    assert_eq!((&stopped["agent_id"], &stopped["state"]), (&json!(agent.id), &json!("stopped")));
    let members: Vec<_> = checkpoint.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["agent_id", "checkpoint_id", "created_at", "kind", "messages", "session_id"]);
    assert!(checkpoint["checkpoint_id"].as_str().unwrap().starts_with("ckp_"));
    assert_eq!((&checkpoint["kind"], &checkpoint["messages"]), (&json!("automatic"), &json!(2)));
    assert_eq!(checkpoint["session_id"], json!(session));
    assert_eq!(alice.stop(&agent).await, stopped, "a stopped agent answers its last checkpoint");
    assert_eq!(alice.agent(&agent).await["state"], "stopped");

    let again = alice.start(&agent).await;
    assert_eq!(again["session_id"], json!(session));
    assert_eq!(again["resumed_from"], checkpoint["checkpoint_id"]);
    assert_eq!(alice.history(&agent).await, ["user: Hello", "assistant: Hello there."]);
}

#[tokio::test]
async fn a_new_session_begins_with_nothing_and_the_old_one_stays() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let old = alice.agent(&agent).await["session_id"].as_str().unwrap().to_owned();
    alice.chat(&agent).await.say("Remember me").await.ended("stop");
    alice.stop(&agent).await;
    let started = alice.post(&agent.path("/start"), &json!({"new_session": true})).await.expect(200);
    assert_ne!(started["session_id"], json!(old));
    assert_eq!(alice.history(&agent).await, Vec::<String>::new());
    alice.chat(&agent).await.say("Who am I?").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: Who am I?"]);
    let kept = alice.get(&agent.path(&format!("/messages?session_id={old}"))).await.expect(200);
    assert_eq!(kept["messages"][0]["content"], "Remember me");
    alice.post(&agent.path("/start"), &json!({"new_sesion": true})).await.points_at(
        400,
        "invalid_request",
        &["/new_sesion"],
    );
}

#[tokio::test]
async fn messages_come_page_by_page_and_of_ones_own_sessions() {
    let (_server, upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let mut chat = alice.chat(&agent).await;
    for number in 0..3 {
        upstream.will_say([format!("answer {number}")]);
        chat.say(&format!("question {number}")).await.ended("stop");
    }
    let mut contents = Vec::new();
    let mut path = agent.path("/messages?limit=4");
    loop {
        let page = alice.get(&path).await.expect(200);
        contents.extend(page["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = agent.path(&format!("/messages?limit=4&cursor={cursor}"));
    }
    let all = ["question 0", "answer 0", "question 1", "answer 1", "question 2", "answer 2"];
    assert_eq!(contents, all);

    let session = alice.agent(&agent).await["session_id"].as_str().unwrap().to_owned();
    let anothers = other.path(&format!("/messages?session_id={session}"));
    alice.get(&anothers).await.refused(404, "not_found");
    alice.get(&agent.path("/messages?session_id=ses_x")).await.refused(400, "invalid_request");
    alice.get(&agent.path("/messages?limit=201")).await.refused(400, "invalid_request");
    let unknown = agent.path("/messages?session_id=ses_01hzzzzzzzzzzzzzzzzzzzzzzz");
    alice.get(&unknown).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_stopped_agent_takes_no_chat() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({"model_provider": "mock"})).await;
    assert_eq!(alice.messages(&agent).await, Vec::<Value>::new());
    alice.post(&agent.path("/stop"), &json!({})).await.refused(409, "agent_not_running");
    alice.try_chat(&agent).await.err().unwrap().refused(409, "agent_not_running");

    alice.start(&agent).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("Hello").await.ended("stop");
    alice.stop(&agent).await;
    alice.try_chat(&agent).await.err().unwrap().refused(409, "agent_not_running");
    let refused = chat.say("Are you there?").await;
    assert_eq!(refused.shape(), ["error"]);
    assert_eq!(refused.error["code"], "agent_not_running");
    chat.is_open().await;
    assert_eq!(upstream.received().len(), 1);

    alice.start(&agent).await;
    chat.say("And now?").await.ended("stop");
}

#[tokio::test]
async fn a_stop_waits_for_the_turn_under_way_and_takes_no_other() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["One ", "two."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let mut other = alice.chat(&agent).await;
    let id = chat.start_saying("Count").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;

    let stopping = tokio::spawn({
        let (alice, agent) = (alice.clone(), agent.clone());
        async move { alice.stop(&agent).await }
    });
    // From the stop on, every message is refused; before it, one is answered.
    loop {
        let turn = other.say("Me too").await;
        if turn.finish_reason.is_empty() {
            assert_eq!(turn.error["code"], "agent_not_running");
            break;
        }
    }
    assert!(!stopping.is_finished(), "the stop waits for the turn under way");
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, "One two.");
    let checkpoint = stopping.await.unwrap()["checkpoint"].clone();
    assert_eq!(checkpoint["messages"], alice.messages(&agent).await.len());
    assert_eq!(alice.history(&agent).await[..2], ["user: Count", "assistant: One two."]);
}

#[tokio::test]
async fn what_an_agent_was_lasts_over_a_restart() {
    let (mut server, upstream, alice) = gavel().await;
    let running = alice.starts(json!({"system_prompt": "Be kind.", "labels": {"a": "b"}})).await;
    let stopped = alice.starts(json!({})).await;
    let id = message_id();
    let mut chat = alice.chat(&running).await;
    chat.say_as(&id, "Hello").await;
    let told = chat.turn(&id).await;
    alice.stop(&stopped).await;
    let before = [alice.agent(&running).await, alice.agent(&stopped).await];
    let messages = alice.messages(&running).await;
    let key = server.log().key_text().await;

    server.ask_to_stop();
    assert!(server.ended().await.success());
    server.start_again().await;
    let alice = server.admin();
    assert_eq!([alice.agent(&running).await, alice.agent(&stopped).await], before);
    assert_eq!(alice.messages(&running).await, messages);
    assert_eq!(server.log().key_text().await, key);
    for hash in told.leaf_hashes() {
        alice.proof(&running, &hash).await.expect(200);
    }

    let mut chat = alice.chat(&running).await;
    chat.say_as(&id, "Hello").await;
    let replayed = chat.turn(&id).await;
    assert_eq!((&replayed.text, &replayed.finish_reason), (&told.text, &told.finish_reason));
    assert_eq!(upstream.received().len(), 1, "the same message is not answered twice");
    chat.say("Once more").await.ended("stop");
    let expected = ["system: Be kind.", "user: Hello", "assistant: Hello there.", "user: Once more"];
    assert_eq!(upstream.last_conversation(), expected);
}
