//! `gavel plugin install|list|approve|remove`, with a running server and without one.

use gavel_tests::{GavelServer, Ran, Registry, Setup, Signer, Upstream, gavel};
use serde_json::{Value, json};

use crate::guests::{ACME, MARKER, acme, marker};

async fn json_of(server: &GavelServer, args: &[&str]) -> Value {
    let ran = server.command(&[&["plugin"], args, &["--json"]].concat()).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

async fn refused(server: &GavelServer, args: &[&str], says: &str) {
    let ran: Ran = server.command(&[&["plugin"], args].concat()).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains(says) && ran.out.is_empty(), "{ran:?}");
}

#[tokio::test]
async fn plugins_are_installed_listed_and_removed_from_the_command_line() {
    let registry = Registry::start().await;
    let upstream = Upstream::start().await;
    // Commands find the master key where the server made it.
    let setup = Setup::with(&upstream).toml(&registry.allowed()).makes_its_master_key();
    let mut server = GavelServer::start(setup).await;
    let alice = server.admin();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("marker.wasm");
    let path = file.display().to_string();
    std::fs::write(&file, marker(1000)).unwrap();

    let installed = json_of(&server, &["install", &path]).await;
    assert_eq!(
        (&installed["name"], &installed["version"], &installed["state"], &installed["source"]),
        (&json!(MARKER), &json!("1.1000.0"), &json!("serving"), &json!("upload"))
    );
    let shown = alice.get(&format!("/v1/plugins/{MARKER}")).await.expect(200);
    assert_eq!(shown["digest"], installed["digest"], "the running server has it");
    let pushed = registry.push("acme/marker", "2", &marker(1001));
    let pulled = json_of(&server, &["install", &format!("oci:{}", pushed.by_tag)]).await;
    assert_eq!((&pulled["version"], &pulled["source"]), (&json!("1.1001.0"), &json!("oci")));

    let listed = json_of(&server, &["list"]).await;
    let names: Vec<_> = listed["plugins"].as_array().unwrap().iter().map(|plugin| plugin["name"].clone()).collect();
    assert_eq!(names, ["demo", MARKER, "openai", "pii", "secrets", "workers-ai"]);
    let lines = server.command(&["plugin", "list"]).await.out;
    assert!(lines.contains(&format!("{MARKER}\tpolicy\t1.1001.0\tserving\toci\tsha256:")), "{lines}");

    refused(&server, &["remove", MARKER], "has 2 versions").await;
    refused(&server, &["remove", "nobody"], "there is no plugin nobody").await;
    refused(&server, &["remove", "pii"], "the configuration binds pii").await;
    refused(&server, &["install", "nowhere.wasm"], "nowhere.wasm: No such file").await;
    refused(&server, &["install", &files.path().display().to_string()], "no regular file").await;
    refused(&server, &["install", "oci:marker"], "names no registry").await;
    refused(&server, &["approve", MARKER], "a policy asks for nothing").await;
    std::fs::write(files.path().join("shell.wasm"), "#!/bin/sh").unwrap();
    refused(&server, &["install", &files.path().join("shell.wasm").display().to_string()], "no WebAssembly").await;
    assert_eq!(server.command(&["plugin", "install"]).await.status, Some(2));

    server.kill().await;
    let removed = json_of(&server, &["remove", &format!("{MARKER}@1.1001.0")]).await;
    assert_eq!(removed["digest"], pulled["digest"]);
    let again = json_of(&server, &["install", &path]).await;
    assert_eq!(again, installed, "what is installed already is as it was");
    server.start_again().await;
    let alice = server.admin();
    let versions = alice.get(&format!("/v1/plugins/{MARKER}/versions")).await.expect(200);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
    assert_eq!(versions["versions"][0]["digest"], installed["digest"]);
}

#[tokio::test]
async fn a_provider_is_approved_and_a_signature_is_found_beside_the_file() {
    let signer = Signer::p256();
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream).toml(&signer.trusted(true))).await;
    let files = tempfile::tempdir().unwrap();
    let component = acme(1000, [10001, 10001]);
    let file = files.path().join("acme.wasm");
    let path = file.display().to_string();
    std::fs::write(&file, &component).unwrap();
    refused(&server, &["install", &path], "is not signed").await;
    std::fs::write(files.path().join("acme.wasm.sig"), signer.signs(&component)).unwrap();
    let pending = json_of(&server, &["install", &path]).await;
    assert_eq!((&pending["name"], &pending["state"]), (&json!(ACME), &json!("pending")));
    assert!(pending["signed_by"].is_string(), "{pending}");
    let approved = json_of(&server, &["approve", &format!("{ACME}@1.1000.0")]).await;
    assert_eq!((&approved["digest"], &approved["state"]), (&pending["digest"], &json!("serving")));

    let elsewhere = files.path().join("signature");
    std::fs::write(&elsewhere, signer.signs_raw(&component)).unwrap();
    std::fs::remove_file(files.path().join("acme.wasm.sig")).unwrap();
    let again = json_of(&server, &["install", &path, "--signature", &elsewhere.display().to_string()]).await;
    assert_eq!(again, approved);
}

#[tokio::test]
async fn what_is_off_the_list_is_purged_and_the_records_that_it_made_are_named() {
    let (server, _upstream, alice) = gavel().await;
    let install = async |version| {
        alice.post_bytes("/v1/plugins", "application/wasm", marker(version)).await.expect(201)["digest"].clone()
    };
    let old = install(1000).await;
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": MARKER}]})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    install(1001).await;
    assert_eq!(json_of(&server, &["purge"]).await, json!({"removed": true, "plugins": []}), "all is listed");
    json_of(&server, &["remove", &format!("{MARKER}@1.1000.0")]).await;

    let would = json_of(&server, &["purge", "--dry-run"]).await;
    let plugin = &would["plugins"][0];
    assert_eq!(would["plugins"].as_array().unwrap().len(), 1, "{would}");
    assert_eq!(
        (&plugin["digest"], &plugin["name"], &plugin["version"], &plugin["records"]),
        (&old, &json!(MARKER), &json!("1.1000.0"), &json!(2))
    );
    assert_eq!(plugin["leaves"][0], turn.input["leaf_hash"], "{would}");
    let file = |digest: &Value| {
        let name = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        server.data_dir().join(format!("components/{name}.wasm"))
    };
    assert!(file(&old).is_file());
    let said = server.command(&["plugin", "purge"]).await;
    assert!(said.out.starts_with(&format!("removed {MARKER} 1.1000.0 ")), "{said:?}");
    assert!(said.out.contains("2 records can no longer be computed again"), "{said:?}");
    assert!(!file(&old).exists());
    assert_eq!(json_of(&server, &["purge"]).await["plugins"], json!([]));
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(install(1000).await, old, "whoever has the bytes may bring them back");
    assert!(file(&old).is_file());
}
