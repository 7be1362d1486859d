//! Checkpoints that an owner makes, and going back to one.

use gavel_tests::{Agent, User, gavel};
use serde_json::{Value, json};

async fn checkpoint(alice: &User, agent: &Agent) -> Value {
    alice.post(&agent.path("/checkpoints"), &json!({})).await.expect(201)
}

fn restore(agent: &Agent, checkpoint: &Value) -> String {
    agent.path(&format!("/checkpoints/{}/restore", checkpoint["checkpoint_id"].as_str().unwrap()))
}

#[tokio::test]
async fn checkpoints_are_made_shown_and_listed_page_by_page() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({"model_provider": "mock"})).await;
    let path = agent.path("/checkpoints");
    assert_eq!(alice.get(&path).await.expect(200), json!({"checkpoints": [], "next_cursor": null}));
    alice.post(&path, &json!({})).await.refused(409, "agent_not_running");

    alice.start(&agent).await;
    let mut chat = alice.chat(&agent).await;
    let mut made = Vec::new();
    for number in 1..=3 {
        chat.say("Hello").await.ended("stop");
        let answer = alice.post_bytes(&path, "", "").await;
        let location = answer.header("location").to_owned();
        let checkpoint = answer.expect(201);
        let members: Vec<_> = checkpoint.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["agent_id", "checkpoint_id", "created_at", "kind", "messages", "session_id"]);
        assert_eq!((&checkpoint["kind"], &checkpoint["messages"]), (&json!("manual"), &json!(2 * number)));
        assert_eq!(location, format!("{path}/{}", checkpoint["checkpoint_id"].as_str().unwrap()));
        assert_eq!(alice.get(&location).await.expect(200), checkpoint);
        made.push(checkpoint);
    }
    made.push(alice.stop(&agent).await["checkpoint"].clone());
    let (mut listed, mut page) = (Vec::new(), format!("{path}?limit=3"));
    loop {
        let answer = alice.get(&page).await.expect(200);
        listed.extend(answer["checkpoints"].as_array().unwrap().clone());
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        page = format!("{path}?limit=3&cursor={cursor}");
    }
    assert_eq!(listed, made, "the newest is the last");

    for query in ["limit=0", "cursor=x", "newest=1"] {
        alice.get(&format!("{path}?{query}")).await.refused(400, "invalid_request");
    }
    alice.post(&path, &json!({"nam": "x"})).await.points_at(400, "invalid_request", &["/nam"]);
    let other = alice.create_agent(json!({})).await;
    let id = made[0]["checkpoint_id"].as_str().unwrap();
    for unknown in ["ckp_01hzzzzzzzzzzzzzzzzzzzzzzz", "ckp_x", id] {
        alice.get(&other.path(&format!("/checkpoints/{unknown}"))).await.refused(404, "not_found");
        alice.post(&other.path(&format!("/checkpoints/{unknown}/restore")), &json!({})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_restored_agent_goes_on_from_its_checkpoint() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("One").await.ended("stop");
    let early = checkpoint(&alice, &agent).await;
    chat.say("Two").await.ended("stop");
    alice.post(&restore(&agent, &early), &json!({})).await.refused(409, "agent_running");
    let late = alice.stop(&agent).await["checkpoint"].clone();

    assert_eq!(alice.post(&restore(&agent, &early), &json!({})).await.expect(200), early);
    assert_eq!(alice.history(&agent).await, ["user: One", "assistant: Hello there."]);
    assert_eq!(alice.stop(&agent).await["checkpoint"], early, "it is the last one now");
    let started = alice.start(&agent).await;
    assert_eq!((&started["session_id"], &started["resumed_from"]), (&early["session_id"], &early["checkpoint_id"]));
    chat.say("Three").await.ended("stop");
    let told = ["user: One", "assistant: Hello there.", "user: Three"];
    assert_eq!(upstream.last_conversation(), told, "what was left behind is not told");
    let branch = alice.stop(&agent).await["checkpoint"].clone();
    assert_eq!(branch["messages"], 4);

    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    alice.post(&restore(&agent, &late), &json!({})).await.expect(200);
    let history = ["user: One", "assistant: Hello there.", "user: Two", "assistant: Hello there."];
    assert_eq!(alice.history(&agent).await, history, "nothing is lost: the later checkpoint has it");
    alice.start(&agent).await;
    alice.chat(&agent).await.say("Four").await.ended("stop");
    let told = ["user: One", "assistant: Hello there.", "user: Two", "assistant: Hello there.", "user: Four"];
    assert_eq!(upstream.last_conversation(), told);
}

#[tokio::test]
async fn a_deletion_wins_over_a_restore() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("One").await.ended("stop");
    let checkpoint = checkpoint(&alice, &agent).await;
    chat.say("Two").await.ended("stop");
    assert_eq!(alice.delete(&agent.path("/messages")).await.expect(200), json!({"cleared": 4}));
    chat.say("Three").await.ended("stop");
    alice.stop(&agent).await;
    alice.post(&restore(&agent, &checkpoint), &json!({})).await.expect(200);
    assert_eq!(alice.messages(&agent).await, Vec::<Value>::new());
    alice.start(&agent).await;
    chat.say("Four").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: Four"]);
}
