//! Chats through the bundled provider: what an upstream does, and what comes of it.

use std::time::Duration;

use gavel_sandbox::provider::{Delta, FinishReason, Model, ProviderError, ProviderLimits, Usage};
use serde_json::Value;

use crate::house::{House, KEY, limits, request};
use crate::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_and_the_upstream_sees_the_key() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "hello").await;
    let (said, end) = house.say(&openai, "m", "Hi").await;
    let end = end.unwrap();
    assert_eq!(said, "Hello");
    assert_eq!(end.finish_reason, FinishReason::Stop);
    assert_eq!(end.usage, Some(Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() }));
    assert_eq!(end.model.as_deref(), Some("m-1"));
    let (headers, body) = upstream.last();
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["content-length"], body.len().to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["messages"], serde_json::json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(body["stream"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart_and_not_tried_again() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let words = |status: u16| format!("status {status}: the upstream's words");
    let cases = [
        ("unauthorized", ProviderError::Unauthorized(words(401)), "provider_unauthorized"),
        ("limited", ProviderError::RateLimited(Some(Duration::from_secs(7))), "provider_rate_limited"),
        ("unknown-model", ProviderError::InvalidRequest(words(404)), "provider_refused"),
    ];
    for (tries, (script, expected, code)) in cases.into_iter().enumerate() {
        let openai = house.openai_at(&upstream, script).await;
        let (said, end) = house.say(&openai, "m", "Hi").await;
        assert_eq!((said.as_str(), end.as_ref().err()), ("", Some(&expected)));
        assert_eq!(expected.code(), Some(code));
        assert_eq!(upstream.hits(), tries + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_first_is_tried_again_at_most_twice() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "flaky").await;
    assert_eq!(house.say(&openai, "m", "Hi").await.0, "Hello");
    assert_eq!(upstream.hits(), 3);
    let openai = house.openai_at(&upstream, "broken").await;
    let (_, end) = house.say(&openai, "m", "Hi").await;
    assert_eq!(end, Err(ProviderError::Unavailable("status 500: the upstream's words".into())));
    assert_eq!(upstream.hits(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_wait_is_waited() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "briefly-limited").await;
    assert_eq!(house.say(&openai, "m", "Hi").await.0, "Hello");
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_broke_off_is_never_tried_again() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "unfinished").await;
    let (said, end) = house.say(&openai, "m", "Hi").await;
    assert_eq!(said, "Hel");
    assert_eq!(end, Err(ProviderError::Interrupted("the answer has no end".into())));
    let openai = house.openai_at(&upstream, "cut").await;
    let mut stream = house.chat(&openai, request("m", "Hi"));
    assert_eq!(stream.deltas.recv().await, Some(Delta::Text("Hel".into())));
    upstream.cut();
    assert_eq!(stream.deltas.recv().await, None);
    assert!(matches!(stream.finish().await, Err(ProviderError::Interrupted(_))));
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_an_unavailable_provider() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "rubbish").await;
    let (said, end) = house.say(&openai, "m", "Hi").await;
    assert_eq!((said.as_str(), end), ("", Err(ProviderError::Unavailable("what came is no chat completion".into()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout() {
    let short = Duration::from_millis(200);
    let limits = ProviderLimits { idle: short, first_byte: short, ..limits() };
    let (house, upstream) = (House::new(&limits), Upstream::start().await);
    for (script, said) in [("stall", "Hel"), ("silent", "")] {
        let openai = house.openai_at(&upstream, script).await;
        let (text, end) = house.say(&openai, "m", "Hi").await;
        assert_eq!(text, said);
        assert!(matches!(end, Err(ProviderError::Timeout(_))), "{script}: {end:?}");
    }
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_has_a_longest_duration() {
    let limits = ProviderLimits { chat: Duration::from_millis(200), ..limits() };
    let (house, upstream) = (House::new(&limits), Upstream::start().await);
    let openai = house.openai_at(&upstream, "stall").await;
    let (_, end) = house.say(&openai, "m", "Hi").await;
    assert_eq!(end, Err(ProviderError::Timeout("the chat took longer than it may".into())));
    upstream.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_chat_closes_its_connection_and_gives_its_permit_back() {
    let limits = ProviderLimits { max_instances: 1, ..limits() };
    let (house, upstream) = (House::new(&limits), Upstream::start().await);
    let openai = house.openai_at(&upstream, "stall").await;
    let mut stream = house.chat(&openai, request("m", "Hi"));
    assert!(stream.deltas.recv().await.is_some());
    assert!(house.runtime.permit().is_none(), "one chat is all there is room for");
    drop(stream);
    upstream.closed().await;
    while house.runtime.permit().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_behind_slows_the_upstream() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "endless").await;
    let mut stream = house.chat(&openai, request("m", "Hi"));
    assert!(stream.deltas.recv().await.is_some());
    let given = upstream.stands_still().await;
    assert!(given * (16 << 10) < 32 << 20, "{given} pieces are more than sockets and channel hold");
    assert_eq!(stream.deltas.len(), 16);
    for _ in 0..given {
        assert!(stream.deltas.recv().await.is_some());
    }
    upstream.goes_on(given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_wants_no_more_is_a_cancelled_chat() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "endless").await;
    let mut stream = house.chat(&openai, request("m", "Hi"));
    assert!(stream.deltas.recv().await.is_some());
    stream.deltas.close();
    assert_eq!(stream.finish().await, Err(ProviderError::Cancelled));
    upstream.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "models").await;
    // In a task of its own, as a server's handlers run.
    let permit = house.runtime.permit().unwrap();
    let listed = tokio::spawn(async move { house.runtime.models(&openai, permit, None).await }).await;
    let listed = listed.unwrap().unwrap();
    let model = |id: &str, context_tokens| Model { id: id.into(), context_tokens };
    assert_eq!(listed, [model("a", None), model("b", Some(8192))]);
    assert_eq!(upstream.last().0.get("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_ended_leaves_its_connection_to_the_next() {
    const CHATS: usize = 10;
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "hello").await;
    for _ in 0..CHATS {
        house.say(&openai, "m", "Hi").await.1.unwrap();
    }
    // A busy machine may miss the moment now and then, never each time.
    assert!(upstream.connections() < CHATS, "each chat opened a connection");
}

/// Not a test of right or wrong: `cargo test -p gavel-sandbox --test provider -- --ignored --nocapture` prints it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_a_chat_costs() {
    const CHATS: u32 = 2000;
    const DELTAS: u32 = 100_000;
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let rogue = house.rogue_at(&[], false).await;
    let openai = house.openai_at(&upstream, "hello").await;
    for (name, binding, model) in [("instance alone", &rogue, "see"), ("whole exchange", &openai, "m")] {
        for round in 0..2 {
            let begun = std::time::Instant::now();
            for _ in 0..CHATS {
                house.say(binding, model, "").await.1.unwrap();
            }
            println!("{name}, round {round}: {:?} each", begun.elapsed() / CHATS);
        }
    }
    let mut stream = house.chat(&rogue, request("endless", ""));
    let begun = std::time::Instant::now();
    for _ in 0..DELTAS {
        assert!(stream.deltas.recv().await.is_some());
    }
    println!(
        "delta: {:?} each; {CHATS} exchanges over {} connections",
        begun.elapsed() / DELTAS,
        upstream.connections()
    );
}
