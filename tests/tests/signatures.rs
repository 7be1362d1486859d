//! Plugins that are signed, that are not, and whom a server believes.

use gavel_tests::{Answer, GavelServer, Registry, Setup, Signer, Upstream, User, gavel_command, gavel_with};
use reqwest::Method;
use serde_json::{Value, json};

use crate::guests::{MARKER, marker};

async fn send(admin: &User, component: &[u8], signature: Option<String>) -> Answer {
    let mut request = admin.request(Method::POST, "/v1/plugins").header("content-type", "application/wasm");
    if let Some(signature) = signature {
        request = request.header("x-gavel-signature", signature);
    }
    admin.send(request.body(component.to_vec())).await
}

#[tokio::test]
async fn where_signatures_are_required_nothing_else_is_installed() {
    let (signer, stranger) = (Signer::p256(), Signer::ed25519());
    let (_server, _upstream, alice) = gavel_with(&signer.trusted(true)).await;
    let component = marker(1000);
    let before = alice.get("/v1/plugins").await.expect(200);
    send(&alice, &component, None).await.refused(422, "plugin_unsigned");
    for wrong in [stranger.signs(&component), signer.signs(&marker(1001)), "AAAA".to_owned(), "no base64!".to_owned()] {
        send(&alice, &component, Some(wrong)).await.refused(422, "plugin_signature_invalid");
    }
    assert_eq!(alice.get("/v1/plugins").await.expect(200), before, "what the binary carries is exempt");
    let installed = send(&alice, &component, Some(signer.signs(&component))).await.expect(201);
    assert_eq!(installed["signed_by"].as_str().unwrap().len(), 16);
    assert_eq!(alice.get(&format!("/v1/plugins/{MARKER}")).await.expect(200)["signed_by"], installed["signed_by"]);
}

#[tokio::test]
async fn a_signature_that_is_given_has_to_be_good_where_none_is_required() {
    let signer = Signer::ed25519();
    let (_server, _upstream, alice) = gavel_with(&signer.trusted(false)).await;
    let component = marker(1000);
    send(&alice, &component, Some(Signer::ed25519().signs(&component))).await.refused(422, "plugin_signature_invalid");
    assert_eq!(send(&alice, &component, None).await.expect(201)["signed_by"], Value::Null);
    let signed = send(&alice, &component, Some(signer.signs(&component))).await.expect(200);
    assert!(signed["signed_by"].is_string(), "what was installed before may be signed later: {signed}");

    let (_server, _upstream, bob) = gavel_with("").await;
    let refused = send(&bob, &component, Some(signer.signs(&component))).await;
    let refused = refused.refused(422, "plugin_signature_invalid");
    assert!(refused["detail"].as_str().unwrap().contains("no key"), "{refused}");
}

#[tokio::test]
async fn what_cosign_signed_in_a_registry_is_believed() {
    let (signer, stranger) = (Signer::p256(), Signer::p256());
    let registry = Registry::start().await;
    let (_server, _upstream, alice) = gavel_with(&(registry.allowed() + &signer.trusted(true))).await;
    let install = async |reference: &str| alice.post("/v1/plugins", &json!({"oci": reference})).await;
    let old = registry.push("acme/marker", "1", &marker(1000));
    let new = registry.push("acme/marker", "2", &marker(1001));
    install(&new.by_tag).await.refused(422, "plugin_unsigned");
    registry.sign(&new, &new, &stranger);
    install(&new.by_tag).await.refused(422, "plugin_signature_invalid");
    registry.sign(&new, &old, &signer);
    let replayed = install(&new.by_tag).await.refused(422, "plugin_signature_invalid");
    assert!(replayed["detail"].as_str().unwrap().contains("another manifest"), "{replayed}");
    registry.sign(&new, &new, &signer);
    let installed = install(&new.by_tag).await.expect(201);
    assert!(installed["signed_by"].is_string(), "{installed}");
    assert_eq!(install(&new.by_digest).await.expect(200)["signed_by"], installed["signed_by"]);
}

