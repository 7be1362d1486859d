//! A policy that fails or lies: its verdict is an error on record, it is obeyed or not as its binding says, and the server
//! goes on. The server runs in this process, since a policy is installed through it.

use std::sync::Arc;

use gavel::config::{Config, FREE, ProviderConfig};
use gavel::plugins::trust::Evidence;
use gavel::plugins::{Plugins, Source};
use gavel::server::Server;
use gavel_tests::{Agent, Turn, Upstream, User, within};
use serde_json::{Value, json};

use crate::components;

/// A server in this process, with the hostile policy installed.
pub(crate) struct Home {
    server: Server,
    pub(crate) upstream: Upstream,
    pub(crate) alice: User,
    pub(crate) directory: tempfile::TempDir,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await;
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            data_dir: directory.path().to_owned(),
            ..Config::default()
        };
        config.plugins.evaluate_ms = 10;
        config.tiers.entry(FREE.to_owned()).or_default().requests_per_minute = None;
        let mock = ProviderConfig {
            plugin: "openai".into(),
            config: json!({"base_url": format!("http://{}/v1", upstream.addr())}),
            allow_private: true,
            ..ProviderConfig::default()
        };
        config.providers.insert("mock".into(), mock);
        let rogue = ProviderConfig { plugin: "rogue".into(), ..ProviderConfig::default() };
        config.providers.insert("rogue".into(), rogue);
        let server = Server::start(config).await.unwrap();
        let token = server.first_user().unwrap().token.expose().to_owned();
        let alice = User::new(server.addr(), Some(token));
        let hostile = components::build("gavel-policy-hostile");
        server.plugins().install(hostile.into(), Source::Upload, Evidence::None).await.unwrap();
        Self { server, upstream, alice, directory }
    }

    pub(crate) async fn agent(&self, mode: &str, binding: Value) -> Agent {
        self.alice.starts(json!({"model_provider": "mock", "governance_mode": mode, "policies": [binding]})).await
    }

    pub(crate) fn plugins(&self) -> &Arc<Plugins> {
        self.server.plugins()
    }

    /// The operator, at the admin listener.
    pub(crate) fn operator(&self) -> User {
        User::new(self.server.admin_addr(), None)
    }

    pub(crate) async fn ends(self) {
        within("the server's end", self.server.shutdown()).await;
    }
}

fn hostile() -> Value {
    json!({"policy": "hostile"})
}

/// A result's first verdict: its error, and what follows from it.
pub(crate) fn error(result: &Value) -> (&Value, &Value) {
    (&result["verdicts"][0]["error"], &result["verdicts"][0]["decision"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_policy_blocks_the_input_and_the_provider_hears_nothing() {
    let home = Home::new().await;
    let agent = home.agent("enforcing", hostile()).await;
    let mut chat = home.alice.chat(&agent).await;
    for (told, kind) in [
        ("loop", "fuel"),
        ("sleep", "trap"),
        ("eat memory", "memory"),
        ("overflow", "stack"),
        ("undeclared", "inconsistent"),
        ("split a character", "inconsistent"),
        ("flood", "size"),
        ("refuse", "refused"),
    ] {
        let turn = chat.say(&format!("é do:{told}.")).await;
        turn.ended("blocked");
        assert_eq!(error(&turn.input), (&json!(kind), &json!("block")), "{told}");
        assert_eq!(turn.input["reason"]["rule"], "policy-error");
        let record = home.alice.record(&agent, turn.input["leaf_hash"].as_str().unwrap()).await;
        assert_eq!(record["verdicts"][0]["error"], kind);
        assert_eq!(record["verdicts"][0]["verdict"], Value::Null);
        assert_eq!(record["verdicts"][0]["reproducible"], json!(kind != "stack"));
        assert!(!record.to_string().contains("do:"), "a plugin's words are on record: {record}");
    }
    assert_eq!(home.upstream.received().len(), 0);
    home.upstream.will_say(["All ", "well."]);
    assert_eq!(chat.say("Hello.").await.ended("stop").text, "All well.");
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_when_it_is_tried_out_is_an_answer() {
    let home = Home::new().await;
    for (told, kind) in
        [("loop", "fuel"), ("eat memory", "memory"), ("undeclared", "inconsistent"), ("refuse", "refused")]
    {
        let question = json!({"text": format!("do:{told}.")});
        let answer = home.alice.post("/v1/policies/hostile/evaluate", &question).await.expect(200);
        assert_eq!((&answer["error"], &answer["decision"]), (&json!(kind), &Value::Null), "{told}");
        assert_eq!((&answer["text"], &answer["edits"], &answer["findings"]), (&Value::Null, &json!([]), &json!([])));
    }
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_breaks_its_word_stops_the_answer() {
    let home = Home::new().await;
    let agent = home.agent("enforcing", hostile()).await;
    let mut chat = home.alice.chat(&agent).await;
    for told in ["clear beyond", "block undeclared", "forget a block", "finish otherwise", "push loop"] {
        home.upstream.will_say([format!("do:{told}."), " More of it.".into(), " And more.".into()]);
        let turn: Turn = chat.say("Go on.").await;
        turn.ended("blocked");
        let kind = if told == "push loop" { "fuel" } else { "inconsistent" };
        assert_eq!(error(&turn.output), (&json!(kind), &json!("block")), "{told}");
        assert_eq!(turn.output["enforced"], true);
    }
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_holds_nothing_back() {
    let home = Home::new().await;
    let binding = json!({"policy": "hostile", "on_error": "allow"});
    let agent = home.agent("enforcing", binding).await;
    home.upstream.will_say(["do:push loop.", " And on."]);
    let turn = home.alice.chat(&agent).await.say("do:panic.").await;
    assert_eq!(turn.ended("stop").text, "do:push loop. And on.");
    assert_eq!(error(&turn.input), (&json!("trap"), &json!("allow")));
    assert_eq!(error(&turn.output), (&json!("fuel"), &json!("allow")));
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_transparent_mode_a_failure_is_on_record_and_stops_nothing() {
    let home = Home::new().await;
    let agent = home.agent("transparent", hostile()).await;
    home.upstream.will_say(["do:loop.", " And on."]);
    let turn = home.alice.chat(&agent).await.say("do:panic.").await;
    assert_eq!(turn.ended("stop").text, "do:loop. And on.");
    for (result, kind) in [(&turn.input, "trap"), (&turn.output, "fuel")] {
        assert_eq!(error(result), (&json!(kind), &json!("block")));
        assert_eq!((&result["decision"], &result["enforced"]), (&json!("block"), &json!(false)));
    }
    home.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_chat_on_while_a_policy_loops() {
    let home = Home::new().await;
    let (hurt, well) =
        (home.agent("enforcing", hostile()).await, home.agent("enforcing", json!({"policy": "pii"})).await);
    home.upstream.answers(gavel_tests::Script::says(["Fine."]));
    let mut looping = home.alice.chat(&hurt).await;
    let loops = async {
        for _ in 0..20 {
            looping.say("do:loop.").await.ended("blocked");
        }
    };
    let mut chat = home.alice.chat(&well).await;
    let chats = async {
        for _ in 0..20 {
            assert_eq!(chat.say("Hello.").await.ended("stop").text, "Fine.");
        }
    };
    tokio::join!(loops, chats);
    home.ends().await;
}
