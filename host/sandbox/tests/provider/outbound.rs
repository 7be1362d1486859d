//! Where requests go and what goes with them.

use std::time::Duration;

use gavel_sandbox::provider::{BindError, Grant, GrantError, ProviderError};
use secrecy::SecretString;
use serde_json::json;

use crate::house::{House, KEY, limits, request};
use crate::upstream::Upstream;

fn unavailable(words: String) -> Option<ProviderError> {
    Some(ProviderError::Unavailable(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_origins_are_called() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let origin = upstream.origin();
    let rogue = house.rogue_at(&["https://api.example.org", &origin], true).await;
    let get = async |url: String| house.say(&rogue, "get", &url).await;
    assert!(get(format!("{origin}/hello/v1")).await.0.starts_with("status 200"));
    let hits = upstream.hits();
    let port = upstream.address.port();
    for (url, named) in [
        (format!("https://127.0.0.1:{port}/hello/v1"), format!("https://127.0.0.1:{port}")),
        (format!("http://localhost:{port}/hello/v1"), format!("http://localhost:{port}")),
        ("http://127.0.0.1/hello/v1".into(), "http://127.0.0.1".into()),
        ("https://api.example.org.evil.example/".into(), "https://api.example.org.evil.example".into()),
        ("https://API.example.com/".into(), "https://api.example.com".into()),
    ] {
        assert_eq!(get(url).await.1.err(), unavailable(format!("origin not granted: {named}")));
    }
    let (_, smuggled) = get(format!("http://api.example.org@127.0.0.1:{port}/hello/v1")).await;
    assert!(matches!(smuggled, Err(ProviderError::Unavailable(_))));
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/", "unix:///run/docker.sock"] {
        let (said, end) = get(url.to_owned()).await;
        assert!(said.is_empty() && matches!(end, Err(ProviderError::Unavailable(_))), "{url}: {end:?}");
    }
    assert_eq!(upstream.hits(), hits, "nothing of it arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_need_their_own_permission() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let port = upstream.address.port();
    for origin in [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://2130706433:{port}"),
        "http://169.254.169.254".into(),
        "http://[::1]:9".into(),
    ] {
        let rogue = house.rogue_at(&[&origin], false).await;
        let (_, end) = house.say(&rogue, "get", &format!("{origin}/hello/v1")).await;
        let Err(ProviderError::Unavailable(why)) = &end else { panic!("{origin}: {end:?}") };
        assert!(why.starts_with("private address refused: "), "{origin}: {why}");
    }
    assert_eq!(upstream.hits(), 0);
    let rogue = house.rogue_at(&[&format!("http://2130706433:{port}")], true).await;
    let (said, _) = house.say(&rogue, "get", &format!("http://127.0.0.1:{port}/hello/v1")).await;
    assert!(said.starts_with("status 200"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let openai = house.openai_at(&upstream, "redirect").await;
    let (said, end) = house.say(&openai, "m", "Hi").await;
    assert_eq!((said.as_str(), end.err()), ("", unavailable("status 302: redirects are not followed".into())));
    assert_eq!(upstream.hits(), 3, "tried again, but never at the redirect's end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_neither_sees_nor_replaces_the_key() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let rogue = house.rogue_at(&[&upstream.origin()], true).await;
    let (seen, _) = house.say(&rogue, "get", &format!("{}/echo/v1", upstream.origin())).await;
    let (headers, _) = upstream.last();
    assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), [&format!("Bearer {KEY}")]);
    assert_eq!(headers["x-guest"], "yes");
    assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "a trace is the host's");
    assert!(seen.contains("authorization: Bearer guest") && seen.contains("x-echo: ***"), "{seen}");
    assert!(!seen.contains(KEY), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_made_ahead_sends_nothing_before_its_chat_is_asked_for() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let token = json!(format!("{}/echo/v1", upstream.origin()));
    let rogue = house.rogue_told(&token, &[&upstream.origin()], true).await;
    let hit = async || {
        while upstream.hits() == 0 {
            tokio::task::yield_now().await;
        }
    };
    let ready = || house.runtime.ready(&rogue, house.runtime.permit().unwrap());
    let unasked = ready();
    assert!(tokio::time::timeout(Duration::from_millis(200), hit()).await.is_err(), "nobody has asked");
    drop(unasked);

    let asked = ready().ask(Some(SecretString::from(KEY)), None, request("see", ""));
    assert!(asked.finish().await.is_ok());
    assert_eq!(upstream.hits(), 1);
    assert_eq!(upstream.last().0["authorization"], format!("Bearer {KEY}"), "the key came with the asking");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_chat_that_needs_one_does_not_begin() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let chat =
        |key| house.runtime.chat(&rogue, house.runtime.permit().unwrap(), key, None, request("see", "")).finish();
    assert!(matches!(chat(None).await, Err(ProviderError::NoKey(_))));
    assert!(matches!(chat(Some(SecretString::from("a\r\nb"))).await, Err(ProviderError::NoKey(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_in_a_guests_words_is_masked() {
    let house = House::new(&limits());
    let rogue = house.rogue_at(&[], false).await;
    let (_, end) = house.say(&rogue, "echo-error", &format!("bad key {KEY}\u{7}")).await;
    assert_eq!(end, Err(ProviderError::InvalidRequest("bad key *** ".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_sends_a_bounded_number_of_requests() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let rogue = house.rogue_at(&[&upstream.origin()], true).await;
    let (_, end) = house.say(&rogue, "many", &format!("{}/models/v1", upstream.origin())).await;
    assert_eq!(end.err(), unavailable("too many requests in one chat".into()));
    assert_eq!(upstream.hits(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_is_checked() {
    let house = House::new(&limits());
    let openai = house.openai().await;
    let nothing = || Grant { origins: Vec::new(), credential: None, allow_private: false };
    let refused = async |config: &str, grant| house.runtime.bind(openai.clone(), config, grant).await.err().unwrap();
    assert!(matches!(refused("{", nothing()).await, BindError::Json(_)));
    let BindError::Config(faults) = refused(r#"{"base_url":"ftp://h","key":1}"#, nothing()).await else { panic!() };
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().any(|fault| fault.pointer == "/base_url"));
    let granted = Grant::from_manifest(openai.manifest(), &json!({})).unwrap();
    assert_eq!(granted.origins, ["https://api.openai.com".parse().unwrap()]);
    let mut cookie = granted.clone();
    cookie.credential.as_mut().unwrap().header = http::header::COOKIE;
    assert!(matches!(refused("{}", cookie).await, BindError::Grant(GrantError::Header(_))));
}
