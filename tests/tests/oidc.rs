//! Users for whom an OpenID Connect issuer vouches.

use gavel_tests::{AUDIENCE, GavelServer, Issuer, IssuerKey, Setup, Upstream, User, now};
use serde_json::{Value, json};

/// A server that takes this issuer's tokens.
async fn server_of(issuer: &Issuer) -> (GavelServer, Upstream) {
    let upstream = Upstream::start().await;
    let toml = format!(
        "[auth.oidc]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nadmin_claim = {{ claim = \"groups\", value = \"gavel\" }}\n",
        issuer.name()
    );
    (GavelServer::start(Setup::with(&upstream).toml(&toml)).await, upstream)
}

/// The same claims with some of them changed; null takes one away.
fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

async fn is_refused(user: &User) {
    let answer = user.get("/v1/agents").await;
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_user_is_known_by_issuer_and_subject_whatever_key_signs() {
    let keys = [IssuerKey::rsa("r"), IssuerKey::rsa_pss("p"), IssuerKey::ec("e"), IssuerKey::ed("d")];
    let issuer = Issuer::start(&keys.each_ref()).await;
    let (server, _upstream) = server_of(&issuer).await;
    let claims = issuer.claims("alice");
    let alice = server.bearer(&keys[0].signs(&claims));
    let agent = alice.starts(json!({})).await;
    for key in &keys {
        let same = server.bearer(&key.signs(&with(&claims, &json!({"aud": ["others", AUDIENCE]}))));
        same.agent(&agent).await;
        server.bearer(&key.signs(&issuer.claims("bob"))).get(&agent.path("")).await.refused(404, "not_found");
    }
    alice.try_chat_from_a_browser(&agent).await.ok().unwrap().say("Hello").await.ended("stop");
    // Their agents have keys as any other's.
    let (_, ci) = alice.gives_key(&agent, &["chat"]).await;
    ci.chat(&agent).await.say("Hello").await.ended("stop");
    let local = server.command(&["user", "list"]).await.out;
    assert_eq!(local.lines().count(), 1, "nothing is stored of them: {local}");
    let token = alice.token().unwrap();
    assert!(!server.said().contains(token) && !server.said().contains("alice"));
}

#[tokio::test]
async fn a_token_that_is_not_for_us_or_does_not_hold_now_is_refused() {
    let key = IssuerKey::ec("e");
    let issuer = Issuer::start(&[&key]).await;
    let (server, _upstream) = server_of(&issuer).await;
    let claims = issuer.claims("alice");
    server.bearer(&key.signs(&claims)).get("/v1/agents").await.expect(200);
    let slash = format!("{}/", issuer.name());
    for changes in [
        json!({"aud": "others"}),
        json!({"aud": ["others"]}),
        json!({"aud": null}),
        json!({"iss": "https://id.example"}),
        json!({"iss": slash}),
        json!({"iss": [issuer.name()]}),
        json!({"iss": null}),
        json!({"exp": now() - 120}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"nbf": now() + 600}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": 7}),
    ] {
        let user = server.bearer(&key.signs(&with(&claims, &changes)));
        let answer = user.get("/v1/agents").await;
        assert_eq!(answer.status, 401, "{changes}: {}", answer.text());
    }
    let mut broken = key.signs(&claims);
    broken.truncate(broken.len() - 4);
    is_refused(&server.bearer(&broken)).await;
    is_refused(&server.bearer(&format!("{}.{}", key.signs(&claims), "x".repeat(9000)))).await;
    is_refused(&server.bearer(&key.signs(&with(&claims, &json!({"padding": "x".repeat(8192)}))))).await;
    for rubbish in ["..", "a.b.c", "e30.e30.e30", "....", "gvu_.x.y"] {
        is_refused(&server.bearer(rubbish)).await;
    }
}

#[tokio::test]
async fn the_algorithm_is_the_keys_and_never_the_tokens_to_choose() {
    let (rsa, ec, ed) = (IssuerKey::rsa("r"), IssuerKey::ec("e"), IssuerKey::ed("d"));
    let issuer = Issuer::start(&[&rsa, &ec, &ed]).await;
    let (server, _upstream) = server_of(&issuer).await;
    let claims = issuer.claims("alice");
    server.bearer(&rsa.signs(&claims)).get("/v1/agents").await.expect(200);
    // The public key as the secret of a symmetric algorithm.
    for key in [&rsa, &ec, &ed] {
        for token in key.is_taken_for_a_secret(&claims) {
            is_refused(&server.bearer(&token)).await;
        }
    }
    // No signature at all, or one of another key than the token names.
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None", "kid": "r"}),
        json!({"alg": "ES256", "kid": "r"}),
        json!({"alg": "ES256", "kid": "d"}),
        json!({"alg": "RS256", "kid": "e"}),
        json!({"alg": "ES256"}),
        json!({"kid": "e"}),
        json!({"alg": "ES256", "kid": "e", "crit": ["exp"], "exp": 1}),
    ] {
        let token = ec.signs_under(&header, &claims);
        is_refused(&server.bearer(&token)).await;
        let unsigned = token.rsplit_once('.').unwrap().0;
        is_refused(&server.bearer(&format!("{unsigned}."))).await;
    }
    // A stranger's key under a known name.
    is_refused(&server.bearer(&IssuerKey::ec("e").signs(&claims))).await;
    is_refused(&server.bearer(&IssuerKey::rsa("r").signs(&claims))).await;
}

