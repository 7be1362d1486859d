//! Users' tokens and agents' API keys.

use gavel_log::Hash;

use super::*;
use crate::{ApiKey, KeyId, MAX_API_KEYS, Missing, User, UserRole};

fn user(name: &str, role: UserRole) -> User {
    User { id: name.parse().unwrap(), role, token_hash: Some(Hash::of(name.as_bytes())), created_at: 1 }
}

fn key(agent: AgentId, token: &str) -> ApiKey {
    ApiKey {
        id: KeyId::generate(),
        agent,
        name: "ci".into(),
        scopes: vec!["chat".into()],
        prefix: "gvk_abcd".into(),
        token_hash: Hash::of(token.as_bytes()),
        created_at: 1000,
        expires_at: None,
        last_used_at: None,
    }
}

#[tokio::test]
async fn a_keys_token_finds_it_with_its_agent_until_it_is_removed() {
    let home = Home::new();
    let agent = new_agent("alice");
    home.store.create_agent(agent.clone()).await.unwrap();
    let one = key(agent.id, "one");
    home.store.add_api_key(one.clone()).await.unwrap();
    home.store.add_api_key(one.clone()).await.unwrap();

    let home = home.reopen();
    let store = &home.store;
    let found = store.api_key_by_token(&one.token_hash).unwrap().unwrap();
    assert_eq!((found.0, found.1.id), (one.clone(), agent.id));
    assert_eq!(store.api_keys(&agent.id).unwrap(), std::slice::from_ref(&one));
    let error = store.add_api_key(key(agent.id, "one")).await.unwrap_err();
    assert!(matches!(error, StoreError::TokenInUse));

    store.remove_api_key(&agent.id, &one.id).await.unwrap();
    assert_eq!(store.api_key_by_token(&one.token_hash).unwrap(), None);
    assert_eq!(store.api_keys(&agent.id).unwrap(), []);
    let error = store.remove_api_key(&agent.id, &one.id).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::ApiKey(id)) if id == one.id));
}

#[tokio::test]
async fn a_key_is_its_own_agents_alone() {
    let home = Home::new();
    let (mine, other) = (new_agent("alice"), new_agent("alice"));
    home.store.create_agent(mine.clone()).await.unwrap();
    let stray = home.store.add_api_key(key(other.id, "stray")).await.unwrap_err();
    assert!(matches!(stray, StoreError::NotFound(Missing::Agent(id)) if id == other.id));
    home.store.create_agent(other.clone()).await.unwrap();
    let mine = key(mine.id, "mine");
    home.store.add_api_key(mine.clone()).await.unwrap();
    assert_eq!(home.store.api_keys(&other.id).unwrap(), []);
    assert!(home.store.remove_api_key(&other.id, &mine.id).await.is_err());
    assert_eq!(home.store.api_key(&mine.agent, &mine.id).unwrap(), Some(mine));
}

#[tokio::test]
async fn a_keys_use_is_noted_once_and_never_earlier() {
    let home = Home::new();
    let agent = new_agent("alice");
    home.store.create_agent(agent.clone()).await.unwrap();
    let one = key(agent.id, "one");
    home.store.add_api_key(one.clone()).await.unwrap();
    for (at, expected) in [(2000, 2000), (1500, 2000), (3000, 3000)] {
        home.store.note_api_key_use(&agent.id, &one.id, at).await.unwrap();
        assert_eq!(home.store.api_key(&agent.id, &one.id).unwrap().unwrap().last_used_at, Some(expected));
    }
    home.store.remove_api_key(&agent.id, &one.id).await.unwrap();
    home.store.note_api_key_use(&agent.id, &one.id, 4000).await.unwrap();
    assert_eq!(home.store.api_keys(&agent.id).unwrap(), []);
}

#[tokio::test]
async fn an_agent_has_so_many_keys_and_no_more() {
    let home = Home::new();
    let agent = new_agent("alice");
    home.store.create_agent(agent.clone()).await.unwrap();
    for number in 0..MAX_API_KEYS {
        home.store.add_api_key(key(agent.id, &number.to_string())).await.unwrap();
    }
    let error = home.store.add_api_key(key(agent.id, "more")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyApiKeys));
    assert_eq!(home.store.api_keys(&agent.id).unwrap().len(), MAX_API_KEYS);
}

#[tokio::test]
async fn the_keys_of_a_revoked_owner_are_refused_until_the_owner_is_back() {
    let home = Home::new();
    let store = &home.store;
    store.add_user(user("root", UserRole::Admin)).await.unwrap();
    store.add_user(user("alice", UserRole::Member)).await.unwrap();
    let agent = new_agent("alice");
    store.create_agent(agent.clone()).await.unwrap();
    let one = key(agent.id, "one");
    store.add_api_key(one.clone()).await.unwrap();

    store.revoke_user("alice".parse().unwrap()).await.unwrap();
    store.revoke_user("alice".parse().unwrap()).await.unwrap();
    assert_eq!(store.user_by_token(&Hash::of(b"alice")).unwrap(), None);
    assert_eq!(store.api_key_by_token(&one.token_hash).unwrap(), None);
    let renewed = store.renew_user("alice".parse().unwrap(), Hash::of(b"again")).await.unwrap();
    assert_eq!(store.user_by_token(&Hash::of(b"again")).unwrap(), Some(renewed));
    assert!(store.api_key_by_token(&one.token_hash).unwrap().is_some());
}

#[tokio::test]
async fn a_name_is_taken_once_and_somebody_stays_administrator() {
    let home = Home::new();
    let store = &home.store;
    let root = user("root", UserRole::Admin);
    store.add_user(root.clone()).await.unwrap();
    let error = store.add_user(User { created_at: 2, ..root.clone() }).await.unwrap_err();
    assert!(matches!(error, StoreError::UserExists(id) if id == root.id));
    store.add_user(user("eve", UserRole::Auditor)).await.unwrap();
    let error = store.revoke_user(root.id.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::LastAdministrator(id) if id == root.id));
    assert_eq!(store.user_by_token(&Hash::of(b"root")).unwrap(), Some(root.clone()));

    store.add_user(user("deputy", UserRole::Admin)).await.unwrap();
    store.revoke_user(root.id.clone()).await.unwrap();
    let last = store.revoke_user("deputy".parse().unwrap()).await;
    assert!(matches!(last, Err(StoreError::LastAdministrator(_))), "a revoked administrator is none");
    let unknown = store.revoke_user("nobody".parse().unwrap()).await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound(Missing::User)));
}
