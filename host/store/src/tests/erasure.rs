//! Clearing sessions and deleting agents.

use redb::{Database, ReadableTable, ReadableTableMetadata};

use super::medium::{Chance, Medium};
use super::*;
use crate::{Erasure, FILE_NAME, JOURNAL_NAME, tables};

/// A wrapped key that stands nowhere else.
const KEY: [u8; 32] = *b"the wrapped key of the first one";

async fn erase_all(store: &Store) {
    for erasure in store.erasures(100).unwrap() {
        while store.erase(erasure).await.unwrap() {}
    }
    assert_eq!(store.erasures(100).unwrap(), []);
}

/// How many rows the tables of conversations hold, all together.
fn rows(home: Home) -> (Home, u64) {
    let Home { dir, store } = home;
    store.close();
    let database = Database::open(dir.path().join(FILE_NAME)).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let count = [
        transaction.open_table(tables::CONVERSATIONS).unwrap().len().unwrap(),
        transaction.open_table(tables::MESSAGE_PLACES).unwrap().len().unwrap(),
        transaction.open_table(tables::OPENINGS).unwrap().len().unwrap(),
        transaction.open_table(tables::SESSION_CHECKPOINTS).unwrap().len().unwrap(),
        transaction.open_table(tables::SESSIONS).unwrap().len().unwrap(),
        transaction.open_table(tables::SESSIONS_BY_AGENT).unwrap().len().unwrap(),
        transaction.open_table(tables::OPEN_TURNS).unwrap().len().unwrap(),
        transaction.open_table(tables::ERASURES).unwrap().len().unwrap(),
        transaction.open_table(tables::AGENTS).unwrap().iter().unwrap().count() as u64,
        transaction.open_table(tables::AGENT_HEADS).unwrap().len().unwrap(),
        transaction.open_table(tables::AGENTS_BY_OWNER).unwrap().len().unwrap(),
    ];
    drop(transaction);
    drop(database);
    let store = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap();
    (Home { dir, store }, count.iter().sum())
}

#[tokio::test]
async fn what_was_cleared_is_out_of_reach_at_once_and_the_session_goes_on() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let (input, output) = alice.turn("secret", "whispered", "stop").await;
    alice.blocked("worse").await;
    let stored = home.store.messages(&alice.session, None, 10).unwrap();
    let repeated = alice.input("again");
    let repeated = InputSeal { input: stored[0].id, message: message(stored[0].id, Role::User, "again"), ..repeated };
    assert!(home.store.leaf(&input.sealed.leaf_hash).unwrap().unwrap().opening.is_some());

    assert_eq!(home.store.clear_session(&alice.agent, &alice.session, KEY.to_vec()).await.unwrap(), 3);
    for erased in [false, true] {
        if erased {
            erase_all(&home.store).await;
        }
        assert_eq!(home.store.messages(&alice.session, None, 10).unwrap(), []);
        assert_eq!(home.store.history(&alice.session, 0, 10).unwrap(), []);
        assert_eq!(home.store.message(&alice.agent, &stored[0].id).unwrap(), None);
        assert_eq!(home.store.turn_by_message(&alice.agent, &stored[1].id).unwrap(), None);
        for leaf in [input.sealed.leaf_hash, output.leaf_hash] {
            assert_eq!(home.store.leaf(&leaf).unwrap().unwrap().opening, None);
        }
    }
    let session = home.store.session(&alice.session).unwrap().unwrap();
    assert_eq!((session.turns, session.messages, session.wrapped_key), (2, 0, KEY.to_vec()));
    assert!(matches!(home.store.seal_input(repeated.clone()).await, Err(StoreError::SessionChanged(_))));
    let (next, _) = alice.turn("harmless", "yes", "stop").await;
    assert_eq!(next.turn, 3);
    assert!(home.store.leaf(&next.sealed.leaf_hash).unwrap().unwrap().opening.is_some());
    home.store.seal_input(InputSeal { epoch: session.epoch, ..repeated }).await.unwrap();
    assert_eq!(home.store.clear_session(&alice.agent, &alice.session, vec![1]).await.unwrap(), 3);
    audit(&home.store);
}

#[tokio::test]
async fn a_turn_that_was_open_is_recorded_and_nothing_of_it_is_kept() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let seal = alice.input("secret");
    let (question, answer) = (seal.input, seal.answer);
    let input = home.store.seal_input(seal).await.unwrap();
    assert_eq!(home.store.clear_session(&alice.agent, &alice.session, KEY.to_vec()).await.unwrap(), 1);
    erase_all(&home.store).await;
    assert_eq!(home.store.open_turns().unwrap().len(), 1, "recovery finds it");

    let output = alice.output(input.turn, answer, "whispered", "stop");
    let sealed = home.store.seal_output(output.clone()).await.unwrap();
    assert_eq!(home.store.seal_output(output).await.unwrap(), sealed, "once more");
    check_receipt(&home.store, &sealed.sealed);
    for leaf in [input.sealed.leaf_hash, sealed.sealed.leaf_hash] {
        assert_eq!(home.store.leaf(&leaf).unwrap().unwrap().opening, None);
    }
    assert_eq!(home.store.open_turns().unwrap(), []);
    assert_eq!(home.store.messages(&alice.session, None, 10).unwrap(), []);
    assert_eq!(home.store.session(&alice.session).unwrap().unwrap().messages, 0);
    for id in [question, answer] {
        assert_eq!(home.store.turn_by_message(&alice.agent, &id).unwrap(), None);
    }
    audit(&home.store);
}

