//! Whatever a client sends, each frame is answered as documented, and the chat goes on.

use std::cell::RefCell;

use gavel_tests::{Agent, Chat, GavelServer, Heard, User, gavel_with, message_id};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

/// Conversations with a client that sends anything.
const CASES: u32 = 256;
const MESSAGE_BYTES: usize = 600;
/// The largest frame under that bound: 8 × `message_bytes` + 4 KiB.
const LARGEST_FRAME: usize = 8 * MESSAGE_BYTES + 4096;
/// Every code that a client may be told.
const CODES: &str = include_str!("../../docs/api.md");

/// Something that a client sends, and what is certain of its answer.
#[derive(Clone, Debug)]
struct Sent {
    message: Message,
    answer: Answer,
}

/// What answers a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// An `error` with this code, and nothing else.
    Refused(&'static str),
    /// A turn, from its first frame to its `stream_end`.
    Turn,
    /// A `pong`.
    Pong,
    /// The socket's end, with this code.
    Closed(u16),
    /// Any of these but the last: nobody knows what the frame is, but it is answered.
    Something,
}

fn sent(text: String, answer: Answer) -> Sent {
    // A frame that is too large is never read, whatever it says.
    let answer = if text.len() > LARGEST_FRAME { Answer::Closed(1009) } else { answer };
    Sent { message: Message::text(text), answer }
}

/// What the chat's grammar has.
fn good() -> impl Strategy<Value = Sent> {
    prop_oneof![
        3 => "\\PC{1,80}".prop_map(|content| {
            let message = json!({"type": "message", "content": content});
            sent(message.to_string(), Answer::Turn)
        }),
        1 => any::<String>().prop_filter("has words", |content| (1..=MESSAGE_BYTES).contains(&content.len())).prop_map(
            |content| {
                let message = json!({"type": "message", "message_id": message_id(), "content": content, "files": []});
                sent(message.to_string(), Answer::Turn)
            }
        ),
        1 => Just(sent(json!({"type": "ping"}).to_string(), Answer::Pong)),
        1 => Just(sent(json!({"type": "cancel"}).to_string(), Answer::Refused("turn_not_found"))),
        1 => Just(()).prop_map(|()| {
            let resume = json!({"type": "resume", "message_id": message_id()});
            sent(resume.to_string(), Answer::Refused("turn_not_found"))
        }),
    ]
}

