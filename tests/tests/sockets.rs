//! The WebSocket's edges: what may be sent, what closes it, and coming back to a turn.

use gavel_tests::{Heard, Script, gavel, gavel_with, message_id};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// A small bound, so that its edges are quickly reached.
const SMALL: &str = "[limits]\nmessage_bytes = 1000\n";
/// The largest frame under that bound: 8 × `message_bytes` + 4 KiB.
const LARGEST_FRAME: usize = 8 * 1000 + 4096;

#[tokio::test]
async fn a_ping_is_answered() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    chat.is_open().await;
    chat.send_raw(Message::Ping("there?".into())).await;
    chat.is_open().await;
}

#[tokio::test]
async fn what_is_not_understood_is_said_and_the_socket_stays_open() {
    let (_server, upstream, alice) = gavel_with(SMALL).await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    let deep = "[".repeat(5000);
    let refused = [
        "",
        "hello",
        "{",
        "null",
        "[]",
        r#"["ping"]"#,
        "7",
        deep.as_str(),
        r#"{"type":"shout"}"#,
        r#"{"content":"hi"}"#,
        r#"{"type":"message"}"#,
        r#"{"type":"message","content":7}"#,
        r#"{"type":"message","content":"hi","contents":"hi"}"#,
        r#"{"type":"message","content":"hi","message_id":"msg_1"}"#,
        r#"{"type":"message","content":"hi","message_id":"ses_01hzzzzzzzzzzzzzzzzzzzzzzz"}"#,
        r#"{"type":"resume"}"#,
        r#"{"type":"ping","type":"ping"}"#,
    ];
    for frame in refused {
        chat.send_raw(Message::text(frame)).await;
        let error = chat.next_frame().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("invalid_request")), "{frame}");
        assert!(error["message"].is_string());
        chat.is_open().await;
    }
    assert!(upstream.received().is_empty());
    chat.say("Hello").await.ended("stop");
}

#[tokio::test]
async fn a_message_may_be_as_large_as_its_bound_and_no_larger() {
    let (_server, upstream, alice) = gavel_with(SMALL).await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    let largest = format!("{}é", "x".repeat(998));
    chat.say(&largest).await.ended("stop");
    assert_eq!(upstream.last_conversation(), [format!("user: {largest}")]);
    // Written with as many escapes as JSON allows, it is still the same message.
    let (id, escaped) = (message_id(), "\\u0078".repeat(1000));
    chat.send_raw(Message::text(format!(r#"{{"type":"message","message_id":"{id}","content":"{escaped}"}}"#))).await;
    chat.turn(&id).await.ended("stop");

    for large in [format!("{largest}x"), "x".repeat(5000)] {
        let turn = chat.say(&large).await;
        assert_eq!((turn.shape().len(), &turn.error["code"]), (1, &json!("message_too_large")));
        chat.is_open().await;
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn what_no_chat_may_carry_closes_the_socket() {
    let (_server, _upstream, alice) = gavel_with(SMALL).await;
    let agent = alice.starts(json!({})).await;
    let text = |bytes: &[u8]| Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(Data::Text), true));
    let frame_of = |bytes: usize| Message::text(format!("\"{}\"", "x".repeat(bytes - 2)));
    let closing = [
        (Message::binary(vec![1, 2, 3]), 1003),
        (text(b"{\"type\":\"ping\xff\"}"), 1007),
        (text(b"\xc3"), 1007),
        (frame_of(LARGEST_FRAME + 1), 1009),
        (frame_of(4 * LARGEST_FRAME), 1009),
    ];
    for (message, code) in closing {
        let mut chat = alice.chat(&agent).await;
        chat.send_raw(message).await;
        assert_eq!(chat.closed().await, (code, Vec::new()));
    }
    let mut chat = alice.chat(&agent).await;
    chat.send_raw(frame_of(LARGEST_FRAME)).await;
    assert_eq!(chat.next_frame().await["code"], "invalid_request");
    chat.say("Hello").await.ended("stop");
}

#[tokio::test]
async fn a_turn_is_cancelled() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    for (times, named) in [(1, None), (2, Some("input")), (3, Some("answer"))] {
        upstream.will(Script::stalls_after(["Once upon ", "a time"]));
        let id = chat.start_saying("Tell me").await;
        let begun = chat.frames_until("stream_chunk").await;
        let answer = begun.iter().find(|frame| frame["type"] == "stream_start").unwrap()["message_id"].clone();
        let mut cancel = json!({"type": "cancel"});
        match named {
            Some("input") => cancel["message_id"] = json!(id),
            Some(_) => cancel["message_id"] = answer,
            None => {}
        }
        chat.send(cancel).await;
        let turn = chat.rest_of_turn(&id, begun).await;
        turn.ended("cancelled");
        assert_eq!(turn.error, Value::Null);
        let record = alice.record(&agent, turn.output["leaf_hash"].as_str().unwrap()).await;
        assert_eq!(
            (&record["outcome"], &record["coverage"]["released"]),
            (&json!("cancelled"), &json!(turn.text.len()))
        );
        upstream.was_hung_up_on(times).await;
    }
    chat.say("Enough").await.ended("stop");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_cancelled_or_resumed() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("Hello").await.ended("stop");
    let unknown = message_id();
    for frame in [
        json!({"type": "cancel"}),
        json!({"type": "cancel", "message_id": unknown}),
        json!({"type": "resume", "message_id": unknown}),
    ] {
        chat.send(frame).await;
        let error = chat.next_frame().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("turn_not_found")));
    }
    chat.is_open().await;
}

