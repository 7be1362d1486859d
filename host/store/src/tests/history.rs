//! Reading messages back, and judging older ones anew.

use super::*;
use crate::{MessagePosition, TurnPart};

#[tokio::test]
async fn history_holds_the_newest_turns_that_went_well() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    for (question, answer, reason) in [
        ("q1", "a1", "stop"),
        ("q2", "a2", "blocked"),
        ("q3", "a3", "error"),
        ("q4", "a4", "interrupted"),
        ("q5", "a5", "length"),
        ("q6", "a6", "cancelled"),
        ("q7", "", "tool_calls"),
    ] {
        alice.turn(question, answer, reason).await;
    }
    alice.blocked("q8").await;
    let open = home.store.seal_input(alice.input("q9")).await.unwrap().turn;
    alice.turn("q10", "a10", "stop").await;

    let read = |after, most| home.store.history(&alice.session, after, most).unwrap();
    let history = |after, most| said(&read(after, most));
    assert_eq!(history(0, 100), ["q1", "a1", "q5", "a5", "q6", "a6", "q7", "q10", "a10"]);
    assert_eq!(history(0, 3), ["q6", "a6", "q7", "q10", "a10"]);
    assert_eq!(history(5, 100), ["q6", "a6", "q7", "q10", "a10"]);
    assert_eq!(history(5, 1), ["q10", "a10"]);
    assert_eq!(history(10, 100), [""; 0]);
    assert_eq!(history(u64::MAX, 100), [""; 0]);
    assert_eq!(history(0, 0), [""; 0]);
    let unsettled: Vec<u64> = read(0, 100).iter().filter(|turn| !turn.settled).map(|turn| turn.turn).collect();
    assert_eq!(unsettled, [open]);
    assert_eq!(read(0, 100).iter().map(|turn| turn.turn).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn messages_are_paged_by_their_position() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    alice.turn("q1", "a1", "stop").await;
    alice.turn("q2", "", "error").await;
    alice.turn("q3", "a3", "stop").await;
    Actor::new(&home.store).await.turn("other", "session", "stop").await;

    let (mut after, mut all) = (None, Vec::new());
    for _ in 0..5 {
        let page = home.store.messages(&alice.session, after, 2).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.position());
        all.extend(texts(&page));
    }
    assert_eq!(all, ["q1", "a1", "q2", "q3", "a3"]);
    let middle = MessagePosition { turn: 2, part: TurnPart::Answer };
    assert_eq!(texts(&home.store.messages(&alice.session, Some(middle), 10).unwrap()), ["q3", "a3"]);
}

#[tokio::test]
async fn older_parts_judged_now_get_their_leaves_and_the_new_digest() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let (first, _) = alice.turn("q1", "a1", "stop").await;
    let stored = home.store.messages(&alice.session, None, 10).unwrap();
    let (question, answer) = (stored[0].id, stored[1].id);

    let mut seal = alice.input("q2");
    seal.earlier = vec![leaf(None), leaf(Some(question)), leaf(Some(answer)), leaf(Some(MessageId::generate()))];
    let sealed = home.store.seal_input(seal).await.unwrap();
    let seqs: Vec<u64> = sealed.earlier.iter().chain([&sealed.sealed]).map(|sealed| sealed.seq).collect();
    assert_eq!(seqs, [2, 3, 4, 5, 6]);
    let stored = home.store.message(&alice.agent, &question).unwrap().unwrap();
    assert_eq!(stored.leaf_hashes, [first.sealed.leaf_hash, sealed.earlier[1].leaf_hash]);
    assert_eq!(stored.judged, Some(Hash::of(b"bindings")), "only the caller knows whether it passed");

    let digest = Hash::of(b"new bindings");
    home.store.mark_judged(&alice.agent, vec![question, MessageId::generate(), answer], digest).await.unwrap();
    let marked = home.store.message(&alice.agent, &question).unwrap().unwrap();
    assert_eq!(marked, crate::StoredMessage { judged: Some(digest), ..stored });
    audit(&home.store);
}
