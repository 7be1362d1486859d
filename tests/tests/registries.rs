//! Plugins out of OCI registries, good ones and hostile ones.

use gavel_tests::{
    Access, Answer, Authority, Fault, GavelServer, Registry, Setup, Upstream, User, WASM_LAYER, gavel_command,
};
use serde_json::{Value, json};

use crate::guests::{MARKER, marker};

/// Longer than a healthy pull takes, and short enough to wait for.
const TIMEOUT: &str = "timeout_ms = 2000\n";
const NAME: &str = "robot";
const PASSWORD: &str = "registry-zebra-password";

async fn gavel_with(registry: &Registry, toml: &str) -> (GavelServer, Upstream, User) {
    let upstream = Upstream::start().await;
    let setup = Setup::with(&upstream).toml(&registry.allowed()).toml(toml).env("REGISTRY_PASSWORD", PASSWORD);
    let server = GavelServer::start(setup).await;
    let admin = server.admin();
    (server, upstream, admin)
}

async fn install(admin: &User, reference: &str) -> Answer {
    admin.post("/v1/plugins", &json!({"oci": reference})).await
}

fn login(registry: &Registry) -> String {
    format!("[plugins.oci.auth.\"{}\"]\nusername = \"{NAME}\"\npassword_env = \"REGISTRY_PASSWORD\"\n", registry.name())
}

#[tokio::test]
async fn a_policy_comes_by_tag_and_by_digest_and_judges() {
    let registry = Registry::start().await;
    let (_server, upstream, alice) = gavel_with(&registry, "").await;
    let old = registry.push("acme/marker", "1.1000.0", &marker(1000));
    let answer = install(&alice, &old.by_tag).await;
    assert_eq!(answer.header("location"), format!("/v1/plugins/{MARKER}"));
    let installed = answer.expect(201);
    assert_eq!((&installed["source"], &installed["version"]), (&json!("oci"), &json!("1.1000.0")));
    let exactly = format!("{}@{}", old.by_tag, old.by_digest.split_once('@').unwrap().1);
    assert_eq!(installed["reference"], exactly, "it says what exactly was pulled");
    assert_eq!(installed["signed_by"], Value::Null);

    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": MARKER}]})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("one #").await;
    assert_eq!(upstream.last_conversation(), ["user: one [mark]"]);

    assert_eq!(install(&alice, &old.by_digest).await.expect(200)["digest"], installed["digest"]);
    let new = registry.push("acme/marker", "1.1001.0", &marker(1001));
    assert_eq!(install(&alice, &new.by_digest).await.expect(201)["version"], "1.1001.0");
    assert_eq!(chat.say("two #").await.input["verdicts"][0]["version"], "1.1001.0");

    let older = registry.push_blob("application/vnd.wasm.content.layer.v1+wasm", &marker(1002));
    let licence = registry.push_blob("text/plain", b"Apache-2.0");
    let older = registry.push_layers("acme/marker", "older", &[older, licence]);
    install(&alice, &older.by_tag).await.expect(201);
}

#[tokio::test]
async fn over_tls_a_registry_is_believed_that_an_authority_of_the_machines_vouches_for() {
    let authority = Authority::new();
    let registry = Registry::start_with_tls(&authority).await;
    let pushed = registry.push("acme/marker", "1", &marker(1000));
    let upstream = Upstream::start().await;
    let private = format!("[plugins.oci]\nprivate = [\"{}\"]\n", registry.name());
    let setup = || Setup::with(&upstream).toml(&private);

    let stranger = GavelServer::start(setup()).await;
    install(&stranger.admin(), &pushed.by_tag).await.refused(502, "registry_unavailable");
    assert!(registry.asked().is_empty(), "nothing is said to who cannot show who it is");

    let certificate = authority.file();
    let server = GavelServer::start(setup().env("SSL_CERT_FILE", certificate.to_str().unwrap())).await;
    let installed = install(&server.admin(), &pushed.by_tag).await.expect(201);
    assert_eq!((&installed["source"], &installed["version"]), (&json!("oci"), &json!("1.1000.0")));
}

