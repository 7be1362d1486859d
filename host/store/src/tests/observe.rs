//! What the store tells of itself.

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::medium::Medium;
use super::{Actor, signer};
use crate::{Commit, CommitObserver, Store, StoreOptions};

#[derive(Default)]
struct Notes(Mutex<Vec<Commit>>);

impl CommitObserver for Notes {
    fn committed(&self, commit: &Commit) {
        self.0.lock().unwrap().push(*commit);
    }
}

#[tokio::test]
async fn every_batch_is_told_with_its_operations() {
    let (dir, notes) = (TempDir::new().unwrap(), Arc::<Notes>::default());
    let options = StoreOptions { observer: Some(notes.clone()), ..StoreOptions::default() };
    let store = Store::open(dir.path(), signer(), options).unwrap();
    let alice = Actor::new(&store).await;
    let seals = (0..20).map(|number| {
        let (store, seal) = (store.clone(), alice.input(&format!("question {number}")));
        tokio::spawn(async move { store.seal_input(seal).await })
    });
    for seal in seals.collect::<Vec<_>>() {
        seal.await.unwrap().unwrap();
    }
    let told = notes.0.lock().unwrap().clone();
    // The agent was made and started before.
    assert_eq!(told.iter().map(|commit| commit.operations).sum::<usize>(), 22);
    assert!(told.len() < 22, "the twenty shared commits");
    assert!(told.iter().all(|commit| commit.written && !commit.elapsed.is_zero()));
    let status = store.status();
    assert!(status.writing && status.failed_commit.is_none() && status.waiting == 0, "{status:?}");
    assert!((1..=status.journal_limit_bytes).contains(&status.journal_bytes), "{status:?}");
    store.clone().close();
    assert!(!store.status().writing);
}

#[tokio::test]
async fn a_failed_commit_is_remembered_until_one_succeeds() {
    let medium = Medium::default();
    let store = medium.open().unwrap();
    let alice = Actor::new(&store).await;
    medium.fail_after(0);
    assert!(store.seal_input(alice.input("lost")).await.is_err());
    assert!(store.status().failed_commit.is_some() && store.status().writing);
    medium.repair();
    store.seal_input(alice.input("kept")).await.unwrap();
    assert_eq!(store.status().failed_commit, None);
}
