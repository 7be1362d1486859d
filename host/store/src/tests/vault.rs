//! Providers' keys, kept sealed.

use super::{Actor, Home};
use crate::error::Missing;
use crate::{AgentId, StoreError, VaultKey};

fn key(provider: &str, sealed: &[u8], now: i64) -> VaultKey {
    VaultKey {
        provider: provider.into(),
        prefix: "sk".into(),
        origins: vec!["https://api.example.com".into()],
        sealed: sealed.to_vec(),
        created_at: now,
        updated_at: now,
    }
}

#[tokio::test]
async fn a_key_is_kept_for_its_agent_and_provider_alone() {
    let home = Home::new();
    let (one, other) = (Actor::new(&home.store).await, Actor::new(&home.store).await);
    for provider in ["b", "a", "a\u{ff}"] {
        let put = home.store.put_vault_key(&one.agent, key(provider, b"one", 10)).await.unwrap();
        assert!(!put.replaced);
    }
    home.store.put_vault_key(&other.agent, key("a", b"other", 10)).await.unwrap();

    let home = home.reopen();
    let providers = |agent: &AgentId| -> Vec<String> {
        home.store.vault_keys(agent).unwrap().into_iter().map(|key| key.provider).collect()
    };
    assert_eq!(providers(&one.agent), ["a", "a\u{ff}", "b"]);
    assert_eq!(providers(&other.agent), ["a"]);
    assert_eq!(home.store.vault_key(&other.agent, "a").unwrap(), Some(key("a", b"other", 10)));
    assert_eq!(home.store.vault_key(&other.agent, "b").unwrap(), None);
}

#[tokio::test]
async fn a_replaced_key_keeps_the_time_of_the_first() {
    let home = Home::new();
    let agent = Actor::new(&home.store).await.agent;
    home.store.put_vault_key(&agent, key("a", b"first", 10)).await.unwrap();
    let second = home.store.put_vault_key(&agent, key("a", b"second", 20)).await.unwrap();
    assert!(second.replaced);
    assert_eq!((second.key.created_at, second.key.updated_at), (10, 20));
    let again = home.store.put_vault_key(&agent, key("a", b"second", 20)).await.unwrap();
    assert_eq!(again, second, "a repeat changes nothing");
}

#[tokio::test]
async fn a_key_is_removed_once() {
    let home = Home::new();
    let agent = Actor::new(&home.store).await.agent;
    home.store.put_vault_key(&agent, key("a", b"one", 10)).await.unwrap();
    assert!(home.store.remove_vault_key(&agent, "a").await.unwrap());
    assert!(!home.store.remove_vault_key(&agent, "a").await.unwrap());
    assert_eq!(home.store.vault_keys(&agent).unwrap(), []);
}

#[tokio::test]
async fn an_agent_that_is_not_there_takes_no_key() {
    let home = Home::new();
    let nobody = AgentId::generate();
    let refused = home.store.put_vault_key(&nobody, key("a", b"one", 10)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound(Missing::Agent(id)) if id == nobody), "{refused}");
}