#[tokio::test]
async fn keys_are_asked_for_again_when_one_is_missing_and_not_for_every_rubbish() {
    let (old, new, newest) = (IssuerKey::ec("1"), IssuerKey::ed("2"), IssuerKey::ec("3"));
    let issuer = Issuer::start(&[&old]).await;
    let (server, _upstream) = server_of(&issuer).await;
    let claims = issuer.claims("alice");
    server.bearer(&old.signs(&claims)).get("/v1/agents").await.expect(200);
    issuer.was_asked(1).await;
    let asked = issuer.asked();

    issuer.shows(&[&new, &newest]);
    server.bearer(&new.signs(&claims)).get("/v1/agents").await.expect(200);
    server.bearer(&newest.signs(&claims)).get("/v1/agents").await.expect(200);
    is_refused(&server.bearer(&old.signs(&claims))).await;
    for number in 0..20 {
        is_refused(&server.bearer(&IssuerKey::ed(&format!("made up {number}")).signs(&claims))).await;
    }
    assert!(issuer.asked() <= asked + 1, "{} times", issuer.asked());

    // Known keys are good while the issuer is out of order.
    issuer.fails();
    server.bearer(&new.signs(&claims)).get("/v1/agents").await.expect(200);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_fault_of_the_tokens() {
    let key = IssuerKey::ed("1");
    let issuer = Issuer::start(&[&key]).await;
    issuer.fails();
    let (server, _upstream) = server_of(&issuer).await;
    let user = server.bearer(&key.signs(&issuer.claims("alice")));
    let answer = user.get("/v1/agents").await;
    assert_eq!(answer.header("retry-after"), "30");
    answer.refused(503, "issuer_unavailable");
    server.admin().get("/v1/agents").await.expect(200);
    is_refused(&server.bearer("a.b.c")).await;
}

#[tokio::test]
async fn a_claim_makes_administrators_and_no_local_name_is_taken() {
    let key = IssuerKey::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let (server, _upstream) = server_of(&issuer).await;
    let claims = |changes: Value| with(&issuer.claims("admin"), &changes);
    let plain = server.bearer(&key.signs(&claims(json!({}))));
    plain.get("/v1/verdicts").await.refused(403, "forbidden");
    let agent = server.admin().create_agent(json!({})).await;
    plain.get(&agent.path("")).await.refused(404, "not_found");
    for groups in [json!(["users", "gavel"]), json!("gavel")] {
        server.bearer(&key.signs(&claims(json!({"groups": groups})))).get("/v1/verdicts").await.expect(200);
    }
    for groups in [json!(["gavels"]), json!({"gavel": true}), json!(true), json!("gavel users")] {
        let user = server.bearer(&key.signs(&claims(json!({"groups": groups}))));
        user.get("/v1/verdicts").await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_socket_closes_when_the_issuers_token_ends() {
    let key = IssuerKey::ed("1");
    let issuer = Issuer::start(&[&key]).await;
    let (server, _upstream) = server_of(&issuer).await;
    let alice = server.bearer(&key.signs(&issuer.claims("alice")));
    let agent = alice.starts(json!({})).await;
    let short = server.bearer(&key.signs(&with(&issuer.claims("alice"), &json!({"exp": now() + 3}))));
    let (mut chat, mut longer) = (short.chat(&agent).await, alice.chat(&agent).await);
    chat.say("Hello").await.ended("stop");
    assert_eq!(chat.closed().await.0, 4401);
    longer.is_open().await;
}

#[tokio::test]
async fn an_issuer_over_a_network_in_clear_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gavel.toml");
    for (section, word) in [
        ("issuer = \"http://id.example\"\naudience = \"gavel\"", "auth.oidc.issuer"),
        ("issuer = \"https://id.example\"\naudience = \"\"", "auth.oidc.audience"),
        ("issuer = \"https://id.example\"", "audience"),
        (
            "issuer = \"https://id.example\"\naudience = \"a\"\njwks_url = \"http://id.example/keys\"",
            "auth.oidc.jwks_url",
        ),
        ("issuer = \"https://id.example\"\naudience = \"a\"\nalgorithms = [\"HS256\"]", "algorithms"),
    ] {
        std::fs::write(&file, format!("[auth.oidc]\n{section}\n")).unwrap();
        let ran = gavel_tests::gavel_command(&["config", "check", "--config", file.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.err.contains(word), "{ran:?}");
    }
}
