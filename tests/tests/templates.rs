//! What the templates of `gavel plugin new` make, in a server: `.ci/templates` builds them, and `$GAVEL_TEMPLATES` says where.

use std::path::PathBuf;

use gavel_tests::{GavelServer, Script, Setup, Upstream, User, gavel};
use serde_json::{Value, json};

/// A component of a template; none where its language is not here, which `.ci/templates` has said.
fn built(name: &str) -> Option<Vec<u8>> {
    let directory = std::env::var_os("GAVEL_TEMPLATES").expect("GAVEL_TEMPLATES names a directory");
    std::fs::read(PathBuf::from(directory).join(format!("{name}.wasm"))).ok()
}

async fn install(admin: &User, bytes: Vec<u8>) -> Value {
    admin.post_bytes("/v1/plugins", "application/wasm", bytes).await.expect(201)
}

#[tokio::test]
#[ignore = "needs components of all languages, `$GAVEL_TEMPLATES`: `.ci/run` makes them and runs it"]
async fn policies_of_every_language_judge_alike() {
    let (_server, upstream, alice) = gavel().await;
    let mut agents = Vec::new();
    for language in ["rust", "js", "python"] {
        let name = format!("code-names-{language}");
        let Some(bytes) = built(&name) else {
            println!("{name} was not built, and is not tried");
            continue;
        };
        install(&alice, bytes).await;
        let binding = json!({"policy": name, "config": {"names": ["Bluebird", "計画"]}});
        let wish = json!({"model_provider": "mock", "governance_mode": "enforcing", "policies": [binding]});
        agents.push((name, alice.starts(wish).await));
    }
    assert!(agents.len() > 1, "there is nothing to compare");
    let mut judged: Vec<Vec<Value>> = Vec::new();
    for (name, agent) in &agents {
        let mut chat = alice.chat(agent).await;
        let mut seen = Vec::new();
        for said in ["Is Bluebird on time?", "é世😀 bluebird, 計画.", "Bluebirds sing", "a_Bluebird é Bluebird計画"]
        {
            upstream.will(Script::says(["é世 Blue", "bird😀 an", "d 計", "画, or blue", "birds"]));
            let turn = chat.say(said).await;
            turn.ended("stop");
            assert_eq!(turn.text, "é世 [redacted:code-name]😀 and [redacted:code-name], or bluebirds", "{name}");
            for result in [&turn.input, &turn.output] {
                let verdict = &result["verdicts"][0];
                seen.push(json!([result["decision"], verdict["findings"], verdict["error"]]));
            }
        }
        judged.push(seen);
    }
    for (other, (name, _)) in judged.iter().zip(&agents) {
        assert_eq!(other, &judged[0], "{name} judges otherwise than {}", agents[0].0);
    }
    assert_eq!(judged[0][0][1][0]["span"], json!([3, 11]));
    assert_eq!(judged[0][2][1][0]["span"], json!([10, 18]));
}

async fn speaks(language: &str) {
    let plugin = format!("my-model-{language}");
    let Some(bytes) = built(&plugin) else {
        println!("{plugin} was not built, and is not tried");
        return;
    };
    let upstream = Upstream::start().await;
    let toml = format!(
        "[providers.own]\nplugin = \"{plugin}\"\nconfig = {{ base_url = \"http://{}/v1\" }}\nallow_private = true\n",
        upstream.addr()
    );
    let server = GavelServer::start(Setup::with(&upstream).toml(&toml)).await;
    let alice = server.admin();
    install(&alice, bytes).await;
    alice.post(&format!("/v1/plugins/{plugin}/approve"), &json!({})).await.expect(200);
    let wish = json!({"model_provider": "own", "model": "small", "governance_mode": "enforcing"});
    let agent = alice.starts(wish).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will(Script::says(["Grüße, ", "世界", "😀. ", "Call", " again."]));
    let turn = chat.say("Hello?").await;
    turn.ended("stop");
    assert_eq!(turn.text, "Grüße, 世界😀. Call again.");
    let chunks = turn.frames.iter().filter(|frame| frame["type"] == "stream_chunk").count();
    assert!(chunks > 1, "the answer streams: {:#?}", turn.frames);
    assert_eq!(turn.usage, json!({"input_tokens": 11, "output_tokens": 7}));
    let received = upstream.received();
    let asked = received.last().expect("the upstream was asked");
    assert_eq!((asked.path.as_str(), asked.conversation()), ("/v1/chat/completions", vec!["user: Hello?".to_owned()]));
}

#[tokio::test]
#[ignore = "needs its component, `$GAVEL_TEMPLATES`: `.ci/run` makes it and runs it"]
async fn the_provider_in_javascript_streams_by_its_standard_fetch() {
    speaks("js").await;
}

#[tokio::test]
#[ignore = "needs its component, `$GAVEL_TEMPLATES`: `.ci/run` makes it and runs it"]
async fn the_provider_in_rust_streams() {
    speaks("rust").await;
}
