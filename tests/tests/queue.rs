//! Several messages on one socket: one turn at a time, in order, and no more than may wait.

use gavel_tests::{Script, gavel};
use serde_json::json;

#[tokio::test]
async fn eight_messages_wait_and_the_ninth_is_refused() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["Slowly ", "but surely."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let first = chat.start_saying("message 0").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;
    let mut waiting = Vec::new();
    for number in 1..=8 {
        waiting.push(chat.start_saying(&format!("message {number}")).await);
    }
    let refused = chat.say("message 9").await;
    assert_eq!((refused.shape().len(), &refused.error["code"]), (1, &json!("too_many_turns")));
    assert_eq!(upstream.received().len(), 1, "those that wait have not begun");

    pace.let_all_go();
    let turn = chat.rest_of_turn(&first, begun).await;
    assert_eq!(turn.ended("stop").text, "Slowly but surely.");
    for id in &waiting {
        let turn = chat.turn(id).await;
        assert_eq!(turn.ended("stop").input["message_id"], json!(id));
    }
    let asked: Vec<_> = alice.history(&agent).await.into_iter().step_by(2).collect();
    let expected: Vec<_> = (0..=8).map(|number| format!("user: message {number}")).collect();
    assert_eq!(asked, expected);
    chat.say("message 10").await.ended("stop");
}

#[tokio::test]
async fn a_message_that_waits_can_be_cancelled() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["Slowly."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let first = chat.start_saying("First").await;
    let begun = chat.frames_until("stream_start").await;
    let second = chat.start_saying("Second").await;
    chat.send(json!({"type": "cancel", "message_id": second})).await;
    let refused = chat.next_frame().await;
    assert_eq!((&refused["type"], &refused["message_id"]), (&json!("error"), &json!(second)));
    pace.let_all_go();
    chat.rest_of_turn(&first, begun).await.ended("stop");
    chat.is_open().await;
    assert_eq!(alice.history(&agent).await, ["user: First", "assistant: Slowly."]);
}

#[tokio::test]
async fn many_clients_are_all_answered() {
    const CLIENTS: usize = 16;
    const MESSAGES: usize = 6;
    let (server, upstream, alice) = gavel().await;
    let agents = [
        alice.starts(json!({"governance_mode": "enforcing"})).await,
        alice.starts(json!({"governance_mode": "transparent"})).await,
    ];
    upstream.answers(Script::says("The card 4111 1111 1111 1111 is an example of one.".split_inclusive(' ')));
    let clients = (0..CLIENTS).map(|client| {
        let (alice, agent) = (alice.clone(), agents[client % 2].clone());
        tokio::spawn(async move {
            let mut chat = alice.chat(&agent).await;
            for number in 0..MESSAGES {
                let turn = chat.say(&format!("client {client}, message {number}")).await;
                let card = turn.ended("stop").text.contains("4111");
                assert_eq!(card, client % 2 == 1, "{}", turn.text);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(upstream.received().len(), CLIENTS * MESSAGES);
    assert_eq!(server.log().head().await.size, (2 * CLIENTS * MESSAGES) as u64);
    for agent in &agents {
        let messages = alice.messages(agent).await;
        assert_eq!(messages.len(), CLIENTS * MESSAGES);
        for pair in messages.chunks(2) {
            assert_eq!((&pair[0]["role"], &pair[1]["role"]), (&json!("user"), &json!("assistant")));
        }
    }
}