#[tokio::test]
async fn registries_are_logged_in_to_as_they_want_it() {
    let registry = Registry::start().await;
    let (server, _upstream, alice) = gavel_with(&registry, &login(&registry)).await;
    for (version, access) in
        [(1000, Access::Token), (1001, Access::Login(NAME, PASSWORD)), (1002, Access::Basic(NAME, PASSWORD))]
    {
        registry.lets_in(access.clone());
        let pushed = registry.push("acme/marker", "latest", &marker(version));
        install(&alice, &pushed.by_tag).await.expect(201);
    }
    let asked = registry.asked();
    assert!(asked.iter().any(|(path, _)| path.starts_with("/token?scope=repository%3Aacme%2Fmarker%3Apull&service=")));
    registry.lets_in(Access::Login(NAME, "another"));
    let refused = install(&alice, &format!("{}/acme/marker:latest", registry.name())).await;
    refused.refused(502, "registry_unauthorized");

    let file = server.config_file().display().to_string();
    let shown = gavel_command(&["config", "show", "--config", &file]).await.out;
    assert!(shown.contains("REGISTRY_PASSWORD") && !shown.contains(PASSWORD), "{shown}");
    assert!(!server.said().contains(PASSWORD) && !server.said().contains("registry-token-zebra"));

    let (_server, _upstream, bob) = gavel_with(&registry, "").await;
    for access in [Access::Login(NAME, PASSWORD), Access::Basic(NAME, PASSWORD)] {
        registry.lets_in(access);
        let refused = install(&bob, &format!("{}/acme/marker:latest", registry.name())).await;
        let refused = refused.refused(502, "registry_unauthorized");
        assert!(refused["detail"].as_str().unwrap().contains("plugins.oci.auth"), "{refused}");
    }
}

#[tokio::test]
async fn a_registry_that_fails_is_named_and_costs_nothing() {
    let registry = Registry::start().await;
    let (_server, _upstream, alice) = gavel_with(&registry, TIMEOUT).await;
    let good = registry.push("acme/marker", "1", &marker(1000));
    let before = alice.get("/v1/plugins").await.expect(200);
    for (fault, status, code) in [
        (Fault::Status(401), 502, "registry_unauthorized"),
        (Fault::Status(403), 502, "registry_unauthorized"),
        (Fault::Status(404), 422, "registry_not_found"),
        (Fault::Status(429), 429, "registry_rate_limited"),
        (Fault::Status(500), 502, "registry_unavailable"),
        (Fault::Status(302), 502, "registry_unavailable"),
        (Fault::OtherBlobs, 502, "registry_mismatch"),
        (Fault::OtherManifests, 502, "registry_mismatch"),
        (Fault::EndlessBlobs, 502, "registry_mismatch"),
        (Fault::EndlessManifests, 502, "registry_mismatch"),
        (Fault::Stall, 504, "registry_timeout"),
    ] {
        registry.fails(fault.clone());
        for reference in [&good.by_tag, &good.by_digest] {
            let answer = install(&alice, reference).await;
            if code == "registry_rate_limited" {
                assert_eq!(answer.header("retry-after"), "7");
            }
            let problem = answer.refused(status, code);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(&registry.name()), "{fault:?}: {detail}");
        }
    }
    assert_eq!(alice.get("/v1/plugins").await.expect(200), before);
    registry.recovers();
    let missing = format!("{}/acme/marker:2", registry.name());
    install(&alice, &missing).await.refused(422, "registry_not_found");
    install(&alice, &good.by_tag).await.expect(201);
}

#[tokio::test]
async fn nothing_is_fetched_from_where_the_operator_did_not_allow_it() {
    let (registry, other) = (Registry::start().await, Registry::start().await);
    let (_server, _upstream, alice) = gavel_with(&registry, &login(&registry)).await;
    let pushed = registry.push("acme/marker", "1", &marker(1000));
    let secret = other.push("acme/marker", "1", &marker(1000));
    // Over TLS to a private address, whatever name leads there.
    for reference in [secret.by_tag.clone(), secret.by_tag.replace("127.0.0.1", "localhost")] {
        install(&alice, &reference).await.refused(403, "registry_forbidden");
    }
    registry.fails(Fault::Elsewhere(format!("http://{}", other.name())));
    install(&alice, &pushed.by_tag).await.refused(403, "registry_forbidden");
    registry.fails(Fault::Elsewhere(format!("https://{}", other.name())));
    install(&alice, &pushed.by_tag).await.refused(403, "registry_forbidden");
    registry.fails(Fault::Elsewhere("file:///etc/passwd?".to_owned()));
    install(&alice, &pushed.by_tag).await.refused(502, "registry_unavailable");
    registry.fails(Fault::Elsewhere(format!("http://{}", registry.name())));
    let circle = install(&alice, &pushed.by_tag).await.refused(502, "registry_unavailable");
    assert!(circle["detail"].as_str().unwrap().contains("more than 5 other places"), "{circle}");
    registry.lets_in(Access::Login(NAME, PASSWORD));
    registry.fails(Fault::TokensFrom(format!("http://{}/token", other.name())));
    install(&alice, &pushed.by_tag).await.refused(403, "registry_forbidden");
    assert_eq!(other.asked(), [], "not even a connection's first line reached it");
}