#[tokio::test]
async fn a_deletion_wins_over_a_restore() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    alice.turn("one", "1", "stop").await;
    let checkpoint = alice.stop().await;
    alice.start(false).await;
    alice.turn("two", "2", "stop").await;
    home.store.clear_session(&alice.agent, &alice.session, KEY.to_vec()).await.unwrap();
    alice.turn("three", "3", "stop").await;
    alice.stop().await;
    home.store.restore_checkpoint(&alice.agent, &checkpoint.id, 0).await.unwrap();
    assert_eq!(home.store.messages(&alice.session, None, 10).unwrap(), []);
    alice.start(false).await;
    alice.turn("four", "4", "stop").await;
    assert_eq!(texts(&home.store.messages(&alice.session, None, 10).unwrap()), ["four", "4"]);
    assert_eq!(alice.stop().await.messages, 2);
}

#[tokio::test]
async fn a_deleted_agent_is_gone_with_all_its_rows_and_its_leaves_stay() {
    let home = Home::new();
    let bob = Actor::new(&home.store).await;
    bob.turn("mine", "stays", "stop").await;
    let (home, before) = rows(home);

    let mut alice = Actor::new(&home.store).await;
    let large = LeafDraft { opening: Some(vec![7; 10_000]), ..leaf(None) };
    let seal = InputSeal { leaf: large, fate: InputFate::Blocked, ..alice.input("large") };
    let sealed = home.store.seal_input(seal).await.unwrap().sealed;
    for session in 0..3 {
        for number in 0..90 {
            alice.turn(&format!("question {number}"), "answer", "stop").await;
        }
        if session == 1 {
            home.store.clear_session(&alice.agent, &alice.session, KEY.to_vec()).await.unwrap();
        }
        assert!(matches!(home.store.delete_agent(&alice.agent).await, Err(StoreError::AgentRunning(_))));
        alice.stop().await;
        alice.start(true).await;
    }
    alice.stop().await;
    home.store.delete_agent(&alice.agent).await.unwrap();
    assert_eq!(home.store.agent(&alice.agent).unwrap(), None);
    assert_eq!(home.store.agents(&"alice".parse().unwrap(), None, 10).unwrap().len(), 1);
    assert_eq!(home.store.session(&alice.session).unwrap(), None);
    assert!(matches!(home.store.delete_agent(&alice.agent).await, Err(StoreError::NotFound(_))));
    assert!(matches!(home.store.start_agent(&alice.agent, start(false)).await, Err(StoreError::NotFound(_))));

    let home = home.reopen();
    let whole = Erasure::Agent(alice.agent);
    assert!(home.store.erasures(10).unwrap().contains(&whole), "a restart goes on with it");
    assert!(home.store.erase(whole).await.unwrap(), "it takes several steps");
    erase_all(&home.store).await;
    assert!(!home.store.erase(whole).await.unwrap(), "nothing is left");
    let (home, after) = rows(home);
    assert_eq!(after, before);
    assert_eq!(home.store.leaf(&sealed.leaf_hash).unwrap().unwrap().agent, alice.agent);
    audit(&home.store);
}

#[tokio::test]
async fn an_agent_with_an_open_turn_is_not_deleted() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    home.store.seal_input(alice.input("wait")).await.unwrap();
    alice.stop().await;
    assert!(matches!(home.store.delete_agent(&alice.agent).await, Err(StoreError::TurnsOpen(_))));
    assert!(home.store.agent(&alice.agent).unwrap().is_some());
}

#[tokio::test]
async fn a_destroyed_key_is_in_the_journal_no_more() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    home.store.clear_session(&alice.agent, &alice.session, KEY.to_vec()).await.unwrap();
    alice.turn("secret", "whispered", "stop").await;
    let journal = || std::fs::read(home.dir.path().join(JOURNAL_NAME)).unwrap();
    let key = hex::encode(KEY);
    let holds = |bytes: &[u8]| bytes.windows(key.len()).any(|window| window == key.as_bytes());
    assert!(holds(&journal()), "it was there");
    home.store.clear_session(&alice.agent, &alice.session, vec![1; 32]).await.unwrap();
    assert!(!holds(&journal()));
    alice.turn("more", "yes", "stop").await;
    assert!(!holds(&journal()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_while_keys_are_destroyed_leaves_all_or_nothing() {
    let medium = Medium::default();
    let store = medium.open().unwrap();
    let alice = Actor::new(&store).await;
    let recording = medium.remember();
    let mut cleared = Vec::new();
    for number in 0..10 {
        alice.turn(&format!("question {number}"), "answer", "stop").await;
        store.clear_session(&alice.agent, &alice.session, vec![number; 32]).await.unwrap();
        cleared.push((recording.len(), number));
    }
    store.close();
    let mut chance = Chance(9);
    for _ in 0..60 {
        let cut = chance.below(recording.len() + 1);
        let store = recording.crash(cut, &mut chance).open().unwrap();
        audit(&store);
        let session = store.session(&alice.session).unwrap().unwrap();
        let messages = u64::try_from(store.messages(&alice.session, None, 100).unwrap().len()).unwrap();
        assert_eq!(session.messages, messages);
        if let Some((_, number)) = cleared.iter().rev().find(|(when, _)| *when <= cut) {
            assert!(session.wrapped_key[0] >= *number, "an acknowledged clearing holds");
        }
    }
}
