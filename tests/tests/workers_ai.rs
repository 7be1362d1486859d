//! The default agent: on Cloudflare Workers AI, spoken with as the vendor documents it.

use gavel_tests::{Agent, GavelServer, Script, Setup, Upstream, User};
use serde_json::{Value, json};

const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const KEY: &str = "cf-zebra-0123456789abcdefghijklmnopqrstuv";

/// A server whose `workers-ai` speaks with the mock, for this account.
async fn gavel(account: &str) -> (GavelServer, Upstream, User) {
    let upstream = Upstream::start().await;
    let provider = format!(
        "[providers.workers-ai]\nallow_private = true\nconfig = {{ {account} base_url = \"http://{}/client/v4\" }}\n",
        upstream.addr()
    );
    let server = GavelServer::start(Setup::with(&upstream).toml(&provider)).await;
    let alice = server.admin();
    (server, upstream, alice)
}

fn account() -> String {
    format!("account_id = \"{ACCOUNT}\",")
}

/// An agent of which nothing was said, with a key in its vault.
async fn an_agent(alice: &User) -> Agent {
    let made = alice.post_bytes("/v1/agents", "", "").await.expect(201);
    let agent = Agent { id: made["agent_id"].as_str().unwrap().to_owned(), made };
    alice.start(&agent).await;
    alice.post(&agent.path("/vault"), &json!({"provider": "workers-ai", "api_key": KEY})).await.expect(201);
    agent
}

#[tokio::test]
async fn an_agent_of_which_nothing_was_said_answers() {
    let (_server, upstream, alice) = gavel(&account()).await;
    let agent = an_agent(&alice).await;
    upstream.answers(Script::says_as_cloudflare(["Gr\u{fc}\u{df}", " Gott", "!"], true));
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say("Hello").await;
    assert_eq!(turn.ended("stop").text, "Gr\u{fc}\u{df} Gott!");
    assert_eq!(turn.usage, json!({"input_tokens": 11, "output_tokens": 7}));
    assert_eq!((&turn.input["decision"], &turn.output["decision"]), (&json!("allow"), &json!("allow")));

    let received = upstream.received().pop().unwrap();
    assert_eq!(received.path, format!("/client/v4/accounts/{ACCOUNT}/ai/run/@cf/meta/llama-3.1-8b-instruct"));
    assert_eq!(received.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(received.headers["content-type"], "application/json");
    let asked = json!({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1024, "stream": true});
    assert_eq!(received.body, asked);

    chat.say("And you?").await.ended("stop");
    assert_eq!(upstream.last_conversation(), ["user: Hello", "assistant: Gr\u{fc}\u{df} Gott!", "user: And you?"]);
}

#[tokio::test]
async fn its_answers_are_governed() {
    let (_server, upstream, alice) = gavel(&account()).await;
    let agent = an_agent(&alice).await;
    alice.patch(&agent.path(""), &json!({"governance_mode": "enforcing"})).await.expect(200);
    upstream.answers(Script::says_as_cloudflare(["It is 4111 1", "111 1111", " 1111."], true));
    let turn = alice.chat(&agent).await.say("What is my card's number?").await;
    assert!(!turn.ended("stop").shows("1111"), "{:#?}", turn.frames);
    assert_eq!((&turn.output["decision"], &turn.output["enforced"]), (&json!("redact"), &json!(true)));
}

#[tokio::test]
async fn its_faults_are_told_apart() {
    let (_server, upstream, alice) = gavel(&account()).await;
    let agent = an_agent(&alice).await;
    let refuses = |status: u16, code: u32| {
        let errors = json!([{"code": code, "message": "the vendor's own words"}]);
        let body = json!({"success": false, "errors": errors, "messages": [], "result": null}).to_string();
        Script::answers(status, "application/json", body)
    };
    let mut chat = alice.chat(&agent).await;
    for (script, code) in [
        (refuses(401, 10000), "provider_unauthorized"),
        (refuses(403, 5018), "provider_unauthorized"),
        (refuses(429, 3036).header("retry-after", "7"), "provider_rate_limited"),
        (refuses(400, 5007), "provider_refused"),
        (refuses(500, 0), "provider_unavailable"),
        (refuses(200, 3040), "provider_unavailable"),
        (Script::says_as_cloudflare(["Once upon"], false), "provider_unavailable"),
    ] {
        upstream.answers(script);
        let turn = chat.say("Hello").await;
        assert_eq!(turn.ended("error").error["code"], code, "{:#?}", turn.frames);
        assert!(!turn.shows("the vendor's own words"));
        let wait = if code == "provider_rate_limited" { json!(7) } else { Value::Null };
        assert_eq!(turn.error["retry_after"], wait);
    }
    upstream.answers(Script::says_as_cloudflare(["All is well."], true));
    assert_eq!(chat.say("And now?").await.ended("stop").text, "All is well.");
}

#[tokio::test]
async fn without_a_key_it_is_never_called() {
    let (_server, upstream, alice) = gavel(&account()).await;
    let agent = an_agent(&alice).await;
    alice.delete(&agent.path("/vault?provider=workers-ai")).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert_eq!(turn.ended("error").error["code"], "provider_unauthorized");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn without_an_account_the_server_starts_and_its_log_says_what_is_missing() {
    let (mut server, upstream, alice) = gavel("").await;
    let agent = an_agent(&alice).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert_eq!(turn.ended("error").error["code"], "provider_refused");
    assert!(upstream.received().is_empty());
    server.ask_to_stop();
    server.ended().await;
    assert!(server.said().contains("config.account_id"), "{}", server.said());
}
