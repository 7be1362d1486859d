//! The portal: a page that verifies proofs in the reader's browser, and loads nothing from elsewhere.

use std::path::Path;
use std::time::Duration;

use gavel_tests::gavel;
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

#[tokio::test]
async fn a_link_to_a_proof_opens_the_portal_in_a_browser_and_gives_json_to_programs() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    let path = format!("/verify/proof/{}", turn.input["leaf_hash"].as_str().unwrap());

    let anyone = server.anyone();
    let browser = anyone.request(Method::GET, &path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = anyone.send(browser).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("vary"), "accept");
    assert_eq!(page.text(), server.anyone().get("/verify/").await.text());

    let answer = server.anyone().get(&path).await;
    assert_eq!(answer.header("vary"), "accept");
    let proof = answer.expect(200);
    assert_eq!(proof["hash"], turn.input["leaf_hash"]);
    assert!(proof["proof"]["record"].is_null(), "the public side is blind");
}

#[tokio::test]
async fn the_portal_loads_its_own_files_alone() {
    let (server, _upstream, _alice) = gavel().await;
    for (path, kind) in [
        ("/verify/", "text/html; charset=utf-8"),
        ("/verify/portal.css", "text/css"),
        ("/verify/portal.js", "text/javascript"),
        ("/verify/verify.js", "text/javascript"),
    ] {
        let file = server.anyone().get(path).await;
        assert_eq!((file.status, file.header("content-type")), (200, kind), "{path}");
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(!file.text().contains("://"), "{path}");
    }
    server.anyone().get("/verify/index.html").await.refused(404, "not_found");
}

#[tokio::test]
#[ignore = "needs Node 20 or newer, `$NODE`: `.ci/run` runs it where there is one"]
async fn the_portals_verifier_judges_as_the_standards_say() {
    let node = std::env::var_os("NODE").expect("NODE names the program");
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let turn = alice.chat(&agent).await.say("My card is 4111 1111 1111 1111.").await;
    let leaf = turn.input["leaf_hash"].as_str().unwrap();
    let path = agent.path(&format!("/proofs/{leaf}?opening=content,released,edits,subject"));
    let directory = tempfile::tempdir().unwrap();
    let (proof, key) = (directory.path().join("proof.json"), directory.path().join("key"));
    std::fs::write(&proof, alice.get(&path).await.text()).unwrap();
    std::fs::write(&key, server.anyone().get("/log/key").await.text()).unwrap();

    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("portal/verify.test.mjs");
    let ran = Command::new(node).arg("--test").arg(tests).env("GAVEL_PROOF", proof).env("GAVEL_KEY", key).output();
    let ran = tokio::time::timeout(Duration::from_secs(60), ran).await.expect("it ends").expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("skipped 0"), "{said}");
}
