//! What another policy would have decided on what was said before, told without changing anything.

use gavel_tests::{Agent, GavelServer, Ran, Setup, Upstream, User, gavel, within};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile::Home;

const CARD: &str = "4111 1111 1111 1111";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// Two harmless turns, a card from the client and one from the model: of eight results two have a card, both redacted.
async fn history(alice: &User, upstream: &Upstream) -> Agent {
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": "pii"}]})).await;
    let mut chat = alice.chat(&agent).await;
    let (given, told) = (format!("Mine is {CARD}."), format!("It is {CARD}."));
    for (question, answer) in
        [("Hello.", "Hello."), (given.as_str(), "Thanks."), ("Which?", told.as_str()), ("Bye.", "Bye.")]
    {
        upstream.will_say([answer]);
        chat.say(question).await.ended("stop");
    }
    agent
}

async fn backtest(who: &User, policy: &str, wish: Value) -> Value {
    who.post(&format!("/v1/policies/{policy}/backtest"), &wish).await.expect(200)
}

fn changes(report: &Value) -> [u64; 4] {
    ["newly_blocked", "newly_redacted", "newly_let_through", "unchanged"].map(|count| report[count].as_u64().unwrap())
}

#[tokio::test]
async fn an_owner_learns_what_a_stricter_or_milder_policy_would_have_done() {
    let (_server, upstream, alice) = gavel().await;
    let agent = history(&alice, &upstream).await;
    let before = alice.get("/health").await.expect(200)["log"]["tree_size"].clone();
    let stricter = backtest(&alice, "pii", json!({"agent_id": agent.id, "config": {"action": "block"}})).await;
    assert_eq!(changes(&stricter), [2, 0, 0, 6], "{stricter}");
    assert_eq!((&stricter["looked_at"], &stricter["judged"]), (&json!(8), &json!(8)));
    assert_eq!(stricter["compared_with"], json!({"policy": 8, "decision": 0}));
    assert_eq!(stricter["skipped"], json!({"no_opening": 0, "other_stage": 0}));
    assert_eq!(stricter["rules"]["card"]["newly_blocked"], 2);
    assert_eq!(stricter["next_cursor"], Value::Null);
    let examples = stricter["examples"].as_array().unwrap();
    let texts: Vec<_> = examples.iter().map(|example| example["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, [format!("It is {CARD}."), format!("Mine is {CARD}.")], "the newest first");
    for example in examples {
        assert_eq!((&example["recorded"], &example["candidate"]), (&json!("redact"), &json!("block")));
        alice.proof(&agent, example["leaf_hash"].as_str().unwrap()).await.expect(200);
    }
    let milder = backtest(&alice, "pii", json!({"agent_id": agent.id, "config": {"action": "flag"}})).await;
    assert_eq!(changes(&milder), [0, 0, 2, 6], "{milder}");
    assert_eq!(milder["rules"]["card"]["newly_let_through"], 2);
    let same = backtest(&alice, "pii@0.1.0", json!({"agent_id": agent.id})).await;
    assert_eq!(changes(&same), [0, 0, 0, 8]);
    assert_eq!(same["examples"], json!([]));
    assert_eq!(alice.get("/health").await.expect(200)["log"]["tree_size"], before, "nothing is logged");
}

#[tokio::test]
async fn a_policy_that_was_not_bound_is_held_against_the_whole_decision() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": "pii"}]})).await;
    upstream.will_say([format!("Take {KEY} and {CARD}.")]);
    alice.chat(&agent).await.say("Which?").await.ended("stop");
    let report = backtest(&alice, "secrets", json!({"agent_id": agent.id, "config": {"action": "block"}})).await;
    assert_eq!((changes(&report), &report["compared_with"]), ([1, 0, 0, 1], &json!({"policy": 0, "decision": 2})));
    // Of the two, `pii` has redacted one already.
    let report = backtest(&alice, "secrets", json!({"agent_id": agent.id, "config": {"action": "redact"}})).await;
    assert_eq!(changes(&report), [0, 0, 0, 2], "{report}");
    let other = json!({"agent_id": agent.id, "policy": "secrets", "config": {"action": "block"}});
    let report = backtest(&alice, "pii", other).await;
    assert_eq!((&report["policy"], &report["candidate"]["policy"]), (&json!("pii"), &json!("secrets")));
    assert_eq!((changes(&report), &report["compared_with"]["policy"]), ([1, 0, 0, 1], &json!(2)));
}

#[tokio::test]
async fn all_agents_are_for_administrators_and_texts_for_owners() {
    let (server, upstream, admin) = gavel().await;
    let (alice, bob) = (server.new_user("alice", &[]).await, server.new_user("bob", &[]).await);
    let auditor = server.new_user("eve", &["--auditor"]).await;
    let (alices, admins) = (history(&alice, &upstream).await, history(&admin, &upstream).await);
    let wish = json!({"config": {"action": "block"}});
    let of_alice = json!({"agent_id": alices.id, "config": {"action": "block"}});
    let path = "/v1/policies/pii/backtest";
    for member in [&alice, &bob, &auditor] {
        member.post(path, &wish).await.refused(403, "forbidden");
    }
    bob.post(path, &of_alice).await.refused(404, "not_found");
    let (_, key) = alice.gives_key(&alices, &["proofs:read", "agent:read"]).await;
    key.post(path, &of_alice).await.refused(403, "forbidden");

    let report = backtest(&admin, "pii", wish).await;
    assert_eq!((changes(&report), report["looked_at"].as_u64()), ([4, 0, 0, 12], Some(16)));
    for example in report["examples"].as_array().unwrap() {
        assert_eq!(example["text"].is_string(), example["agent_id"] == admins.id.as_str(), "{example}");
    }
    let report = backtest(&admin, "pii", of_alice).await;
    assert_eq!(changes(&report), [2, 0, 0, 6]);
    assert!(!report.to_string().contains(CARD));
}

#[tokio::test]
async fn pages_and_times_bound_it_and_what_was_erased_is_counted() {
    let (_server, upstream, alice) = gavel().await;
    let agent = history(&alice, &upstream).await;
    let mut wish = json!({"agent_id": agent.id, "config": {"action": "block"}, "limit": 3});
    let (mut total, mut pages) = ([0; 4], 0);
    loop {
        let report = backtest(&alice, "pii", wish.clone()).await;
        assert!(report["looked_at"].as_u64().unwrap() <= 3);
        for (sum, count) in total.iter_mut().zip(changes(&report)) {
            *sum += count;
        }
        pages += 1;
        let Some(cursor) = report["next_cursor"].as_str() else { break };
        wish["cursor"] = json!(cursor);
    }
    assert_eq!((total, pages), ([2, 0, 0, 6], 3));
    let future = backtest(&alice, "pii", json!({"agent_id": agent.id, "since": "2999-01-01T00:00:00Z"})).await;
    assert_eq!(future["looked_at"], 0);
    let past = backtest(&alice, "pii", json!({"agent_id": agent.id, "until": "2999-01-01T00:00:00Z"})).await;
    assert_eq!(past["looked_at"], 8);

    alice.delete(&agent.path("/messages")).await.expect(200);
    let erased = backtest(&alice, "pii", json!({"agent_id": agent.id})).await;
    assert_eq!((&erased["looked_at"], &erased["judged"]), (&json!(8), &json!(0)));
    assert_eq!(erased["skipped"]["no_opening"], 8);
}

#[tokio::test]
async fn a_stream_says_how_far_it_is_and_ends_with_the_result() {
    let (_server, upstream, alice) = gavel().await;
    let agent = history(&alice, &upstream).await;
    let request = alice
        .request(Method::POST, "/v1/policies/pii/backtest")
        .header("accept", "application/x-ndjson")
        .json(&json!({"agent_id": agent.id, "config": {"action": "block"}}));
    let answer = alice.send(request).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, progress) = lines.split_last().unwrap();
    assert_eq!(changes(&last["result"]), [2, 0, 0, 6]);
    assert!(progress.iter().all(|line| line["progress"]["judged"].is_u64()));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_place() {
    let (_server, _upstream, alice) = gavel().await;
    let path = "/v1/policies/pii/backtest";
    alice.post("/v1/policies/unknown/backtest", &json!({})).await.refused(404, "not_found");
    for (wish, pointer) in [
        (json!({"policy": "unknown"}), "/policy"),
        (json!({"limit": 0}), "/limit"),
        (json!({"limit": 100_001}), "/limit"),
        (json!({"since": "yesterday"}), "/since"),
        (json!({"agent_id": "me"}), "/agent_id"),
        (json!({"cursor": "nonsense"}), "/cursor"),
    ] {
        alice.post(path, &wish).await.points_at(400, "invalid_request", &[pointer]);
    }
    let config = json!({"config": {"action": "shred"}});
    alice.post(path, &config).await.points_at(422, "invalid_configuration", &["/config/action"]);
    alice.post(path, &json!({"conf": {}})).await.refused(400, "invalid_request");
}

async fn from_the_command_line(server: &GavelServer, more: &[&str]) -> Ran {
    let (data, config) = (server.data_dir(), server.config_file());
    let place = ["--data-dir", data.to_str().unwrap(), "--server-config", config.to_str().unwrap()];
    server.runs(&[&["backtest", "pii"], more, &place].concat()).await
}

#[tokio::test]
async fn an_operator_asks_with_the_server_and_without_and_sees_no_text() {
    // Commands open the installation by the key that is in it.
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let alice = server.admin();
    let agent = history(&alice, &upstream).await;
    let file = server.data_dir().join("stricter.json");
    std::fs::write(&file, r#"{"action":"block"}"#).unwrap();
    let stricter = ["--config", file.to_str().unwrap(), "--json"];
    for running in [true, false] {
        let ran = from_the_command_line(&server, &stricter).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(changes(&report["tally"]), [2, 0, 0, 6], "{ran:?}");
        assert!(!ran.out.contains(CARD) && ran.out.contains("leaf_hash"));
        let words = from_the_command_line(&server, &["--agent", &agent.id, stricter[0], stricter[1]]).await;
        assert!(words.out.contains("newly blocked      2") && words.out.contains("messages/s"), "{words:?}");
        assert_eq!(words.err, "", "no progress in a pipe");
        let digest = report["candidate"]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let component = server.data_dir().join(format!("components/{digest}.wasm"));
        let ran = from_the_command_line(&server, &["--file", component.to_str().unwrap(), "--json"]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert_eq!(changes(&serde_json::from_str::<Value>(&ran.out).unwrap()["tally"]), [0, 0, 0, 8]);
        if running {
            server.kill().await;
        }
    }
    std::fs::write(&file, r#"{"action":"shred"}"#).unwrap();
    let ran = from_the_command_line(&server, &stricter).await;
    assert!(ran.status == Some(1) && ran.err.contains("/action"), "{ran:?}");
    let ran = from_the_command_line(&server, &["--file", file.to_str().unwrap()]).await;
    assert!(ran.status == Some(1) && ran.err.contains("not a WebAssembly component"), "{ran:?}");
    std::fs::write(&file, "no JSON").unwrap();
    assert_eq!(from_the_command_line(&server, &stricter).await.status, Some(2));
    assert_eq!(from_the_command_line(&server, &["--since", "yesterday"]).await.status, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_one_at_a_time_until_nobody_listens_and_failures_are_counted() {
    let home = Home::new().await;
    let agent = home.agent("transparent", json!({"policy": "hostile"})).await;
    // Each takes the policy all of its fuel.
    let messages: Vec<_> =
        (0..80).map(|number| json!({"role": "user", "content": format!("do:loop. {number}")})).collect();
    home.upstream.will_say(["Fine."]);
    home.alice.completes(&agent, json!(messages), json!({})).await.ended("stop");
    let path = "/v1/policies/hostile/backtest";
    let wish = json!({"agent_id": agent.id});
    let asked = || home.alice.request(Method::POST, path).json(&wish);
    let stream = asked().header("accept", "application/x-ndjson").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let refused = home.alice.send(asked()).await;
    assert_eq!(refused.header("retry-after"), "10");
    refused.refused(429, "backtest_running");
    drop(stream);
    let report = within("the first one's end", async {
        loop {
            let answer = home.alice.send(asked()).await;
            if answer.status == 200 {
                break answer.expect(200);
            }
        }
    });
    let report = report.await;
    assert_eq!((&report["errors"], &report["judged"]), (&json!({"fuel": 80}), &json!(81)), "{report}");
    home.ends().await;
}
