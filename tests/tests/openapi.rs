//! The API's own description: it is served and shown, and the server keeps to it whatever it is sent.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gavel_tests::{Agent, GavelServer, User, gavel, gavel_with};
use serde_json::json;
use tokio::process::Command;

/// How long `schemathesis` may take, far above what its bounded number of examples needs.
const PATIENCE: Duration = Duration::from_secs(900);
/// What every run shares.
const CONFIG: &str = include_str!("openapi/schemathesis.toml");
/// Limits that ten thousand requests in a few minutes stay under.
const UNLIMITED: &str = "[limits]\nmessage_bytes = 65536\n";

#[tokio::test]
async fn the_description_is_served_to_anyone() {
    let (server, _upstream, _alice) = gavel().await;
    let answer = server.anyone().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert!(document["paths"]["/v1/agents"]["post"].is_object());
}

#[tokio::test]
async fn the_reference_loads_nothing_from_elsewhere() {
    let (server, _upstream, _alice) = gavel().await;
    let page = server.anyone().get("/docs").await;
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
    let text = page.text();
    page.expect(200);
    let named = text.split('"').filter(|piece| piece.starts_with('/') && piece.len() > 2);
    let mut loaded = 0;
    for path in named {
        let file = server.anyone().get(path).await;
        assert_eq!(file.status, 200, "{path}");
        loaded += 1;
        if path.starts_with("/docs") {
            let policy = file.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
            assert!(!policy.contains("http") && !policy.contains('*'), "{path}: {policy}");
        }
    }
    assert!(loaded >= 5, "{text}");
    assert!(!text.contains("://"), "{text}");
    server.anyone().get("/docs/index.html").await.refused(404, "not_found");
}

#[tokio::test]
async fn what_no_good_client_sends_is_refused_in_words() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let long = format!("/v1/agents/{}", "x".repeat(4000));
    for path in ["/v1/agents/%ff", "/v1/agents/%00", "/docs/%ff", "/docs/%2e%2e", "/log/tile/%ff", long.as_str()] {
        alice.get(path).await.refused(404, "not_found");
    }
    alice.get("/verify/proof/%ff").await.refused(404, "not_found");
    for query in ["limit=0", "limit=99999999999999999999", "limit=1&limit=2", "limit=%ff", "limt=1", "cursor=%00", "x"]
    {
        alice.get(&format!("/v1/agents?{query}")).await.refused(400, "invalid_request");
    }
    for path in ["", "/start", "/stop", "/vault"] {
        let answer = match path {
            "" | "/vault" => alice.get(&format!("{}?typo=1", agent.path(path))).await,
            _ => alice.post(&format!("{}?typo=1", agent.path(path)), &json!({})).await,
        };
        answer.refused(400, "invalid_request");
    }
    for body in [
        r#"{"agent_name":"a","agent_name":"b"}"#,
        r#"{"labels":{"a":"\ud800"}}"#,
        r#"{"labels":1e999}"#,
        "{\"agent_name\":\"\u{0}\"}",
        "\u{feff}{}",
    ] {
        alice.post_bytes("/v1/agents", "application/json", body).await.refused(400, "invalid_request");
    }
    alice
        .post_bytes("/v1/agents", "application/json", *b"{\"agent_name\":\"\xff\"}")
        .await
        .refused(400, "invalid_request");
    alice.post_bytes("/v1/agents", "text/plain", "{}").await.refused(415, "unsupported_media_type");
}

#[tokio::test]
#[ignore = "takes minutes and a Python environment, `$SCHEMATHESIS`: `.ci/run` makes one and runs it"]
async fn the_server_keeps_to_its_description_whatever_it_is_sent() {
    let schemathesis = std::env::var_os("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let (server, _upstream, alice) = gavel_with(UNLIMITED).await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("schemathesis.toml");
    std::fs::write(&config, format!("{CONFIG}\n{}", dictionaries(&alice, &agent).await)).unwrap();

    let ran = run(Path::new(&schemathesis), &config, directory.path(), &alice).await;
    println!("{ran}");
    the_server_is_well(&server, &alice).await;
}

/// What cannot be guessed: the names of things that exist, for most requests.
async fn dictionaries(alice: &User, agent: &Agent) -> String {
    let turn = alice.chat(agent).await.say("My card is 4111 1111 1111 1111.").await;
    let leaf = turn.frames.iter().find_map(|frame| frame["leaf_hash"].as_str()).unwrap().to_owned();
    let spare = alice.create_agent(json!({"model_provider": "demo"})).await;
    let agents = [agent.id.as_str(), spare.id.as_str()];
    let known: [(&str, &[&str], f32); 5] = [
        ("path.id", &agents, 0.9),
        ("path.leaf_hash", &[&leaf], 0.9),
        ("body.model_provider", &["demo", "mock"], 1.0),
        ("body.provider", &["demo", "mock"], 1.0),
        ("body.expires_at", &["2999-12-31T23:59:59Z"], 1.0),
    ];
    let binding = |(name, values, probability): &(&str, &[&str], f32)| {
        format!(
            "[dictionaries.\"{name}\"]\nvalues = {values:?}\n\n\
             [parameters.\"{name}\"]\ndictionary = \"{name}\"\nprobability = {probability:?}\n\n"
        )
    };
    // What is deleted is another agent than the one that the rest is tried with.
    let doomed = alice.create_agent(json!({"model_provider": "demo"})).await.id;
    let deletion = format!(
        "[dictionaries.doomed]\nvalues = [\"{doomed}\"]\n\n[[operations]]\ninclude-operation-id = \"delete_agent\"\n\
         parameters = {{ \"path.id\" = {{ dictionary = \"doomed\", probability = 0.9 }} }}\n"
    );
    known.iter().map(binding).collect::<String>() + &deletion
}

async fn run(program: &Path, config: &Path, directory: &Path, alice: &User) -> String {
    let report =
        PathBuf::from(std::env::var_os("SCHEMATHESIS_REPORT").unwrap_or_else(|| directory.join("report").into()));
    let run = Command::new(program)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("http://{}/openapi.json", alice.addr()))
        .arg("--report-dir")
        .arg(report)
        .current_dir(directory)
        .env("GAVEL_TOKEN", alice.token().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.expect("it ends in time").expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn the_server_is_well(server: &GavelServer, alice: &User) {
    assert_eq!(server.anyone().get("/health").await.expect(200)["status"], "ok");
    alice.get("/v1/agents").await.expect(200);
    let said = server.said();
    assert!(!said.contains("panicked"), "{said}");
}
