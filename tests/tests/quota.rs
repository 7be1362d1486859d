//! What an agent may use: messages, tokens and bytes in a month, requests in a minute.

use std::collections::BTreeSet;

use gavel_tests::{Agent, Form, Script, User, gavel, gavel_with, message_id};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Tokens that the mock provider says of each answer.
const TOKENS: (u64, u64) = (11, 7);
const FIGURES: [&str; 5] = ["input_tokens", "messages", "output_tokens", "requests_per_minute", "storage_bytes"];

/// A tier for the first user's agents.
fn tier(limits: &str) -> String {
    format!("[tiers.small]\nusers = [\"admin\"]\n{limits}\n")
}

async fn quota(alice: &User, agent: &Agent) -> Value {
    alice.get(&agent.path("/quota")).await.expect(200)
}

/// Whether a number of seconds is one to the end of a month, or less.
fn is_within_a_month(seconds: &Value) -> bool {
    seconds.as_u64().is_some_and(|seconds| (1..=31 * 86_400).contains(&seconds))
}

/// Every verdict of this agent at a stage.
async fn judged(alice: &User, agent: &Agent, stage: &str) -> Vec<Value> {
    let answer = alice.request(reqwest::Method::GET, &agent.path(&format!("/verdicts?stage={stage}")));
    let answer = alice.send(answer.header("accept", "application/x-ndjson")).await;
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_agents_quota_says_what_it_may_use_and_has_used() {
    let (_server, _upstream, alice) =
        gavel_with(&tier("messages_per_month = 10\noutput_tokens_per_month = 100\nrequests_per_minute = 6")).await;
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let quota = quota(&alice, &agent).await;
    assert_eq!((&quota["agent_id"], &quota["tier"]), (&json!(agent.id), &json!("small")));
    for member in ["limits", "usage", "remaining"] {
        let names: Vec<_> = quota[member].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, FIGURES, "{member}");
    }
    let figures = |member: &str, name: &str| quota[member][name].clone();
    for (name, limit, used) in [
        ("messages", json!(10), 1),
        ("input_tokens", Value::Null, TOKENS.0),
        ("output_tokens", json!(100), TOKENS.1),
        ("storage_bytes", Value::Null, 0),
    ] {
        let remaining = limit.as_u64().map_or(Value::Null, |limit| json!(limit - used));
        assert_eq!(
            (figures("limits", name), figures("usage", name), figures("remaining", name)),
            (limit, json!(used), remaining)
        );
    }
    // Starting, opening the chat, its message, and this question, within the ten seconds after which one comes back.
    assert_eq!(figures("usage", "requests_per_minute"), json!(4));
    assert_eq!(figures("remaining", "requests_per_minute"), json!(2));

    let (start, end) = (quota["period"]["start"].as_str().unwrap(), quota["period"]["end"].as_str().unwrap());
    let now = judged(&alice, &agent, "input").await[0]["time"].as_str().unwrap().to_owned();
    assert!(start <= now.as_str() && now.as_str() < end, "{start} {now} {end}");
    assert!(start.ends_with("-01T00:00:00.000Z") && end.ends_with("-01T00:00:00.000Z") && start[..7] == now[..7]);
}

#[tokio::test]
async fn a_used_up_month_refuses_messages_and_judges_nothing() {
    let (server, upstream, alice) = gavel_with(&tier("messages_per_month = 2")).await;
    let agent = alice
        .starts(json!({"governance_mode": "enforcing", "policies": [
            {"policy": "pii", "config": {"action": "block"}},
        ]}))
        .await;
    let mut chat = alice.chat(&agent).await;
    let first = message_id();
    chat.say_as(&first, "Hello").await;
    chat.turn(&first).await.ended("stop");
    // A blocked message is judged like any other, and counts like any other.
    chat.say("My card is 4111 1111 1111 1111").await.ended("blocked");
    let entries = server.log().head().await.size;

    let refused = chat.say("Hello again").await;
    assert_eq!(refused.shape(), ["error"]);
    assert_eq!(
        (&refused.error["code"], &refused.error["message_id"]),
        (&json!("quota_exceeded"), &json!(refused.message_id))
    );
    assert!(is_within_a_month(&refused.error["retry_after"]), "{}", refused.error);
    assert_eq!(server.log().head().await.size, entries);
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(quota(&alice, &agent).await["remaining"]["messages"], 0);

    // What was said before may still be asked for, and another agent has a month of its own.
    chat.say_as(&first, "Hello").await;
    chat.turn(&first).await.ended("stop");
    let other = alice.starts(json!({})).await;
    alice.chat(&other).await.say("Hello").await.ended("stop");
}

