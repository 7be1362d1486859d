//! Checkpoints, and going back to one.

use super::*;
use crate::{CheckpointKind, Missing};

fn draft() -> CheckpointDraft {
    CheckpointDraft { id: CheckpointId::generate(), now: 3500 }
}

#[tokio::test]
async fn checkpoints_are_listed_in_the_order_of_their_making_and_the_newest_is_resumed() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    let (bob, mut made) = (Actor::new(&home.store).await, Vec::new());
    bob.stop().await;
    for number in 0..3 {
        alice.turn(&format!("question {number}"), "answer", "stop").await;
        let draft = draft();
        let checkpoint = home.store.create_checkpoint(&alice.agent, draft).await.unwrap();
        assert_eq!((checkpoint.kind, checkpoint.messages), (CheckpointKind::Manual, 2 * (number + 1)));
        assert_eq!(home.store.create_checkpoint(&alice.agent, draft).await.unwrap(), checkpoint, "made once");
        made.push(checkpoint);
    }
    made.sort_by_key(|checkpoint| checkpoint.id);
    assert_eq!(home.store.session_checkpoints(&alice.agent, None, 10).unwrap(), made);
    assert_eq!(home.store.session_checkpoints(&alice.agent, None, 2).unwrap(), made[..2]);
    assert_eq!(home.store.session_checkpoints(&alice.agent, Some(&made[1].id), 10).unwrap(), made[2..]);
    let automatic = alice.stop().await;
    assert_eq!(automatic.kind, CheckpointKind::Automatic);
    let manual = home.store.create_checkpoint(&alice.agent, draft()).await.unwrap();
    assert_eq!(alice.stop().await, manual, "a stopped agent gives its last checkpoint");
    assert_eq!(alice.start(false).await.resumed_from, Some(manual.id));

    let never = new_agent("carol");
    home.store.create_agent(never.clone()).await.unwrap();
    let error = home.store.create_checkpoint(&never.id, draft()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::Checkpoint)));
}

#[tokio::test]
async fn a_restored_agent_goes_on_from_its_checkpoint_and_what_came_later_can_be_restored_too() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    alice.turn("one", "1", "stop").await;
    let early = home.store.create_checkpoint(&alice.agent, draft()).await.unwrap();
    alice.turn("two", "2", "stop").await;
    let error = home.store.restore_checkpoint(&alice.agent, &early.id, 0).await.unwrap_err();
    assert!(matches!(error, StoreError::AgentRunning(_)));
    let late = alice.stop().await;

    assert_eq!(home.store.restore_checkpoint(&alice.agent, &early.id, 4000).await.unwrap(), early);
    assert_eq!(home.store.restore_checkpoint(&alice.agent, &early.id, 4000).await.unwrap(), early, "and again");
    let home = home.reopen();
    alice.store = home.store.clone();
    let resumed = alice.start(false).await;
    assert_eq!((resumed.session_id, resumed.resumed_from), (early.session_id, Some(early.id)));
    assert_eq!(alice.turn("three", "3", "stop").await.0.turn, 3, "no number is used twice");
    let history = |store: &Store| said(&store.history(&alice.session, 0, 10).unwrap());
    let shown = |store: &Store| texts(&store.messages(&alice.session, None, 10).unwrap());
    assert_eq!(
        (history(&home.store), shown(&home.store)),
        (strings(&["one", "1", "three", "3"]), strings(&["one", "1", "three", "3"]))
    );
    let page = home.store.messages(&alice.session, None, 2).unwrap();
    let rest = home.store.messages(&alice.session, page.last().map(crate::StoredMessage::position), 2).unwrap();
    assert_eq!(texts(&rest), ["three", "3"]);
    let branch = alice.stop().await;
    assert_eq!(branch.messages, 4);

    home.store.restore_checkpoint(&alice.agent, &late.id, 0).await.unwrap();
    assert_eq!(history(&home.store), ["one", "1", "two", "2"]);
    home.store.restore_checkpoint(&alice.agent, &branch.id, 0).await.unwrap();
    assert_eq!(history(&home.store), ["one", "1", "three", "3"]);
    let unknown = home.store.restore_checkpoint(&alice.agent, &CheckpointId::generate(), 0).await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound(Missing::CheckpointOf(_))));
}

#[tokio::test]
async fn a_checkpoint_of_another_session_brings_that_session_back() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    alice.turn("old", "1", "stop").await;
    let old = alice.stop().await;
    alice.start(true).await;
    alice.turn("new", "1", "stop").await;
    alice.stop().await;
    home.store.restore_checkpoint(&alice.agent, &old.id, 0).await.unwrap();
    assert_eq!(alice.start(false).await.session_id, old.session_id);
    assert_eq!(alice.turn("more", "2", "stop").await.0.turn, 2);
    assert_eq!(alice.stop().await.messages, 4);
}

#[tokio::test]
async fn an_input_that_read_the_history_before_a_restore_is_refused() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    alice.turn("one", "1", "stop").await;
    let stale = alice.input("two");
    let checkpoint = alice.stop().await;
    home.store.restore_checkpoint(&alice.agent, &checkpoint.id, 0).await.unwrap();
    alice.start(false).await;
    assert!(matches!(home.store.seal_input(stale).await, Err(StoreError::SessionChanged(_))));
    alice.turn("two", "2", "stop").await;
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
