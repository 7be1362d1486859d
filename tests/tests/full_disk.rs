//! A disk that takes nothing more: who asks is told, nothing that was told is lost, and all goes on when there is room
//! again.

use gavel_tests::{Script, gavel, within};
use serde_json::json;

#[tokio::test]
async fn a_turn_whose_end_could_not_be_written_is_recorded_as_soon_as_it_can_be() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (script, pace) = Script::says_at_a_pace(["All ", "is well."]);
    upstream.answers(script);
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Hello").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;

    server.disk_is_full(true);
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("error").error["code"], "storage_unavailable");
    assert!(turn.output.is_null(), "what is not durable is not announced");
    let next = chat.say("Is anybody there?").await;
    assert_eq!(next.error["code"], "storage_unavailable", "{:#?}", next.frames);
    let refused = alice.get(&agent.path("")).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused(503, "storage_unavailable");

    server.disk_is_full(false);
    let interrupted = within("the turn's record", async {
        loop {
            let answer = alice.get(&agent.path("/verdicts")).await;
            let verdicts = answer.body["verdicts"].as_array().cloned().unwrap_or_default();
            if let Some(verdict) = verdicts.into_iter().find(|verdict| verdict["stage"] == "output") {
                break verdict;
            }
        }
    });
    let interrupted = interrupted.await;
    assert_eq!((&interrupted["outcome"], &interrupted["seq"]), (&json!("interrupted"), &json!(1)));
    assert_eq!(interrupted["message_id"], turn.answer_id());

    upstream.answers(Script::says(["All is well."]));
    let later = alice.chat(&agent).await.say("And now?").await;
    assert_eq!(later.ended("stop").text, "All is well.");
    alice.stop(&agent).await;
    assert_eq!(alice.delete(&agent.path("")).await.status, 204, "no turn is open");
}
