//! What the command line does for those who write plugins: it starts projects, and checks and tries components.

use std::path::Path;

use gavel_tests::gavel_command;
use serde_json::{Value, json};

use crate::components;

/// A component's file in a directory of its own.
fn file(bytes: &[u8]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plugin.wasm");
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

fn released(kind: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/sandbox/tests/released/0.1.0");
    std::fs::read(path.join(format!("{kind}.wasm"))).unwrap()
}

#[tokio::test]
async fn each_command_says_how_it_is_used() {
    for command in [&["plugin"][..], &["plugin", "new"], &["plugin", "check"], &["plugin", "test"], &["chat"]] {
        let help = gavel_command(&[command, &["--help"]].concat()).await;
        assert_eq!(help.status, Some(0));
        assert!(help.out.contains("Example: "), "{}", help.out);
    }
    let ran = gavel_command(&["chat", "ocs_01j9zk3v5h8m2q4r6t8w0y2a4c"]).await;
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("GAVEL_TOKEN is not set"), "{ran:?}");
}

async fn check(bytes: &[u8], more: &[&str]) -> (Option<i32>, Value) {
    let (_directory, path) = file(bytes);
    let ran = gavel_command(&[&["plugin", "check", &path, "--json"], more].concat()).await;
    (ran.status, serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}")))
}

#[tokio::test]
async fn wrong_wishes_for_a_project_are_told_and_write_nothing() {
    let ran = gavel_command(&["plugin", "new", "Not_Kebab"]).await;
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("kebab-case"), "{ran:?}");
    let ran = gavel_command(&["plugin", "new", "a-plugin", "--kind", "provider", "--lang", "python"]).await;
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("no template for a provider in Python"), "{ran:?}");
    assert!(!Path::new("a-plugin").exists());
}

#[tokio::test]
async fn a_check_tells_what_a_policy_is_and_how_fast() {
    let (status, report) = check(&released("policy"), &[]).await;
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(report["installable"], true);
    assert_eq!(report["kind"], "streaming policy");
    assert_eq!((&report["name"], &report["interface"]), (&json!("released-policy"), &json!("0.1.0")));
    assert_eq!(report["rules"], json!(["code-name"]));
    assert_eq!(report["snapshot"], true);
    assert_eq!(report["stages"].as_array().unwrap().len(), 6);
    assert!(report["imports"].as_array().unwrap().contains(&json!("wasi:cli/stdout@0.2.6")), "{report}");
    for time in ["compile", "configure", "snapshot", "evaluate_p50", "evaluate_p99"] {
        assert!(report["micros"][time].as_u64().unwrap() > 0, "{time}: {report}");
    }
    assert_eq!(report["limits"]["evaluate_ms"], 50);
}

#[tokio::test]
async fn a_check_tells_what_a_provider_asks_for() {
    let (status, report) = check(&released("provider"), &[]).await;
    assert_eq!(status, Some(0), "{report}");
    assert_eq!((&report["kind"], &report["origins"]), (&json!("provider"), &json!(["{base-url}"])));
    assert_eq!(report["credential"], "authorization: Bearer {key}");
    assert!(report["config_error"].as_str().unwrap().contains("base_url"), "{report}");
}

#[tokio::test]
async fn what_cannot_be_installed_is_told_why() {
    let policy = released("policy");
    for (bytes, words) in [
        (b"#!/bin/sh\n".to_vec(), "no WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
        (policy[..policy.len() / 2].to_vec(), "cut off"),
    ] {
        let (status, report) = check(&bytes, &[]).await;
        assert_eq!((status, &report["installable"]), (Some(1), &json!(false)));
        assert!(report["error"].as_str().unwrap().contains(words), "{report}");
    }
    // A provider's world is no policy's: its network is a forbidden import there. Here it is loaded as what it is.
    let (status, _) = check(&released("provider"), &[]).await;
    assert_eq!(status, Some(0));
    let (_directory, path) = file(&released("provider"));
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/templates/policy-rust/cases.yaml");
    let ran = gavel_command(&["plugin", "test", &path, cases.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.contains("it is a provider"), "{ran:?}");
}

#[tokio::test]
async fn cases_hold_or_say_why_they_do_not() {
    let (directory, path) = file(&released("policy"));
    let cases = directory.path().join("cases.yaml");
    let cases_path = cases.to_str().unwrap();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/templates/policy-rust/cases.yaml");
    let ran = gavel_command(&["plugin", "test", &path, template.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("5 cases, all hold\n"), "{ran:?}");

    let yaml = "- { name: holds, text: calm, expect: { decision: allow } }\n\
        - { name: fails, text: Bluebird, config: { names: [Bluebird] }, expect: { decision: allow } }\n\
        - { name: not configured, text: x, config: { colour: blue }, expect: { decision: allow } }\n";
    std::fs::write(&cases, yaml).unwrap();
    let ran = gavel_command(&["plugin", "test", &path, cases_path, "--json"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let holds: Vec<_> = told["cases"].as_array().unwrap().iter().map(|case| case["holds"].as_bool().unwrap()).collect();
    assert_eq!((holds, &told["failed"]), (vec![true, false, false], &json!(2)));
    assert!(told["cases"][1]["error"].as_str().unwrap().contains("redact"), "{told}");
    assert!(told["cases"][2]["error"].as_str().unwrap().contains("colour"), "{told}");

    std::fs::write(&cases, "- name: a\n  text: b\n  expects: {}\n").unwrap();
    let ran = gavel_command(&["plugin", "test", &path, cases_path]).await;
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.err.contains("cases.yaml:3:"), "{ran:?}");
}

#[tokio::test]
async fn what_a_policy_prints_is_shown_to_its_author_and_bounded() {
    let (directory, path) = file(&components::build("gavel-policy-hostile"));
    let cases = directory.path().join("cases.yaml");
    let yaml = "- { name: a little, text: \"do:print.\", expect: { decision: allow } }\n\
        - { name: without end, text: \"do:print without end.\", expect: { decision: allow } }\n";
    std::fs::write(&cases, yaml).unwrap();
    let ran = gavel_command(&["plugin", "test", &path, cases.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(1), "{}", ran.out);
    assert!(ran.out.contains("ok    a little") && ran.out.contains("FAIL  without end"), "{}", ran.out);
    assert!(ran.err.contains("line 199\n") && ran.err.contains("prints more than is shown"));
    assert!(ran.err.len() < 128 << 10, "{}", ran.err.len());
}
