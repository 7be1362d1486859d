//! Power cuts and failing disks.

use super::medium::{Chance, Medium};
use super::*;
use crate::TurnState;

/// Simulated power cuts; each opens the store on what the cut left.
const CRASHES: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing_that_was_acknowledged_and_leaves_a_whole_log() {
    let medium = Medium::default();
    let store = medium.open().unwrap();
    let recording = medium.remember();
    let alice = Actor::new(&store).await;
    let ready = recording.len();
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        let (seal, length) = (alice.input(&format!("question {number}")), 100 * number);
        let answer = seal.answer;
        let input = store.seal_input(seal).await.unwrap();
        acknowledged.push((recording.len(), input.sealed));
        let output = alice.output(input.turn, answer, &"a".repeat(length + 1), "stop");
        let sealed = store.seal_output(output).await.unwrap().sealed;
        acknowledged.push((recording.len(), sealed));
    }
    store.close();

    let mut chance = Chance(1);
    for _ in 0..CRASHES {
        let cut = ready + chance.below(recording.len() - ready + 1);
        let store = recording.crash(cut, &mut chance).open().unwrap();
        audit(&store);
        for (_, sealed) in acknowledged.iter().filter(|(when, _)| *when <= cut) {
            let row = store.leaf(&sealed.leaf_hash).unwrap().unwrap();
            assert_eq!(row.index, sealed.leaf_index, "cut at {cut}");
        }
        check_turns(&store, &alice);
        let survivor = Actor { store: store.clone(), ..alice.clone() };
        let (_, output) = survivor.turn("still there?", "yes", "stop").await;
        check_receipt(&store, &output);
    }
}

/// Each turn is either open, with its input stored, or complete with both messages: never half of either.
fn check_turns(store: &Store, actor: &Actor) {
    let open: Vec<u64> = store.open_turns().unwrap().iter().map(|turn| turn.turn).collect();
    let turns = store.session(&actor.session).unwrap().unwrap().turns;
    let messages = store.messages(&actor.session, None, 1000).unwrap();
    let mut seen = 0;
    for number in 1..=turns {
        let stored: Vec<_> = messages.iter().filter(|message| message.turn == number).collect();
        let turn = store.turn_by_message(&actor.agent, &stored[0].id).unwrap().unwrap();
        let expected = if open.contains(&number) { (TurnState::Open, 1) } else { (TurnState::Complete, 2) };
        assert_eq!((turn.state, stored.len()), expected, "turn {number}");
        seen += stored.len();
    }
    assert_eq!(seen, messages.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_its_callers_and_nothing_else() {
    for budget in 0..12 {
        let medium = Medium::default();
        let store = medium.open().unwrap();
        let alice = Actor::new(&store).await;
        alice.turn("before", "yes", "stop").await;
        let head = store.head();

        medium.fail_after(budget);
        let seal = alice.input("lost?");
        let outcome = store.seal_input(seal.clone()).await;
        if let Ok(input) = &outcome {
            check_receipt(&store, &input.sealed);
        } else {
            assert!(matches!(outcome, Err(StoreError::Database(_))), "{outcome:?}");
            assert!(store.seal_input(alice.input("still full")).await.is_err() || store.head().size > head.size);
        }

        medium.repair();
        // It is not known whether a failed commit took place: repeating it tells.
        let again = store.seal_input(seal).await;
        assert!(matches!(again, Ok(_) | Err(StoreError::DuplicateMessage(_))), "{again:?}");
        alice.turn("after", "yes", "stop").await;
        audit(&store);
        let history = said(&store.history(&alice.session, 0, 10).unwrap());
        assert_eq!(history, ["before", "yes", "after", "yes"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_could_not_be_reopened_is_read_again_though_nobody_writes() {
    let medium = Medium::default();
    let store = medium.open().unwrap();
    let alice = Actor::new(&store).await;
    medium.fail_after(0);
    assert!(store.seal_input(alice.input("lost?")).await.is_err());
    assert!(store.agent(&alice.agent).is_err(), "a full disk takes no replay either");
    medium.repair();
    let read = async {
        while store.agent(&alice.agent).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), read).await.unwrap();
    audit(&store);
}

#[tokio::test]
async fn all_callers_of_a_failed_batch_are_told() {
    let medium = Medium::default();
    let store = medium.open().unwrap();
    let alice = Actor::new(&store).await;
    let head = store.head();
    medium.fail_after(0);
    let (one, two, three) = tokio::join!(
        store.seal_input(alice.input("one")),
        store.seal_input(alice.input("two")),
        store.put_user(crate::User {
            id: "bob".parse().unwrap(),
            role: crate::UserRole::Admin,
            token_hash: None,
            created_at: 1
        }),
    );
    assert!(matches!(one, Err(StoreError::Database(_))), "{one:?}");
    assert!(two.is_err() && three.is_err());
    assert_eq!(store.head(), head);
    medium.repair();
    assert_eq!(store.seal_input(alice.input("four")).await.unwrap().sealed.leaf_index, head.size);
    assert_eq!(store.users().unwrap(), []);
    audit(&store);
}
