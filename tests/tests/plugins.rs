//! Plugins that administrators install over the API: seen, followed, pinned, deleted, and refused with words.

use gavel_tests::{Agent, Answer, Turn, User, gavel, gavel_with, within};
use reqwest::Method;
use serde_json::{Value, json};

use crate::guests::{ACME, MARKER, acme, marker, marker_named, rebuilt};

const WASM: &str = "application/wasm";

async fn install(admin: &User, component: &[u8]) -> Answer {
    admin.post_bytes("/v1/plugins", WASM, component).await
}

async fn bound(admin: &User, policy: &str) -> Agent {
    admin.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": policy}]})).await
}

/// The version that judged a turn's input.
fn judged_by(turn: &Turn) -> (&str, &str) {
    let verdict = &turn.input["verdicts"][0];
    (verdict["version"].as_str().unwrap(), verdict["digest"].as_str().unwrap())
}

fn path_of(version: &Value) -> String {
    format!("/v1/plugins/{}/versions/{}", version["name"].as_str().unwrap(), version["digest"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_installed_serves_from_the_next_turn_on_and_after_a_restart() {
    let (mut server, upstream, alice) = gavel().await;
    let answer = install(&alice, &marker(1000)).await;
    assert_eq!(answer.header("location"), format!("/v1/plugins/{MARKER}"));
    let old = answer.expect(201);
    assert_eq!(
        (&old["name"], &old["kind"], &old["version"], &old["source"], &old["state"], &old["error"]),
        (&json!(MARKER), &json!("policy"), &json!("1.1000.0"), &json!("upload"), &json!("serving"), &Value::Null)
    );
    let (following, pinned) = (bound(&alice, MARKER).await, bound(&alice, &format!("{MARKER}@1.1000.0")).await);
    let mut chat = alice.chat(&following).await;
    assert_eq!(judged_by(&chat.say("one #").await).0, "1.1000.0");
    assert_eq!(upstream.last_conversation(), ["user: one [mark]"]);

    let new = install(&alice, &marker(1001)).await.expect(201);
    let turn = chat.say("two #").await;
    assert_eq!(judged_by(&turn), ("1.1001.0", new["digest"].as_str().unwrap()));
    assert_eq!(judged_by(&alice.chat(&pinned).await.say("three").await).1, old["digest"]);

    let versions = alice.get(&format!("/v1/plugins/{MARKER}/versions")).await.expect(200);
    assert_eq!(versions, json!({"versions": [new, old]}));
    let listed = alice.get("/v1/plugins").await.expect(200)["plugins"].clone();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo", MARKER, "openai", "pii", "secrets", "workers-ai"], "{listed:#}");
    let shown = alice.get(&format!("/v1/plugins/{MARKER}")).await.expect(200);
    assert_eq!((&shown["version"], &shown["config_schema"]["type"]), (&json!("1.1001.0"), &json!("object")));
    alice.get("/v1/plugins/nobody").await.refused(404, "not_found");
    alice.get("/v1/plugins/nobody/versions").await.refused(404, "not_found");

    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    assert_eq!(alice.get(&format!("/v1/plugins/{MARKER}/versions")).await.expect(200), versions);
    assert_eq!(alice.get("/v1/plugins").await.expect(200)["plugins"], listed);
    assert_eq!(judged_by(&alice.chat(&following).await.say("four").await).0, "1.1001.0");
    assert_eq!(judged_by(&alice.chat(&pinned).await.say("five").await).0, "1.1000.0");
}

#[tokio::test]
async fn the_same_again_is_no_second_version_and_another_build_of_a_version_is_refused() {
    let (_server, _upstream, alice) = gavel().await;
    let first = install(&alice, &marker(1000)).await.expect(201);
    assert_eq!(install(&alice, &marker(1000)).await.expect(200), first);
    let taken = install(&alice, &rebuilt(&marker(1000), 1)).await.refused(409, "plugin_version_taken");
    assert!(taken["detail"].as_str().unwrap().contains(first["digest"].as_str().unwrap()), "{taken}");
    let bundled = alice.get("/v1/plugins/pii").await.expect(200);
    let pii = gavel::plugins::bundled_policy("pii").unwrap();
    install(&alice, &rebuilt(pii, 1)).await.refused(409, "plugin_version_taken");
    assert_eq!(install(&alice, pii).await.expect(200)["digest"], bundled["digest"]);

    let once = |key: &str, component: Vec<u8>| {
        let request = alice.request(Method::POST, "/v1/plugins").header("content-type", WASM);
        alice.send(request.header("idempotency-key", key.to_owned()).body(component))
    };
    let made = once("a", marker(1001)).await;
    let again = once("a", marker(1001)).await;
    assert_eq!((made.status, again.status, made.header("location")), (201, 201, again.header("location")));
    assert_eq!(made.body, again.body);
    once("a", marker(1002)).await.refused(422, "idempotency_key_reused");
    once("b", b"nothing".to_vec()).await.refused(422, "invalid_plugin");
    once("b", marker(1002)).await.expect(201);
}

#[tokio::test]
async fn a_version_that_someone_relies_on_is_not_deleted() {
    let (server, _upstream, alice) = gavel().await;
    let old = install(&alice, &marker(1000)).await.expect(201);
    let new = install(&alice, &marker(1001)).await.expect(201);
    let following = bound(&alice, MARKER).await;
    let by_version = bound(&alice, &format!("{MARKER}@1.1000.0")).await;
    alice.delete(&path_of(&old)).await.refused(409, "plugin_bound");
    alice.delete(&by_version.path("")).await.expect(204);
    let by_digest = bound(&alice, &format!("{MARKER}@{}", old["digest"].as_str().unwrap())).await;
    alice.delete(&path_of(&old)).await.refused(409, "plugin_bound");
    alice.delete(&by_digest.path("")).await.expect(204);

    let mut chat = alice.chat(&following).await;
    assert_eq!(judged_by(&chat.say("one").await).0, "1.1001.0");
    assert_eq!(alice.delete(&path_of(&new)).await.status, 204);
    assert_eq!(judged_by(&chat.say("two").await).0, "1.1000.0", "it follows the newest that is left");
    alice.delete(&path_of(&new)).await.refused(404, "not_found");
    alice.delete(&path_of(&old)).await.refused(409, "plugin_bound");
    alice.delete(&following.path("")).await.expect(204);
    assert_eq!(alice.delete(&path_of(&old)).await.status, 204);
    alice.get(&format!("/v1/plugins/{MARKER}")).await.refused(404, "not_found");
    let gone = json!({"policies": [{"policy": MARKER}]});
    alice.post("/v1/agents", &gone).await.points_at(400, "invalid_request", &["/policies/0/policy"]);

    let pii = alice.get("/v1/plugins/pii").await.expect(200);
    let bound = alice.delete(&path_of(&pii)).await.refused(409, "plugin_bound");
    assert!(bound["detail"].as_str().unwrap().contains("the configuration binds pii"), "{bound}");
    let demo = alice.get("/v1/plugins/demo").await.expect(200);
    alice.delete(&path_of(&demo)).await.refused(409, "plugin_bound");
    alice.delete("/v1/plugins/pii/versions/sha256:00").await.refused(404, "not_found");

    assert_eq!(install(&alice, &marker(1000)).await.expect(201)["state"], "serving", "what was deleted may come back");
    let bob = server.new_user("bob", &[]).await;
    install(&bob, &marker(1002)).await.refused(403, "forbidden");
    bob.get("/v1/plugins").await.expect(200);
}

/// A core module with a custom section, as wasm32-unknown-unknown makes them.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0\0\x02\x01x";

#[tokio::test]
async fn what_is_no_plugin_is_told_so_and_nothing_is_lost() {
    let (server, _upstream, alice) = gavel().await;
    let whole = marker(1000);
    install(&alice, &whole).await.expect(201);
    let before = alice.get("/v1/plugins").await.expect(200);
    let of_another_version = {
        let mut component = marker(1001);
        let export = b"gavel:plugin/policy@0.1.0";
        let places: Vec<_> =
            (0..component.len() - export.len()).filter(|&at| component[at..].starts_with(export)).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| component[at + export.len() - 5] = b'9');
        component
    };
    let of_another_world = b"\0asm\x0d\0\x01\0";
    let cases: [(&[u8], u16, &str, &str); 10] = [
        (b"", 422, "invalid_plugin", "no WebAssembly"),
        (b"#!/bin/sh", 422, "invalid_plugin", "no WebAssembly"),
        (CORE_MODULE, 422, "invalid_plugin", "core WebAssembly module"),
        (&whole[..whole.len() / 2], 422, "invalid_plugin", "cut off"),
        (&whole[..3], 422, "invalid_plugin", "cut off"),
        (&rubbish(&whole), 422, "invalid_plugin", "component"),
        (of_another_world, 422, "plugin_wrong_world", "exports neither"),
        (&of_another_version, 422, "plugin_wrong_version", "gavel:plugin/policy@9.1.0"),
        (&marker_named("Marker_Policy_00", 1001), 422, "plugin_bad_manifest", "kebab-case"),
        (&rebuilt(&whole, 7), 409, "plugin_version_taken", "another"),
    ];
    for (bytes, status, code, says) in cases {
        let problem = install(&alice, bytes).await.refused(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let large = vec![0; (64 << 20) + 1];
    install(&alice, &large).await.refused(413, "payload_too_large");
    for kind in ["", "text/plain", "application/octet-stream"] {
        alice.post_bytes("/v1/plugins", kind, whole.clone()).await.refused(415, "unsupported_media_type");
    }
    assert_eq!(alice.get("/v1/plugins").await.expect(200), before);
    let figures = server.operator().get("/metrics").await.text();
    for line in [
        r#"gavel_plugin_installs_total{source="upload",outcome="installed"} 1"#,
        r#"gavel_plugin_installs_total{source="upload",outcome="plugin_version_taken"} 1"#,
        r#"gavel_plugin_versions{kind="policy",state="serving"} 3"#,
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
}

/// A component whose middle is overwritten.
fn rubbish(component: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xff);
    bytes
}

/// A component of nothing but an import and an export, both of instances of nothing.
fn hollow(import: &str, export: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let mut section = |id: u8, content: &[u8]| {
        bytes.extend([id, u8::try_from(content.len()).unwrap()]);
        bytes.extend(content);
    };
    let named = |name: &str, end: &[u8]| {
        let head = [1, 0, u8::try_from(name.len()).unwrap()];
        [&head, name.as_bytes(), end].concat()
    };
    section(7, &[1, 0x42, 0]);
    section(10, &named(import, &[5, 0]));
    section(11, &named(export, &[5, 0, 0]));
    bytes
}

#[tokio::test]
async fn what_a_plugin_may_not_do_or_fails_to_do_is_found_before_it_serves() {
    let (_server, _upstream, alice) = gavel().await;
    install(&alice, &acme(1000, [10001, 10001])).await.expect(201);
    let cases: [(&[u8], u16, &str, &str); 7] = [
        (&marker_named("panics-when-used", 1000), 422, "plugin_failed_trial", "trial run failed"),
        (&marker_named("broken-schema-00", 1000), 422, "plugin_bad_schema", "config-schema"),
        (&marker_named(ACME, 1001), 409, "plugin_name_taken", "belongs to a provider"),
        (
            &hollow("wasi:sockets/tcp@0.2.6", "gavel:plugin/policy@0.1.0"),
            422,
            "plugin_forbidden_import",
            "wasi:sockets/tcp",
        ),
        (
            &hollow("wasi:sockets/tcp@0.2.6", "gavel:plugin/provider@0.1.0"),
            422,
            "plugin_forbidden_import",
            "wasi:sockets/tcp",
        ),
        (&hollow("wasi:io/error@0.2.6", "gavel:plugin/policy@0.1.0"), 422, "plugin_wrong_world", "as it is defined"),
        (&hollow("wasi:io/error@0.2.6", "wasi:cli/run@0.2.6"), 422, "plugin_wrong_world", "but wasi:cli/run@0.2.6"),
    ];
    for (bytes, status, code, says) in cases {
        let problem = install(&alice, bytes).await.refused(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let names = alice.get("/v1/plugins").await.expect(200)["plugins"].clone();
    assert_eq!(names.as_array().unwrap().len(), 6, "{names:#}");
}

#[tokio::test]
async fn a_version_that_does_not_take_the_operators_binding_leaves_the_old_one_serving() {
    let toml = format!("[governance]\ndefault_policies = [{{ policy = \"{MARKER}\" }}]\n");
    let (_server, _upstream, alice) = gavel_with(&toml).await;
    install(&alice, &marker(1010)).await.expect(201);
    let problem = install(&alice, &marker(5000)).await.refused(409, "plugin_breaks_binding");
    assert!(problem["detail"].as_str().unwrap().ends_with("it takes no configuration any more"), "{problem}");
    let shown = alice.get(&format!("/v1/plugins/{MARKER}")).await.expect(200);
    assert_eq!((&shown["version"], &shown["state"]), (&json!("1.1010.0"), &json!("serving")));
    // An older version than that which serves is nobody's who follows the name.
    install(&alice, &marker(6000)).await.expect(201);
    install(&alice, &marker(5001)).await.expect(201);
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let turn = alice.chat(&agent).await.say("a #").await;
    assert_eq!(turn.ended("stop").input["verdicts"][0]["version"], "1.6000.0");
}

#[tokio::test]
async fn installing_goes_on_when_nobody_waits_for_it() {
    let (_server, _upstream, alice) = gavel().await;
    let request = alice.request(Method::POST, "/v1/plugins").header("content-type", WASM).body(marker(1003));
    let sender = alice.clone();
    let sent = tokio::spawn(async move { sender.send(request).await });
    // Whether or not it has begun, an installation is whole or not at all.
    tokio::task::yield_now().await;
    sent.abort();
    let again = install(&alice, &marker(1003)).await;
    assert!(matches!(again.status, 200 | 201), "{}", again.text());
    let shown = within("the version", alice.get(&format!("/v1/plugins/{MARKER}"))).await.expect(200);
    assert_eq!((&shown["version"], &shown["state"]), (&json!("1.1003.0"), &json!("serving")));
}
