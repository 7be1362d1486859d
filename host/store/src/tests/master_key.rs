//! The master key's change, as far as it is the store's.

use super::{Actor, Home};
use crate::{AgentId, MAX_DATA_KEYS, MasterKeyChange, MasterKeyState, RewrappedDataKey};

#[tokio::test]
async fn which_master_key_it_is_survives_a_restart() {
    let home = Home::new();
    assert_eq!(home.store.master_key().unwrap(), None);
    let change = MasterKeyChange { next: "two".into(), next_under_current: vec![1], current_under_next: vec![2] };
    let state = MasterKeyState { current: "one".into(), change: Some(change) };
    home.store.put_master_key(state.clone()).await.unwrap();
    let home = home.reopen();
    assert_eq!(home.store.master_key().unwrap(), Some(state));
}

#[tokio::test]
async fn a_data_key_is_replaced_only_as_it_was() {
    let home = Home::new();
    let (one, other) = (Actor::new(&home.store).await.agent, Actor::new(&home.store).await.agent);
    let rewrapped = |agent, from: &[u8]| RewrappedDataKey { agent, from: from.to_vec(), to: vec![9] };
    let gone = AgentId::generate();
    let keys = vec![rewrapped(one, &[1, 2, 3]), rewrapped(other, &[7]), rewrapped(gone, &[1, 2, 3])];
    home.store.rewrap_data_keys(keys.clone()).await.unwrap();
    home.store.rewrap_data_keys(keys).await.unwrap();
    let home = home.reopen();
    assert_eq!(home.store.agent(&one).unwrap().unwrap().wrapped_data_key, [9]);
    assert_eq!(home.store.agent(&other).unwrap().unwrap().wrapped_data_key, [1, 2, 3]);
    assert_eq!(home.store.agent(&gone).unwrap(), None);
}

#[tokio::test]
async fn data_keys_are_read_page_by_page() {
    let home = Home::new();
    let mut made = Vec::new();
    for _ in 0..=MAX_DATA_KEYS {
        let agent = super::new_agent("alice");
        made.push(agent.id);
        home.store.create_agent(agent).await.unwrap();
    }
    made.sort_unstable();
    let first = home.store.data_keys(None).unwrap();
    let second = home.store.data_keys(first.last().map(|last| &last.agent)).unwrap();
    assert_eq!((first.len(), second.len()), (MAX_DATA_KEYS, 1));
    let read: Vec<_> = first.into_iter().chain(second).map(|key| key.agent).collect();
    assert_eq!(read, made);
    assert_eq!(home.store.data_keys(made.last()).unwrap(), []);
}
