//! Files that come with a message: what of them the model gets to see.

use gavel_tests::{Turn, User, gavel, gavel_with};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and whatever else a picture has";
const PNG_URL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUiBhbmQgd2hhdGV2ZXIgZWxzZSBhIHBpY3R1cmUgaGFz";

fn enforcing(policies: &Value) -> Value {
    json!({"governance_mode": "enforcing", "policies": policies})
}

#[track_caller]
fn refused(turn: &Turn, code: &str) {
    assert_eq!(turn.error["code"], code, "{:#?}", turn.frames);
    assert_eq!(turn.frames.len(), 1, "{:#?}", turn.frames);
}

async fn changed(alice: &User, agent: &gavel_tests::Agent, change: Value) {
    alice.patch(&agent.path(""), &change).await.expect(200);
}

#[tokio::test]
async fn texts_reach_the_model_in_frames_and_images_as_parts() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let notes = alice.uploads(&agent, "notes.txt", "text/plain", "Grüße".as_bytes()).await;
    let image = alice.uploads(&agent, "cat.png", "text/plain", PNG).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will_say(["A cat."]);
    chat.say_with("What is this?", &[&notes, &image]).await.ended("stop");
    let text = "What is this?\n\n[file: notes.txt]\nGrüße\n[end of file: notes.txt]\n\n[image: cat.png]";
    let asked = upstream.received().pop().unwrap().body;
    let parts = json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PNG_URL}}]);
    assert_eq!(asked["messages"], json!([{"role": "user", "content": parts}]));

    let history = alice.messages(&agent).await;
    assert_eq!(history[0]["content"], "What is this?");
    assert_eq!(history[0]["files"], json!([notes["file_id"], image["file_id"]]));
    assert!(history[1].get("files").is_none());

    // Later turns remember the text, and that there was an image.
    upstream.will_say(["You are welcome."]);
    chat.say("Thanks").await.ended("stop");
    let said = [format!("user: {text}"), "assistant: A cat.".to_owned(), "user: Thanks".to_owned()];
    assert_eq!(upstream.last_conversation(), said);
}

#[tokio::test]
async fn an_image_as_large_as_may_be_reaches_the_model() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut large = PNG.to_vec();
    large.resize(5 << 20, 0xa5);
    let image = alice.uploads(&agent, "large.png", "image/png", &large).await;
    upstream.will_say(["A large cat."]);
    alice.chat(&agent).await.say_with("See", &[&image]).await.ended("stop");
    let body = upstream.received().pop().unwrap().body;
    let url = body["messages"][0]["content"][1]["image_url"]["url"].as_str().unwrap();
    assert_eq!(url.len(), "data:image/png;base64,".len() + large.len().div_ceil(3) * 4);
}

#[tokio::test]
async fn the_record_commits_to_what_came_with_a_message() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let image = alice.uploads(&agent, "cat.png", "image/png", PNG).await;
    upstream.will_say(["A cat."]);
    let turn = alice.chat(&agent).await.say_with("See", &[&image]).await;
    let leaf = turn.input["leaf_hash"].as_str().unwrap();
    let record = alice.record(&agent, leaf).await;
    assert_eq!(record["coverage"]["unjudged"], PNG.len());
    let proof = alice.get(&agent.path(&format!("/proofs/{leaf}?opening=subject"))).await.expect(200);
    let subject: Value = serde_json::from_str(proof["opening"]["subject"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(subject["attachments"].as_array().unwrap().len(), 1);
    let key = gavel_log::FieldKey::from_hex(proof["opening"]["subject"]["key"].as_str().unwrap()).unwrap();
    let opened = key.commit(proof["opening"]["subject"]["text"].as_str().unwrap().as_bytes());
    assert_eq!(record["subject"], opened.to_string());
}

#[tokio::test]
async fn in_enforcing_mode_a_text_goes_on_as_its_policies_let_it_pass() {
    let (mut server, upstream, alice) = gavel().await;
    let agent = alice.starts(enforcing(&json!([{"policy": "pii"}]))).await;
    let text = format!("The card is {CARD}.");
    let file = alice.uploads(&agent, "card.txt", "text/plain", text.as_bytes()).await;
    let plain = alice.uploads(&agent, "plain.txt", "text/plain", b"Nothing here.").await;
    let passed = "user: Look\n\n[file: card.txt]\nThe card is [redacted:card].\n[end of file: card.txt]\
                  \n\n[file: plain.txt]\nNothing here.\n[end of file: plain.txt]";
    let mut chat = alice.chat(&agent).await;
    upstream.will_say(["Seen."]);
    let turn = chat.say_with("Look", &[&file, &plain]).await;
    let shape = ["governance_result input", "stream_start", "stream_chunk", "governance_result output", "stream_end"];
    assert_eq!(turn.shape(), shape, "what was judged at its upload is not judged again");
    assert_eq!(upstream.last_conversation(), [passed]);
    drop(chat);

    // What is not remembered any more is judged again, and sealed before the input.
    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    upstream.will_say(["Seen again."]);
    let turn = alice.chat(&agent).await.say_with("Look", &[&file, &plain]).await;
    assert_eq!(turn.shape()[..2], ["governance_result file", "governance_result input"]);
    let result = &turn.frames[0];
    assert_eq!((&result["file_id"], &result["decision"]), (&file["file_id"], &json!("redact")));
    assert_eq!(result["message_id"], turn.message_id);
    let record = alice.record(&agent, result["leaf_hash"].as_str().unwrap()).await;
    assert_eq!((&record["stage"], &record["message"]), (&json!("file"), &json!(turn.message_id)));
    assert_eq!(upstream.last_conversation().last().map(String::as_str), Some(passed));
}

#[tokio::test]
async fn a_text_that_other_bindings_judged_is_judged_again() {
    let (_server, upstream, alice) = gavel().await;
    let blocking = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "transparent", "policies": blocking})).await;
    let text = format!("The card is {CARD}.");
    let file = alice.uploads(&agent, "card.txt", "text/plain", text.as_bytes()).await;
    upstream.will_say(["I see it."]);
    alice.chat(&agent).await.say_with("Look", &[&file]).await.ended("stop");
    assert!(upstream.last_conversation()[0].contains(CARD), "in transparent mode nothing is held back");

    changed(&alice, &agent, json!({"governance_mode": "enforcing"})).await;
    upstream.will_say(["I see nothing."]);
    let turn = alice.chat(&agent).await.say_with("Look", &[&file]).await;
    assert_eq!(turn.ended("stop").frames[0]["decision"], "block");
    let conversation = upstream.last_conversation();
    assert_eq!(conversation.last().unwrap(), "user: Look\n\n[file: card.txt, withheld by a policy]");
    assert!(!conversation.iter().any(|said| said.contains(CARD)), "{conversation:?}");
}

