//! What the templates of `gavel plugin new` make, in a server: `.ci/templates` builds them, and `$GAVEL_TEMPLATES` says where.

use std::path::PathBuf;
use std::time::Duration;

use gavel_tests::{Agent, Answer, Chat, GavelServer, Script, Setup, Upstream, User, gavel};
use reqwest::Method;
use serde_json::{Value, json};

/// A component of a template; none where its language is not here, which `.ci/templates` has said.
fn built(name: &str) -> Option<Vec<u8>> {
    let directory = std::env::var_os("GAVEL_TEMPLATES").expect("GAVEL_TEMPLATES names a directory");
    std::fs::read(PathBuf::from(directory).join(format!("{name}.wasm"))).ok()
}

/// How long a component may take to be compiled: those of JavaScript and Python hold the engines of their languages.
const PATIENCE: Duration = Duration::from_secs(300);

async fn install(admin: &User, bytes: Vec<u8>) -> Value {
    let request = admin.request(Method::POST, "/v1/plugins").header("content-type", "application/wasm").body(bytes);
    let answer = async { Answer::of(request.send().await.expect("the server answers")).await };
    tokio::time::timeout(PATIENCE, answer).await.expect("the component is compiled in time").expect(201)
}

/// An agent in enforcing mode for each language's policy.
async fn agents(alice: &User) -> Vec<(String, Agent)> {
    let mut agents = Vec::new();
    for language in ["rust", "js", "python"] {
        let name = format!("code-names-{language}");
        let Some(bytes) = built(&name) else {
            println!("{name} was not built, and is not tried");
            continue;
        };
        install(alice, bytes).await;
        let binding = json!({"policy": name, "config": {"names": ["Bluebird", "計画"]}});
        let wish = json!({"model_provider": "mock", "governance_mode": "enforcing", "policies": [binding]});
        agents.push((name, alice.starts(wish).await));
    }
    assert!(agents.len() > 1, "there is nothing to compare");
    agents
}

#[tokio::test]
#[ignore = "needs components of all languages, `$GAVEL_TEMPLATES`: `.ci/run` makes them and runs it"]
async fn policies_of_every_language_judge_alike_and_while_an_answer_is_written() {
    let (_server, upstream, alice) = gavel().await;
    let agents = agents(&alice).await;
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
        streams(&mut chat, &upstream).await;
    }
    for (other, (name, _)) in judged.iter().zip(&agents) {
        assert_eq!(other, &judged[0], "{name} judges otherwise than {}", agents[0].0);
    }
    assert_eq!(judged[0][0][1][0]["span"], json!([3, 11]));
    assert_eq!(judged[0][2][1][0]["span"], json!([10, 18]));
}

/// An answer goes while it is written, as far as nothing that follows can make a name of it.
async fn streams(chat: &mut Chat, upstream: &Upstream) {
    let (script, pace) = Script::says_at_a_pace(["é世😀 What ", "of bluebird, ", "in May?"]);
    upstream.will(script);
    let id = chat.start_saying("Well?").await;
    pace.let_go(2);
    // The upstream has said no more than this.
    let begun = chat.frames_until("stream_chunk").await;
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    assert_eq!(turn.ended("stop").text, "é世😀 What of [redacted:code-name], in May?");
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
    let wish = json!({"model_provider": "own", "model": "small", "policies": []});
    let agent = alice.starts(wish).await;
    let mut chat = alice.chat(&agent).await;
    let (script, pace) = Script::says_at_a_pace(["Grüße, ", "世界", "😀. ", "Call", " again."]);
    upstream.will(script);
    let id = chat.start_saying("Hello?").await;
    pace.let_go(1);
    // The upstream has said no more than this, and it is here already.
    let begun = chat.frames_until("stream_chunk").await;
    pace.let_all_go();
    let turn = chat.rest_of_turn(&id, begun).await;
    turn.ended("stop");
    assert_eq!(turn.text, "Grüße, 世界😀. Call again.");
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