#[tokio::test]
async fn a_file_in_the_watched_directory_has_its_signature_beside_it() {
    let signer = Signer::ed25519();
    let (server, _upstream, alice) = gavel_with(&signer.trusted(true)).await;
    let directory = server.data_dir().join("plugins");
    let component = marker(1000);
    let put = |name: &str, bytes: &[u8]| {
        let draft = directory.join(format!(".{name}"));
        std::fs::write(&draft, bytes).unwrap();
        std::fs::rename(draft, directory.join(name)).unwrap();
    };
    put("marker.wasm", &component);
    let refused = until(&alice, "marker", "refused").await;
    assert!(refused["error"].as_str().unwrap().contains("is not signed"), "{refused}");
    // As openssl writes it, and later than the plugin.
    put("marker.wasm.sig", &signer.signs_raw(&component));
    let serving = until(&alice, MARKER, "serving").await;
    assert!(serving["signed_by"].is_string(), "{serving}");
}

/// Waits for a plugin to be in a state.
async fn until(user: &User, name: &str, state: &str) -> Value {
    let look = async {
        loop {
            let listed = user.get("/v1/plugins").await.expect(200)["plugins"].clone();
            let mut listed = listed.as_array().unwrap().iter();
            if let Some(found) = listed.find(|plugin| plugin["name"] == name && plugin["state"] == state) {
                return found.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    gavel_tests::within("the plugin's state", look).await
}

#[tokio::test]
async fn what_is_installed_unsigned_serves_no_longer_once_signatures_are_required() {
    let signer = Signer::p256();
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).toml(&signer.trusted(false))).await;
    let alice = server.admin();
    let (unsigned, signed) = (marker(1001), marker(1000));
    send(&alice, &unsigned, None).await.expect(201);
    send(&alice, &signed, Some(signer.signs(&signed))).await.expect(201);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": [{"policy": MARKER}]})).await;
    let judged_by =
        async |alice: &User| alice.chat(&agent).await.say("Hello").await.input["verdicts"][0]["version"].clone();
    assert_eq!(judged_by(&alice).await, "1.1001.0");

    server.kill().await;
    let toml = std::fs::read_to_string(server.config_file()).unwrap();
    std::fs::write(server.config_file(), toml.replace("required = false", "required = true")).unwrap();
    server.start_again().await;
    let alice = server.admin();
    let versions = alice.get(&format!("/v1/plugins/{MARKER}/versions")).await.expect(200);
    let states: Vec<_> = versions["versions"].as_array().unwrap().iter().map(|version| &version["state"]).collect();
    assert_eq!(states, ["refused", "serving"], "{versions}");
    assert_eq!(judged_by(&alice).await, "1.1000.0");
}

#[tokio::test]
async fn a_key_that_is_none_is_told_by_the_check_and_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gavel.toml");
    let path = file.display().to_string();
    for (trust, says) in [
        ("keys = [\"no key\"]", "plugins.trust.keys[0]: there is no public key in it"),
        ("key_files = [\"/nowhere/publisher.pub\"]", "/nowhere/publisher.pub: No such file"),
        ("required = true", "there is no key to verify one with"),
    ] {
        std::fs::write(&file, format!("[plugins.trust]\n{trust}\n")).unwrap();
        let checked = gavel_command(&["config", "check", "--config", &path]).await;
        assert_eq!(checked.status, Some(1), "{checked:?}");
        assert!(checked.err.contains(says), "{checked:?}");
        let data = directory.path().join("data").display().to_string();
        let started =
            gavel_command(&["serve", "--config", &path, "--data-dir", &data, "--listen", "127.0.0.1:0"]).await;
        assert_eq!(started.status, Some(3), "{started:?}");
        assert!(started.err.contains(says), "{started:?}");
    }
}
