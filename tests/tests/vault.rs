//! An agent's own keys for its providers: used for its calls, and seen nowhere else.

use axum::http::HeaderMap;
use gavel_tests::{Answer, GavelServer, MOCK_KEY, Script, Setup, Upstream, gavel};
use serde_json::{Value, json};

use crate::privacy::{VERBOSE, holding};

const FIRST: &str = "sk-zebra-first-0123456789abcdef";
const SECOND: &str = "sk-zebra-second-0123456789abcdef";

/// The key that the provider was last called with.
fn shown_to(upstream: &Upstream) -> String {
    let bearer = |headers: &HeaderMap| headers["authorization"].to_str().unwrap().to_owned();
    bearer(&upstream.received().last().expect("the provider was called").headers)
}

/// Everything that clients were told, to be searched.
#[derive(Default)]
struct Heard(String);

impl Heard {
    fn answer(&mut self, answer: Answer) -> Answer {
        self.0.push_str(&format!("{:?}\n{}\n", answer.headers, answer.text()));
        answer
    }

    fn frames(&mut self, frames: &[Value]) {
        self.0.extend(frames.iter().map(|frame| format!("{frame}\n")));
    }
}

#[tokio::test]
async fn a_key_is_used_for_the_agents_calls_and_stands_nowhere_in_the_clear() {
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).log_level(VERBOSE)).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    let (path, mut heard) = (agent.path("/vault"), Heard::default());
    let key = |key: &str| json!({"provider": "mock", "api_key": key});

    heard.frames(&alice.chat(&agent).await.say("Hello").await.frames);
    assert_eq!(shown_to(&upstream), format!("Bearer {MOCK_KEY}"), "the operator's, where the agent has none");
    let first = heard.answer(alice.post(&path, &key(FIRST)).await).expect(201);
    heard.frames(&alice.chat(&agent).await.say("Hello").await.ended("stop").frames);
    assert_eq!(shown_to(&upstream), format!("Bearer {FIRST}"), "the agent's own comes first");

    let second = heard.answer(alice.post(&path, &key(SECOND)).await).expect(200);
    assert_eq!(second["created_at"], first["created_at"]);
    let mut chat = alice.chat(&agent).await;
    heard.frames(&chat.say("And now?").await.ended("stop").frames);
    assert_eq!(shown_to(&upstream), format!("Bearer {SECOND}"));

    let echo = json!({"error": {"message": format!("Incorrect API key provided: {SECOND}")}}).to_string();
    let refused = Script::answers(401, "application/json", echo.clone()).header("x-your-key", SECOND);
    let in_the_stream = Script::answers(200, "text/event-stream", format!("data: {echo}\n\n"));
    for (script, code) in [(refused, "provider_unauthorized"), (in_the_stream, "provider_unavailable")] {
        upstream.answers(script);
        let turn = chat.say("And then?").await;
        assert_eq!(turn.ended("error").error["code"], code);
        heard.frames(&turn.frames);
    }
    for wrong in [
        json!({"provider": SECOND, "api_key": FIRST}),
        json!({"provider": "mock", "api_key": [SECOND]}),
        json!({"provider": "mock", "api_key": format!("{SECOND} ")}),
        json!({"provider": "mock", "key": SECOND}),
    ] {
        heard.answer(alice.post(&path, &wrong).await).refused(400, "invalid_request");
    }
    for path in ["", "/vault", "/messages"] {
        heard.answer(alice.get(&agent.path(path)).await).expect(200);
    }
    heard.answer(server.operator().get("/metrics").await);
    let mut said = server.said();

    server.kill().await;
    server.start_again().await;
    upstream.answers(Script::says(["Back again."]));
    heard.frames(&server.admin().chat(&agent).await.say("Still there?").await.ended("stop").frames);
    assert_eq!(shown_to(&upstream), format!("Bearer {SECOND}"), "a restart loses no key");
    server.ask_to_stop();
    assert!(server.ended().await.success());
    said.push_str(&server.said());

    for key in [FIRST, SECOND, MOCK_KEY] {
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [key, hex.as_str()] {
            assert_eq!(holding(&server.data_dir(), text), Vec::<String>::new(), "{text}");
            assert!(!said.contains(text), "{text} is in the server's log");
            assert!(!heard.0.contains(text), "{text} was told a client");
        }
    }
    assert!(heard.0.contains(r#""key_prefix":"sk-zebr""#), "its first characters are shown");
}

#[tokio::test]
async fn keys_are_listed_by_their_first_characters_and_removed() {
    let (_server, upstream, alice) = gavel().await;
    let (agent, other) = (alice.starts(json!({})).await, alice.starts(json!({})).await);
    let path = agent.path("/vault");
    assert_eq!(alice.get(&path).await.expect(200), json!({"keys": []}));
    alice.post(&path, &json!({"provider": "openai", "api_key": "12345678"})).await.expect(201);
    let made = alice.post(&path, &json!({"provider": "mock", "api_key": FIRST})).await.expect(201);
    assert_eq!((&made["provider"], &made["key_prefix"]), (&json!("mock"), &json!("sk-zebr")));
    assert_eq!(made["created_at"], made["updated_at"]);
    assert_eq!(made.as_object().unwrap().len(), 4, "{made}");

    let keys = alice.get(&path).await.expect(200)["keys"].clone();
    assert_eq!(keys[0], made);
    assert_eq!((&keys[1]["provider"], &keys[1]["key_prefix"]), (&json!("openai"), &json!("12")));
    assert_eq!(alice.get(&other.path("/vault")).await.expect(200), json!({"keys": []}), "each agent has its own");

    let removed = alice.delete(&format!("{path}?provider=mock")).await;
    assert_eq!((removed.status, removed.text().as_str()), (204, ""));
    alice.delete(&format!("{path}?provider=mock")).await.refused(404, "not_found");
    alice.delete(&format!("{path}?provider=nobody")).await.refused(404, "not_found");
    for unnamed in [path.clone(), format!("{path}?provider=")] {
        alice.delete(&unnamed).await.points_at(400, "invalid_request", &["/provider"]);
    }
    alice.delete(&format!("{path}?provider=openai&force=1")).await.refused(400, "invalid_request");
    assert_eq!(alice.get(&path).await.expect(200)["keys"].as_array().unwrap().len(), 1);
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(shown_to(&upstream), format!("Bearer {MOCK_KEY}"), "a removed key is used no more");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_with_a_pointer() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let path = agent.path("/vault");
    let key = |key: &str| json!({"provider": "mock", "api_key": key});
    for bad in ["1234567", &"x".repeat(4097), "sk-with-a\nline", "sk with spaces", "sk-\u{e9}1234567", ""] {
        alice.post(&path, &key(bad)).await.points_at(400, "invalid_request", &["/api_key"]);
    }
    for good in ["12345678", &"x".repeat(4096)] {
        assert!(matches!(alice.post(&path, &key(good)).await.status, 200 | 201));
    }
    for (wrong, pointers) in [
        (json!({"provider": "nobody", "api_key": FIRST}), &["/provider"][..]),
        (json!({"provider": "", "api_key": FIRST}), &["/provider"]),
        (json!({"api_key": FIRST}), &["/provider"]),
        (json!({"provider": "mock"}), &["/api_key"]),
        (json!({"provider": null, "api_key": null}), &["/provider", "/api_key"]),
        (json!({}), &["/provider", "/api_key"]),
        (json!({"provider": "mock", "api_key": 1_234_567_890}), &["/api_key"]),
        (json!({"provider": 7, "api_key": FIRST}), &["/provider"]),
    ] {
        alice.post(&path, &wrong).await.points_at(400, "invalid_request", pointers);
    }
    server.anyone().post(&path, &key(FIRST)).await.refused(401, "unauthorized");
    server.anyone().get(&path).await.refused(401, "unauthorized");
    server.anyone().delete(&format!("{path}?provider=mock")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_key_goes_to_the_origins_that_it_was_given_for_alone() {
    let (trusted, elsewhere) = (Upstream::start().await, Upstream::start().await);
    let provider = format!(
        "[providers.own]\nplugin = \"openai\"\nallow_private = true\nconfig = {{ base_url = \"http://{}/v1\" }}\n",
        trusted.addr()
    );
    let mut server = GavelServer::start(Setup::with(&elsewhere).toml(&provider)).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"model_provider": "own"})).await;
    let key = json!({"provider": "own", "api_key": FIRST});
    alice.post(&agent.path("/vault"), &key).await.expect(201);
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(shown_to(&trusted), format!("Bearer {FIRST}"));

    let config = std::fs::read_to_string(server.config_file()).unwrap();
    let moved = config.replace(&trusted.addr().to_string(), &elsewhere.addr().to_string());
    std::fs::write(server.config_file(), moved).unwrap();
    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert_eq!(turn.ended("error").error["code"], "provider_unauthorized");
    assert!(turn.error["message"].as_str().unwrap().contains("put it there again"), "{}", turn.error);
    assert!(elsewhere.received().is_empty(), "the key went nowhere");

    alice.post(&agent.path("/vault"), &key).await.expect(200);
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(shown_to(&elsewhere), format!("Bearer {FIRST}"));
}