#[tokio::test]
async fn what_no_policy_can_judge_is_refused_in_enforcing_mode() {
    let (_server, upstream, alice) = gavel().await;
    let inputs_alone = json!([{"policy": "pii", "stages": ["input", "output"]}]);
    let (agent, lax) =
        (alice.starts(enforcing(&json!([{"policy": "pii"}]))).await, alice.starts(enforcing(&inputs_alone)).await);
    let leaves = || async { alice.get("/health").await.expect(200)["log"]["tree_size"].clone() };
    let image = alice.uploads(&agent, "cat.png", "image/png", PNG).await;
    let binary = alice.uploads(&agent, "a.bin", "application/x-any", &[0xff; 100]).await;
    let large = alice.uploads(&agent, "large.txt", "text/plain", &vec![b'a'; (1 << 20) + 1]).await;
    let before = leaves().await;
    let mut chat = alice.chat(&agent).await;
    for file in [&image, &binary, &large] {
        refused(&chat.say_with("See", &[file]).await, "unjudged_content");
    }
    let text = alice.uploads(&lax, "a.txt", "text/plain", b"text").await;
    refused(&alice.chat(&lax).await.say_with("See", &[&text]).await, "unjudged_content");
    assert_eq!(leaves().await, before, "nothing was judged");
    assert_eq!(upstream.received().len(), 0);
}

#[tokio::test]
async fn an_operator_may_let_pass_what_no_policy_can_judge() {
    let (_server, upstream, alice) = gavel_with("[limits]\nunjudged = \"allow\"\n").await;
    let agent = alice.starts(enforcing(&json!([{"policy": "pii"}]))).await;
    let image = alice.uploads(&agent, "cat.png", "image/png", PNG).await;
    upstream.will_say(["A cat."]);
    let turn = alice.chat(&agent).await.say_with("See", &[&image]).await;
    let record = alice.record(&agent, turn.ended("stop").input["leaf_hash"].as_str().unwrap()).await;
    assert_eq!(record["coverage"]["unjudged"], PNG.len());
    assert_eq!(upstream.received().pop().unwrap().body["messages"][0]["content"][1]["image_url"]["url"], PNG_URL);
}

#[tokio::test]
async fn files_that_are_not_there_or_too_much_begin_no_turn() {
    let (_server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let theirs = alice.uploads(&other, "a.txt", "text/plain", b"text").await;
    let mut chat = alice.chat(&agent).await;
    for missing in [&theirs, &json!({"file_id": "file_01hzzzzzzzzzzzzzzzzzzzzzzz"}), &json!({"file_id": "nonsense"})] {
        refused(&chat.say_with("See", &[missing]).await, "file_not_found");
    }
    let binary = alice.uploads(&agent, "a.bin", "application/x-any", &[0xff; 100]).await;
    refused(&chat.say_with("See", &[&binary]).await, "file_unsupported");
    let text = vec![b'a'; 1 << 20];
    let mut many = Vec::new();
    for _ in 0..6 {
        many.push(alice.uploads(&agent, "a.txt", "text/plain", &text).await);
    }
    refused(&chat.say_with("See", &many.iter().collect::<Vec<_>>()).await, "message_too_large");
    let gone = many.remove(0);
    assert_eq!(alice.delete(&agent.path(&format!("/files/{}", gone["file_id"].as_str().unwrap()))).await.status, 204);
    refused(&chat.say_with("See", &[&gone]).await, "file_not_found");
    chat.is_open().await;
}
