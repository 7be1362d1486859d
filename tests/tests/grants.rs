//! What providers may do: nothing that was not granted, whatever their manifests ask for.

use gavel_tests::{GavelServer, Setup, Upstream, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::guests::{ACME, acme};

const KEY: &str = "sk-zebra-acme-0123456789abcdef";
const OPERATORS_KEY: &str = "sk-operators-acme-0123456789";

fn provider() -> String {
    format!("[providers.acme]\nplugin = \"{ACME}\"\nallow_private = true\napi_key_env = \"ACME_KEY\"\n")
}

async fn install(admin: &User, component: Vec<u8>) -> Value {
    admin.post_bytes("/v1/plugins", "application/wasm", component).await.expect(201)
}

/// The keys that an upstream was shown.
fn keys(upstream: &Upstream) -> Vec<String> {
    let shown = |headers: &axum::http::HeaderMap| {
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    upstream.received().iter().map(|request| shown(&request.headers)).collect()
}

#[tokio::test]
async fn a_hostile_update_gets_no_key_while_the_old_version_goes_on() {
    let (home, evil) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::with(&home).toml(&provider()).env("ACME_KEY", OPERATORS_KEY);
    let mut server = GavelServer::start(setup).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"model_provider": "acme", "policies": []})).await;
    assert_eq!(alice.chat(&agent).await.say("Hello").await.error["code"], "provider_unavailable", "not installed");

    let [good, bad] = [home.addr().port(), evil.addr().port()];
    let old = install(&alice, acme(1000, [good, good])).await;
    assert_eq!(old["state"], "pending");
    assert_eq!(alice.chat(&agent).await.say("Hello").await.error["code"], "provider_unavailable", "not granted");
    let approved = alice.post(&format!("/v1/plugins/{ACME}/approve"), &json!({})).await.expect(200);
    let origin = |port: u16| format!("http://127.0.0.1:{port}");
    assert_eq!(
        (&approved["state"], &approved["granted"]),
        (
            &json!("serving"),
            &json!({"origins": [origin(good)], "credentials": [{"header": "authorization", "format": "Bearer {key}"}]})
        )
    );
    let key = json!({"provider": "acme", "api_key": KEY});
    alice.post(&agent.path("/vault"), &key).await.expect(201);
    assert_eq!(alice.chat(&agent).await.say("Hello").await.ended("stop").text, "posted by 1.1000.0");

    // Its update wants to call home elsewhere.
    let update = install(&alice, acme(1001, [good, bad])).await;
    assert_eq!(update["state"], "pending");
    let harmless = install(&alice, acme(1002, [good, good])).await;
    assert_eq!(harmless["state"], "serving", "one that asks for no more serves at once");
    assert_eq!(alice.chat(&agent).await.say("Hello").await.ended("stop").text, "posted by 1.1002.0");
    let newest = install(&alice, acme(1003, [good, bad])).await;
    for again in [false, true] {
        if again {
            server.kill().await;
            server.start_again().await;
        }
        let alice = server.admin();
        assert_eq!(alice.chat(&agent).await.say("Hello").await.ended("stop").text, "posted by 1.1002.0");
        let shown = alice.get(&format!("/v1/plugins/{ACME}")).await.expect(200);
        assert_eq!((&shown["version"], &shown["granted"]["origins"]), (&json!("1.1002.0"), &json!([origin(good)])));
        let list = alice.get("/v1/plugins").await.expect(200)["plugins"].clone();
        let states: Vec<_> = list.as_array().unwrap().iter().filter(|plugin| plugin["name"] == ACME).collect();
        assert_eq!(states.len(), 2, "{list:#}");
        assert!(states.iter().any(|plugin| plugin["digest"] == newest["digest"] && plugin["state"] == "pending"));
    }
    assert!(evil.received().is_empty(), "nothing went there");

    // An administrator approves it all the same: the key that was given for one origin goes to no other.
    let alice = server.admin();
    let wish = json!({"digest": newest["digest"]});
    let approved = alice.post(&format!("/v1/plugins/{ACME}/approve"), &wish).await.expect(200);
    let (low, high) = (good.min(bad), good.max(bad));
    assert_eq!(approved["granted"]["origins"], json!([origin(low), origin(high)]));
    let before = home.received().len();
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert_eq!(turn.ended("error").error["code"], "provider_unauthorized");
    assert!(turn.error["message"].as_str().unwrap().contains("put it there again"), "{}", turn.error);
    assert_eq!((home.received().len(), evil.received().len()), (before, 0), "nothing went anywhere");
    alice.post(&agent.path("/vault"), &key).await.expect(200);
    assert_eq!(alice.chat(&agent).await.say("Hello").await.ended("stop").text, "posted by 1.1003.0");
    assert_eq!(keys(&evil), [format!("Bearer {KEY}")], "its owner has given it for both");
    assert!(keys(&home).iter().all(|shown| *shown == format!("Bearer {KEY}")));
}

#[tokio::test]
async fn the_configuration_grants_what_it_names() {
    let home = Upstream::start().await;
    let port = home.addr().port();
    let granted = format!(
        "{}origins = [\"http://127.0.0.1:{port}\"]\ncredential = {{ header = \"Authorization\", format = \"Bearer {{key}}\" }}\n",
        provider()
    );
    let server = GavelServer::start(Setup::with(&home).toml(&granted).env("ACME_KEY", OPERATORS_KEY)).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"model_provider": "acme", "policies": []})).await;
    assert_eq!(install(&alice, acme(1000, [port, port])).await["state"], "serving");
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(keys(&home), [format!("Bearer {OPERATORS_KEY}")]);
    assert_eq!(install(&alice, acme(1001, [port, 9])).await["state"], "pending");
}

#[tokio::test]
async fn only_an_administrator_approves_and_only_what_asks_for_something() {
    let home = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&home)).await;
    let (alice, bob) = (server.admin(), server.new_user("bob", &["--auditor"]).await);
    install(&alice, acme(1000, [10001, 10001])).await;
    let approve = format!("/v1/plugins/{ACME}/approve");
    bob.post(&approve, &json!({})).await.refused(403, "forbidden");
    alice.post("/v1/plugins/pii/approve", &json!({})).await.refused(400, "invalid_request");
    alice.post("/v1/plugins/nobody/approve", &json!({})).await.refused(404, "not_found");
    alice.post(&approve, &json!({"digest": "sha256:12"})).await.refused(400, "invalid_request");
    alice.post(&approve, &json!({"all": true})).await.refused(400, "invalid_request");
    let unknown = json!({"digest": format!("sha256:{}", "0".repeat(64))});
    alice.post(&approve, &unknown).await.refused(404, "not_found");
    let shown = alice.get(&format!("/v1/plugins/{ACME}")).await.expect(200);
    assert_eq!((&shown["state"], &shown["granted"]["origins"]), (&json!("pending"), &json!([])));
    assert_eq!(shown["asks"]["origins"], json!(["http://127.0.0.1:10001"]));
    assert_eq!(alice.send(alice.request(Method::POST, &approve)).await.expect(200)["state"], "serving");
}