#[tokio::test]
async fn a_used_up_allowance_of_tokens_refuses_the_next_message() {
    let (_server, _upstream, alice) = gavel_with(&tier("input_tokens_per_month = 20")).await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    // What a turn costs is known at its end: the second one may begin, the third may not.
    chat.say("One").await.ended("stop");
    chat.say("Two").await.ended("stop");
    assert_eq!(chat.say("Three").await.error["code"], "quota_exceeded");
    let quota = quota(&alice, &agent).await;
    assert_eq!((&quota["usage"]["input_tokens"], &quota["remaining"]["input_tokens"]), (&json!(22), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_do_not_go_over_the_months_limit() {
    let (server, _upstream, alice) = gavel_with(&tier("messages_per_month = 5")).await;
    let agent = alice.starts(json!({"policies": []})).await;
    let mut callers = JoinSet::new();
    for _ in 0..12 {
        let mut chat = alice.chat(&agent).await;
        callers.spawn(async move { chat.say("Hello").await });
    }
    let turns = callers.join_all().await;
    let answered = turns.iter().filter(|turn| turn.finish_reason == "stop").count();
    let refused = turns.iter().filter(|turn| turn.error["code"] == "quota_exceeded");
    assert_eq!((answered, refused.count()), (5, 7), "{turns:#?}");
    assert_eq!(quota(&alice, &agent).await["usage"]["messages"], 5);
    assert_eq!(judged(&alice, &agent, "input").await.len(), 5);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_exact_after_a_crash() {
    let (mut server, upstream, alice) = gavel().await;
    upstream.answers(Script::says(["One ", "two ", "three."]));
    let agent = alice.starts(json!({})).await;
    let mut seen = 0;
    for round in 0..3 {
        let alice = server.admin();
        let mut chats = JoinSet::new();
        for _ in 0..3 {
            let mut chat = alice.chat(&agent).await;
            chats.spawn(async move {
                let frame = json!({"type": "message", "content": "Count to three"});
                while chat.try_send(frame.clone()).await {
                    loop {
                        let gavel_tests::Heard::Frame(frame) = chat.hear().await else { return };
                        if frame["type"] == "stream_end" {
                            break;
                        }
                    }
                }
            });
        }
        // Killed in the midst of turns: some have been judged since the round began.
        while server.log().head().await.size < seen + 7 {
            tokio::task::yield_now().await;
        }
        server.kill().await;
        chats.join_all().await;
        server.start_again().await;

        let alice = server.admin();
        seen = server.log().head().await.size;
        let inputs = judged(&alice, &agent, "input").await;
        let outputs = judged(&alice, &agent, "output").await;
        let complete = outputs.iter().filter(|output| output["outcome"] == "complete").count() as u64;
        let usage = quota(&alice, &agent).await["usage"].clone();
        assert_eq!(usage["messages"], json!(inputs.len()), "round {round}");
        assert_eq!(usage["input_tokens"], json!(complete * TOKENS.0), "round {round}");
        assert_eq!(usage["output_tokens"], json!(complete * TOKENS.1), "round {round}");
    }
}

#[tokio::test]
async fn files_count_as_long_as_they_are_kept() {
    let (_server, _upstream, alice) = gavel_with(&tier("storage_bytes = 10")).await;
    let agent = alice.create_agent(json!({})).await;
    let kept = alice.upload(&agent, Form::new().file("a", "image/png", b"12345678")).await.expect(201);
    let quota_now = quota(&alice, &agent).await;
    assert_eq!(
        (&quota_now["usage"]["storage_bytes"], &quota_now["remaining"]["storage_bytes"]),
        (&json!(8), &json!(2))
    );
    alice.upload(&agent, Form::new().file("b", "image/png", b"123")).await.refused(429, "quota_exceeded");
    assert_eq!(quota(&alice, &agent).await["usage"]["storage_bytes"], 8);
    let file = kept["files"][0]["file_id"].as_str().unwrap();
    alice.delete(&agent.path(&format!("/files/{file}"))).await.expect(204);
    assert_eq!(quota(&alice, &agent).await["usage"]["storage_bytes"], 0);
    alice.upload(&agent, Form::new().file("b", "image/png", b"123")).await.expect(201);
}

#[tokio::test]
async fn a_minutes_requests_to_an_agent_are_limited() {
    // One more may come after 20 seconds, which is longer than this takes.
    let (_server, upstream, alice) = gavel_with(&tier("requests_per_minute = 3")).await;
    let agent = alice.create_agent(json!({"model_provider": "mock"})).await;
    let started = alice.post(&agent.path("/start"), &json!({})).await;
    assert_eq!(started.header("ratelimit-policy"), "\"requests\";q=3;w=60");
    assert_eq!(started.header("ratelimit"), "\"requests\";r=2;t=20");
    let mut chat = alice.chat(&agent).await;
    assert_eq!(chat.headers["ratelimit"], "\"requests\";r=1;t=40");
    chat.say("Hello").await.ended("stop");

    let refused = chat.say("Hello again").await;
    assert_eq!((refused.shape(), &refused.error["code"]), (vec!["error".to_owned()], &json!("rate_limited")));
    assert!((1..=20).contains(&refused.error["retry_after"].as_u64().unwrap()), "{}", refused.error);
    assert_eq!(upstream.received().len(), 1);
    chat.is_open().await;
    let answer = alice.get(&agent.path("/messages")).await;
    assert!((1..=20).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(answer.header("ratelimit-policy"), "\"requests\";q=3;w=60");
    assert!(answer.header("ratelimit").starts_with("\"requests\";r=0;t="), "{}", answer.header("ratelimit"));
    answer.refused(429, "rate_limited");

    // What is no request to this agent is not counted: another agent, lists, strangers.
    let other = alice.create_agent(json!({})).await;
    assert_eq!(alice.get(&other.path("")).await.header("ratelimit"), "\"requests\";r=2;t=20");
    let list = alice.get("/v1/agents").await;
    assert_eq!((list.status, list.header("ratelimit")), (200, ""));
}

#[tokio::test]
async fn a_completion_says_how_its_agent_stands() {
    let (_server, _upstream, alice) = gavel_with(&tier("requests_per_minute = 3")).await;
    let agent = alice.starts(json!({})).await;
    let asked = json!([{"role": "user", "content": "Hello"}]);
    for (stream, standing) in [(false, "\"requests\";r=1;t=40"), (true, "\"requests\";r=0;t=60")] {
        let said = alice.completes(&agent, asked.clone(), json!({"stream": stream})).await.ended("stop");
        assert_eq!(said.answer.header("ratelimit-policy"), "\"requests\";q=3;w=60");
        assert_eq!(said.answer.header("ratelimit"), standing);
    }
    let refused = alice.completes(&agent, asked, json!({})).await;
    assert!(refused.answer.header("ratelimit").starts_with("\"requests\";r=0;t="));
    assert!((1..=20).contains(&refused.answer.header("retry-after").parse::<u64>().unwrap()));
    refused.refused(429, "rate_limited");
}

#[tokio::test]
async fn who_is_refused_uses_up_nothing_of_an_agents_minute() {
    let (server, _upstream, alice) = gavel_with(&tier("requests_per_minute = 2")).await;
    let agent = alice.create_agent(json!({})).await;
    let stranger = server.bearer("gvu_nobody");
    for _ in 0..5 {
        stranger.get(&agent.path("")).await.refused(401, "unauthorized");
    }
    assert_eq!(alice.get(&agent.path("")).await.header("ratelimit"), "\"requests\";r=1;t=30");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_valid_token_is_slowed_down_and_its_neighbours_are_not() {
    let (server, _upstream, alice) = gavel().await;
    let mut strangers = JoinSet::new();
    for _ in 0..16 {
        let stranger = server.bearer("gvu_nobody");
        strangers.spawn(async move {
            for _ in 0..2_000 {
                let answer = stranger.get("/v1/agents").await;
                if answer.status != 401 {
                    return Some(answer);
                }
            }
            None
        });
    }
    let answers: Vec<_> = strangers.join_all().await.into_iter().flatten().collect();
    let refused = answers.into_iter().next().expect("some are refused for coming too often");
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused(429, "rate_limited");
    alice.get("/v1/agents").await.expect(200);
}

#[tokio::test]
async fn every_figure_that_is_not_limited_is_null() {
    let (_server, _upstream, alice) = gavel_with(&tier("")).await;
    let agent = alice.create_agent(json!({})).await;
    let answer = alice.get(&agent.path("/quota")).await;
    assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), ("", ""));
    let quota = answer.expect(200);
    let limited: BTreeSet<_> = FIGURES.into_iter().filter(|name| !quota["limits"][name].is_null()).collect();
    assert!(limited.is_empty() && FIGURES.iter().all(|name| quota["remaining"][name].is_null()), "{quota}");
}
