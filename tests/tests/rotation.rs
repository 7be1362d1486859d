//! The operator changes the master key, and nobody notices.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gavel_tests::{GavelServer, Setup, Upstream, gavel};
use serde_json::{Value, json};

use crate::privacy::holding;

const KEY: &str = "sk-zebra-own-0123456789abcdef";
/// 32 bytes as base64.
const NEW: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn shown_to(upstream: &Upstream) -> String {
    let received = upstream.received();
    received.last().expect("the provider was called").headers["authorization"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_master_key_is_changed_under_a_running_server_and_without_one() {
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    alice.post(&agent.path("/vault"), &json!({"provider": "mock", "api_key": KEY})).await.expect(201);
    let mut chat = alice.chat(&agent).await;
    chat.say("Hello").await.ended("stop");
    let file = server.data_dir().join("master-key");
    let first = std::fs::read_to_string(&file).unwrap();

    let rotated = server.command(&["vault", "rotate", "--json"]).await;
    assert_eq!(rotated.status, Some(0), "{rotated:?}");
    let rotated: Value = serde_json::from_str(&rotated.out).unwrap();
    assert_eq!((&rotated["data_keys"], &rotated["file"]), (&json!(1), &json!("data/master-key")));
    let second = std::fs::read_to_string(&file).unwrap();
    assert_ne!(second, first);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for old in [first.trim(), second.trim()] {
        let kept: &[&str] = if old == second.trim() { &["master-key"] } else { &[] };
        assert_eq!(holding(&server.data_dir(), old), kept);
        assert!(!server.said().contains(old));
    }
    chat.say("And now?").await.ended("stop");
    assert_eq!(shown_to(&upstream), format!("Bearer {KEY}"), "a socket that was open goes on");
    let other = alice.starts(json!({})).await;
    alice.chat(&other).await.say("Hello").await.ended("stop");

    server.kill().await;
    let rotated = server.command(&["vault", "rotate"]).await;
    assert_eq!(rotated.status, Some(0), "{rotated:?}");
    assert!(rotated.out.contains("wraps 2 data keys"), "{rotated:?}");
    server.start_again().await;
    let alice = server.admin();
    assert_eq!(alice.history(&agent).await.len(), 4, "what was said before can be read");
    alice.chat(&agent).await.say("Still there?").await.ended("stop");
    assert_eq!(shown_to(&upstream), format!("Bearer {KEY}"));
    alice.chat(&other).await.say("You too?").await.ended("stop");

    server.kill().await;
    private(&file, &first);
    let refused = server.command(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).await;
    assert_eq!(refused.status, Some(3), "{refused:?}");
    assert!(refused.err.contains("is not the installation's"), "{refused:?}");
}

#[tokio::test]
async fn a_key_of_the_environment_is_changed_by_who_set_it() {
    let (mut server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let refused = server.command(&["vault", "rotate"]).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.err.contains("GAVEL_VAULT_NEW_KEY"), "{refused:?}");

    let file = server.data_dir().join("new-key");
    let path = file.display().to_string();
    let missing = server.command(&["vault", "rotate", "--new-key-file", &path]).await;
    assert_eq!(missing.status, Some(1), "{missing:?}");
    private(&file, "too short");
    let malformed = server.command(&["vault", "rotate", "--new-key-file", &path]).await;
    assert_eq!(malformed.status, Some(1), "{malformed:?}");
    assert!(malformed.err.contains("is not 32 bytes as base64"), "{malformed:?}");

    private(&file, NEW);
    let rotated = server.command(&["vault", "rotate", "--new-key-file", &path]).await;
    assert_eq!(rotated.status, Some(0), "{rotated:?}");
    assert!(rotated.out.contains("set GAVEL_VAULT_KEY to it"), "{rotated:?}");
    let again = server.command(&["vault", "rotate", "--new-key-file", &path]).await;
    assert_eq!(again.status, Some(1), "{again:?}");
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(holding(&server.data_dir(), NEW), Vec::<String>::new());
    assert!(!server.said().contains(NEW));

    server.kill().await;
    let without = server.command(&["vault", "rotate", "--new-key-file", &path]).await;
    assert_eq!(without.status, Some(1), "{without:?}");
    assert!(!server.data_dir().join("master-key").exists(), "a command makes no master key");
}
