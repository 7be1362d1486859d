//! Going down in good order.

use gavel_tests::{Script, gavel, gavel_command};
use serde_json::json;

#[tokio::test]
async fn an_open_turn_is_finished_and_sockets_are_told_to_come_back() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["Once upon ", "a time."]);
    upstream.will(slow);
    let (mut idle, mut busy) = (alice.chat(&agent).await, alice.chat(&agent).await);
    idle.is_open().await;
    let id = busy.start_saying("Tell me").await;
    pace.let_go(1);
    let begun = busy.frames_until("stream_chunk").await;
    let waiting = busy.start_saying("And then?").await;

    server.ask_to_stop();
    assert_eq!(idle.closed().await, (1012, Vec::new()), "nothing keeps an idle socket");
    let health = server.operator().get("/health").await;
    assert_eq!((health.status, &health.body["status"]), (503, &json!("degraded")));
    let down: Vec<_> =
        health.body["workers"].as_array().unwrap().iter().filter(|worker| worker["status"] != "up").collect();
    assert_eq!(down, [&json!({"name": "turns", "status": "down", "detail": "the server is going down"})]);
    server.operator().get("/health/ready").await.expect(503);
    server.operator().get("/health/live").await.expect(200);
    pace.let_all_go();
    let turn = busy.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, "Once upon a time.");
    let (code, frames) = busy.closed().await;
    assert_eq!(code, 1012);
    assert!(frames.iter().all(|frame| frame["type"] == "error" && frame["message_id"] == json!(waiting)), "{frames:?}");
    assert!(server.ended().await.success());

    server.start_again().await;
    let alice = server.admin();
    assert_eq!(alice.history(&agent).await, ["user: Tell me", "assistant: Once upon a time."]);
    assert_eq!(server.log().head().await.size, 2);
    for hash in turn.leaf_hashes() {
        alice.proof(&agent, &hash).await.expect(200);
    }
}

#[tokio::test]
async fn a_turn_that_does_not_end_is_cancelled_and_recorded() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    upstream.will(Script::stalls_after(["Once upon ", "a time"]));
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Tell me").await;
    let begun = chat.frames_until("stream_chunk").await;
    server.ask_to_stop();
    let turn = chat.rest_of_turn(&id, begun).await;
    turn.ended("cancelled");
    assert_eq!(chat.closed().await.0, 1012);
    assert!(server.ended().await.success());
    server.start_again().await;
    let record = server.admin().record(&agent, turn.output["leaf_hash"].as_str().unwrap()).await;
    assert_eq!(record["outcome"], "cancelled");
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let (server, _upstream, alice) = gavel().await;
    let (data_dir, config) = (server.data_dir(), server.config_file());
    let any = "127.0.0.1:0";
    let paths = [data_dir.to_str().unwrap(), config.to_str().unwrap()];
    let args = ["serve", "--listen", any, "--admin-listen", any, "--data-dir", paths[0], "--config", paths[1]];
    let second = gavel_command(&args).await;
    assert_eq!(second.status, Some(3), "{second:?}");
    assert!(second.out.is_empty() && second.err.contains("gavel:"), "{second:?}");
    alice.create_agent(json!({})).await;
}