/// Contents and frames on both sides of their bounds.
fn large() -> impl Strategy<Value = Sent> {
    let content = (MESSAGE_BYTES - 2..MESSAGE_BYTES + 3, select(vec!["x", "\\u0078"])).prop_map(|(bytes, letter)| {
        let answer = if bytes > MESSAGE_BYTES { Answer::Refused("message_too_large") } else { Answer::Turn };
        sent(format!(r#"{{"type":"message","content":"{}"}}"#, letter.repeat(bytes)), answer)
    });
    let frame = (LARGEST_FRAME - 2..LARGEST_FRAME + 3)
        .prop_map(|bytes| sent(format!("{:<bytes$}", r#"{"type":"ping"}"#), Answer::Pong));
    prop_oneof![content, frame]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec!["message", "ping", "msg_", "msg_01hzzzzzzzzzzzzzzzzzzzzzzz", "file_1"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((field(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["type", "content", "message_id", "files", "role"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Objects with the grammar's words and any values.
fn close() -> impl Strategy<Value = Sent> {
    let kind = select(vec!["message", "cancel", "resume", "ping", "stream_end", ""]);
    (kind, vec((field(), json_value()), 0..4)).prop_map(|(kind, members)| {
        let mut frame = Map::from_iter([("type".to_owned(), json!(kind))]);
        frame.extend(members);
        sent(Value::Object(frame).to_string(), Answer::Something)
    })
}

/// Good frames with characters that were lost, doubled or changed on the way.
fn mutated() -> impl Strategy<Value = Sent> {
    let edit = (any::<prop::sample::Index>(), 0..3_u8, any::<char>());
    (good(), vec(edit, 1..4)).prop_map(|(frame, edits)| {
        let Message::Text(text) = frame.message else { return frame };
        let mut characters: Vec<char> = text.chars().collect();
        for (place, kind, other) in edits {
            if characters.is_empty() {
                break;
            }
            let place = place.index(characters.len());
            match kind {
                0 => drop(characters.remove(place)),
                1 => characters.insert(place, characters[place]),
                _ => characters[place] = other,
            }
        }
        sent(characters.into_iter().collect(), Answer::Something)
    })
}

/// What is no frame of any chat.
fn strange() -> impl Strategy<Value = Sent> {
    prop_oneof![
        any::<String>().prop_map(|text| sent(text, Answer::Something)),
        json_value().prop_map(|value| sent(value.to_string(), Answer::Something)),
        (1..2000_usize).prop_map(|depth| sent("[".repeat(depth), Answer::Refused("invalid_request"))),
        (1..500_usize).prop_map(|depth| {
            let deep = format!(r#"{{"type":"ping","x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
            sent(deep, Answer::Refused("invalid_request"))
        }),
        vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Sent { message: Message::binary(bytes), answer: Answer::Closed(1003) }),
    ]
}

fn anything() -> impl Strategy<Value = Sent> {
    prop_oneof![3 => good(), 2 => large(), 4 => close(), 4 => mutated(), 3 => strange()]
}

/// The client, who opens another chat when one is closed.
struct Client {
    alice: User,
    agent: Agent,
    chat: Chat,
}

impl Client {
    async fn start() -> (GavelServer, gavel_tests::Upstream, Self) {
        let limits = format!("[limits]\nmessage_bytes = {MESSAGE_BYTES}\n");
        let (server, upstream, alice) = gavel_with(&limits).await;
        let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
        let chat = alice.chat(&agent).await;
        (server, upstream, Self { alice, agent, chat })
    }

    /// Sends one frame, hears its answer to the end, and sees that the chat goes on.
    async fn send(&mut self, sent: &Sent) -> Result<(), TestCaseError> {
        self.chat.send_raw(sent.message.clone()).await;
        let answer = self.answer().await?;
        match sent.answer {
            Answer::Something => prop_assert!(!matches!(answer, Answer::Closed(_)), "{answer:?} to {sent:?}"),
            expected => prop_assert_eq!(answer, expected, "to {:?}", sent),
        }
        match answer {
            Answer::Closed(_) => self.chat = self.alice.chat(&self.agent).await,
            _ => self.chat.is_open().await,
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<Answer, TestCaseError> {
        let frame = match self.chat.hear().await {
            Heard::Closed(code) => return Ok(Answer::Closed(code)),
            Heard::Frame(frame) => frame,
        };
        match frame["type"].as_str() {
            Some("pong") => Ok(Answer::Pong),
            Some("error") => {
                let code = frame["code"].as_str().unwrap_or_default().to_owned();
                prop_assert!(CODES.contains(&format!("| `{code}` |")), "{} is not documented", frame);
                prop_assert!(frame["message"].is_string(), "{}", frame);
                Ok(Answer::Refused(code.leak()))
            }
            _ => {
                let rest = self.chat.frames_until("stream_end").await;
                let kinds: Vec<_> = std::iter::once(&frame).chain(&rest).map(|frame| &frame["type"]).collect();
                prop_assert_eq!(kinds.first().copied(), Some(&json!("governance_result")), "{:?}", kinds);
                prop_assert!(kinds.contains(&&json!("stream_start")), "{:?}", kinds);
                Ok(Answer::Turn)
            }
        }
    }
}

#[test]
fn every_frame_is_answered_and_the_chat_goes_on() {
    let runtime = Runtime::new().unwrap();
    let (server, _upstream, client) = runtime.block_on(Client::start());
    let client = RefCell::new(client);
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 256, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(anything(), 1..8), |frames| {
            let mut client = client.borrow_mut();
            frames.iter().try_for_each(|sent| runtime.block_on(client.send(sent)))
        })
        .unwrap();
    let mut client = client.into_inner();
    runtime.block_on(async {
        client.chat.say("Still there?").await.ended("stop");
        assert_eq!(server.anyone().get("/health").await.expect(200)["status"], "ok");
    });
    assert!(!server.said().contains("panicked"), "{}", server.said());
}
