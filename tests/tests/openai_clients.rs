//! OpenAI's own clients talk with Gavel unchanged: `tests/clients` holds what they do.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use gavel_tests::{Agent, User, gavel};
use serde_json::json;
use tokio::process::Command;

/// How long a client's script may take.
const PATIENCE: Duration = Duration::from_secs(120);

async fn script(program: OsString, file: &str, alice: &User, agents: [&Agent; 2]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(file);
    let [agent, blocking] = agents;
    let ran = Command::new(program)
        .arg(path)
        .env("OPENAI_BASE_URL", format!("http://{}/v1", alice.addr()))
        .env("OPENAI_API_KEY", alice.token().unwrap())
        .env("GAVEL_AGENT", &agent.id)
        .env("GAVEL_BLOCKING_AGENT", &blocking.id)
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(PATIENCE, ran).await.expect("the script ends").expect("the script can be run");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{file}: {said}");
    println!("{said}");
}

/// Two agents that answer offline: one whose policies redact, and one whose policy blocks.
async fn runs(program: &str, file: &str) {
    let program = std::env::var_os(program).unwrap_or_else(|| panic!("{program} names the program"));
    let (_server, _upstream, alice) = gavel().await;
    let wish = json!({"model_provider": "demo", "governance_mode": "enforcing"});
    let agent = alice.starts(wish.clone()).await;
    let policies = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let mut blocks = wish;
    blocks["policies"] = policies;
    let blocking = alice.starts(blocks).await;
    script(program, file, &alice, [&agent, &blocking]).await;
}

#[tokio::test]
#[ignore = "needs a Python with the client, `$OPENAI_PYTHON`: `.ci/run` makes one and runs it"]
async fn openais_python_client_works_unchanged() {
    runs("OPENAI_PYTHON", "python/client.py").await;
}

#[tokio::test]
#[ignore = "needs Node, `$OPENAI_NODE`, and the client beside its script: `.ci/run` installs it and runs it"]
async fn openais_node_client_works_unchanged() {
    runs("OPENAI_NODE", "node/client.mjs").await;
}