#[tokio::test]
async fn the_same_message_gets_the_same_outcome() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    let first = chat.say("Hello").await;
    let id = first.message_id.clone();
    let size = server.log().head().await.size;
    let mut other = alice.chat(&agent).await;
    for chat in [&mut chat, &mut other] {
        chat.say_as(&id, "Hello").await;
        let again = chat.turn(&id).await;
        assert_eq!((&again.input, &again.output, again.answer_id()), (&first.input, &first.output, first.answer_id()));
        assert_eq!((again.shape(), &again.text, &again.usage), (first.shape(), &first.text, &first.usage));
    }
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(server.log().head().await.size, size);
    assert_eq!(alice.messages(&agent).await.len(), 2);
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_again() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    for by_answer in [false, true] {
        let (slow, pace) = Script::says_at_a_pace(["Once upon ", "a time ", "there was."]);
        upstream.will(slow);
        let mut lost = alice.chat(&agent).await;
        let id = lost.start_saying("Tell me").await;
        pace.let_go(1);
        let begun = lost.frames_until("stream_chunk").await;
        lost.vanish();
        pace.let_go(1);

        let mut chat = alice.chat(&agent).await;
        let answer = begun.iter().find(|frame| frame["type"] == "stream_start").unwrap()["message_id"].clone();
        chat.resume(if by_answer { answer.as_str().unwrap() } else { &id }).await;
        pace.let_all_go();
        let turn = chat.turn(&id).await;
        assert_eq!(turn.ended("stop").text, "Once upon a time there was.");
        assert_eq!(turn.frames[..2], begun[..2], "from the start");
        chat.resume(&id).await;
        assert_eq!(chat.turn(&id).await.text, turn.text, "and again, the turn being over");
        chat.say("Thank you").await.ended("stop");
    }
}

#[tokio::test]
async fn two_sockets_chat_with_one_agent_at_once() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["Slowly ", "but surely."]);
    upstream.will(slow);
    let (mut one, mut two) = (alice.chat(&agent).await, alice.chat(&agent).await);
    let id = one.start_saying("Slow?").await;
    pace.let_go(1);
    let begun = one.frames_until("stream_chunk").await;
    upstream.will_say(["At once."]);
    let quick = two.say("Quick?").await;
    assert_eq!(quick.ended("stop").text, "At once.");
    assert_eq!(upstream.last_conversation(), ["user: Quick?"], "turns under way do not see each other");
    pace.let_all_go();
    let slow = one.rest_of_turn(&id, begun).await;
    assert_eq!(slow.ended("stop").text, "Slowly but surely.");
    assert!(!slow.shows(quick.answer_id()) && !quick.shows(slow.answer_id()));

    let expected = ["user: Slow?", "assistant: Slowly but surely.", "user: Quick?", "assistant: At once."];
    assert_eq!(alice.history(&agent).await, expected);
    two.say("And?").await.ended("stop");
    assert_eq!(upstream.last_conversation()[..4], expected);
}

#[tokio::test]
async fn a_client_that_goes_in_good_order_is_answered_in_kind() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("Hello").await.ended("stop");
    chat.send_raw(Message::Close(None)).await;
    assert!(matches!(chat.hear().await, Heard::Closed(_)));
}
