//! However a provider cuts a card number up, it never reaches the client.

use std::ops::Range;

use gavel_tests::{Agent, Chat, Script, Upstream, User, gavel};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const CARDS: [&str; 4] = ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "3782 822463 10005"];
const REDACTED: &str = "[redacted:card]";
/// Deltas of 1 to 7 bytes.
const SIZES: Range<usize> = 1..8;
/// Random conversations over the socket.
const CASES: u32 = 24;

/// Cuts a text after `first` bytes, then after every `size` bytes.
fn cut(text: &str, first: usize, size: usize) -> Vec<String> {
    let (head, tail) = text.split_at(first);
    let mut deltas = vec![head.to_owned()];
    deltas.extend(tail.as_bytes().chunks(size).map(|piece| String::from_utf8(piece.to_vec()).unwrap()));
    deltas.retain(|delta| !delta.is_empty());
    deltas
}

async fn an_enforced_chat(alice: &User) -> (Agent, Chat) {
    let policies = json!([{"policy": "pii"}, {"policy": "secrets"}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": policies})).await;
    let chat = alice.chat(&agent).await;
    (agent, chat)
}

/// What the client sees of an answer in these deltas.
async fn seen(upstream: &Upstream, chat: &mut Chat, deltas: &[String]) -> (String, Vec<Value>) {
    upstream.will(Script::says(deltas));
    let turn = chat.say("Tell me").await;
    turn.ended("stop");
    assert_eq!(turn.output["decision"], "redact");
    (turn.text.clone(), turn.frames)
}

#[tokio::test]
async fn cut_at_every_place() {
    let (_server, upstream, alice) = gavel().await;
    for card in CARDS {
        let (_agent, mut chat) = an_enforced_chat(&alice).await;
        let text = format!("Take {card}, it is good.");
        for size in SIZES {
            for first in 0..size {
                let (seen, frames) = seen(&upstream, &mut chat, &cut(&text, first, size)).await;
                assert_eq!(seen, format!("Take {REDACTED}, it is good."), "{size} after {first}: {frames:#?}");
            }
        }
        for first in 1..text.len() {
            let (seen, _) = seen(&upstream, &mut chat, &cut(&text, first, text.len())).await;
            assert_eq!(seen, format!("Take {REDACTED}, it is good."), "cut in two after {first}");
        }
    }
}

/// Words around cards, as one text with what the client is to see of it.
fn texts() -> impl Strategy<Value = (String, String)> {
    let word = prop_oneof!["[a-zé世]{1,12}", "[a-z]{1,4}[0-9]{1,3}"];
    let piece = prop_oneof![
        3 => word.prop_map(|word: String| (word.clone(), word)),
        1 => prop::sample::select(CARDS.to_vec()).prop_map(|card| (card.to_owned(), REDACTED.to_owned())),
    ];
    vec(piece, 1..12).prop_map(|pieces| {
        let joined = |each: fn(&(String, String)) -> &String| {
            pieces.iter().map(|piece| format!("{}, ", each(piece))).collect::<String>()
        };
        let (sent, seen) = (joined(|piece| &piece.0), joined(|piece| &piece.1));
        (format!("Take {} {sent}", CARDS[0]), format!("Take {REDACTED} {seen}"))
    })
}

/// Cuts a text into deltas of about these sizes, never inside a character.
fn cut_as(text: &str, sizes: &[usize]) -> Vec<String> {
    let mut deltas = Vec::new();
    let mut rest = text;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (delta, tail) = rest.split_at(rest.ceil_char_boundary(*size));
        deltas.push(delta.to_owned());
        rest = tail;
    }
    deltas
}

#[test]
fn cut_at_random() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, upstream, mut chat) = runtime.block_on(async {
        let (server, upstream, alice) = gavel().await;
        let (_agent, chat) = an_enforced_chat(&alice).await;
        (server, upstream, chat)
    });
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let cases = (texts(), vec(SIZES, 1..40));
    let chat = std::cell::RefCell::new(&mut chat);
    TestRunner::new(config)
        .run(&cases, |((text, expected), sizes)| {
            let deltas = cut_as(&text, &sizes);
            let (seen, frames) = runtime.block_on(seen(&upstream, *chat.borrow_mut(), &deltas));
            prop_assert_eq!(seen, expected);
            let told = frames.iter().map(Value::to_string).collect::<String>();
            for card in CARDS {
                prop_assert!(!told.contains(card), "{}", told);
            }
            Ok(())
        })
        .unwrap();
}