#[tokio::test]
async fn a_blob_may_be_elsewhere_and_no_credential_goes_there() {
    let (registry, store) = (Registry::start().await, Registry::start().await);
    let upstream = Upstream::start().await;
    let both = format!("[plugins.oci]\ninsecure = [\"{}\", \"{}\"]\n", registry.name(), store.name());
    let setup = Setup::with(&upstream).toml(&both).toml(&login(&registry)).env("REGISTRY_PASSWORD", PASSWORD);
    let server = GavelServer::start(setup).await;
    registry.lets_in(Access::Basic(NAME, PASSWORD));
    registry.fails(Fault::Elsewhere(format!("http://{}", store.name())));
    let pushed = registry.push("acme/marker", "1", &marker(1000));
    store.push_blob(WASM_LAYER, &marker(1000));
    install(&server.admin(), &pushed.by_tag).await.expect(201);
    let asked = store.asked();
    assert!(matches!(asked.as_slice(), [(path, None)] if path.contains("/blobs/sha256:")), "{asked:?}");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_words() {
    let registry = Registry::start().await;
    let (_server, _upstream, alice) = gavel_with(&registry, "").await;
    let layer = |version| registry.push_blob(WASM_LAYER, &marker(version));
    let tar = registry.push_blob("application/vnd.oci.image.layer.v1.tar", b"tar");
    let large = json!({"mediaType": WASM_LAYER, "digest": layer(1000)["digest"], "size": (64 << 20) + 1});
    let short = json!({"mediaType": WASM_LAYER, "digest": layer(1000)["digest"], "size": 10});
    let gone = json!({"mediaType": WASM_LAYER, "digest": format!("sha256:{:064}", 0), "size": 10});
    for (layers, status, code, says) in [
        (vec![], 422, "invalid_plugin", "no layer of the type application/wasm"),
        (vec![tar], 422, "invalid_plugin", "no layer of the type application/wasm"),
        (vec![layer(1000), layer(1001)], 422, "invalid_plugin", "2 layers"),
        (vec![registry.push_blob(WASM_LAYER, b"#!/bin/sh")], 422, "invalid_plugin", "no WebAssembly"),
        (vec![large], 413, "payload_too_large", "67108865 bytes"),
        (vec![short], 502, "registry_mismatch", "more than 10 bytes"),
        (vec![gone], 502, "registry_mismatch", "is missing"),
    ] {
        let pushed = registry.push_layers("acme/odd", "1", &layers);
        let problem = install(&alice, &pushed.by_tag).await.refused(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let index = json!({"schemaVersion": 2, "manifests": []});
    let index = registry.push_manifest("acme/odd", "2", &index);
    let problem = install(&alice, &index.by_tag).await.refused(422, "invalid_plugin");
    assert!(problem["detail"].as_str().unwrap().contains("an index"), "{problem}");

    for reference in
        ["", "marker", "acme/marker:1", "https://registry.example.org/marker:1", "registry.example.org/A:1"]
    {
        install(&alice, reference).await.points_at(400, "invalid_request", &["/oci"]);
    }
    let sha512 = format!("{}/acme/odd@sha512:{:0128}", registry.name(), 0);
    install(&alice, &sha512).await.points_at(400, "invalid_request", &["/oci"]);
    for body in [json!({}), json!({"oci": 7}), json!({"oci": "a.example/b:1", "tag": "1"})] {
        alice.post("/v1/plugins", &body).await.refused(400, "invalid_request");
    }
}
