//! Requests under an idempotency key.

use super::*;
use crate::{ANSWER_KEPT_MS, Ask, Asked, KeptAnswer, Seed};

fn ask(key: &str, what: &str, now: i64) -> Ask {
    let (slot, fingerprint) = (Hash::of(key.as_bytes()), Hash::of(what.as_bytes()));
    Ask { slot, fingerprint, seed: Seed::generate(), now }
}

fn answer() -> KeptAnswer {
    KeptAnswer { status: 201, location: Some("/here".into()), body: "{}".into() }
}

#[tokio::test]
async fn what_is_asked_twice_is_done_with_one_seed_and_answered_alike() {
    let home = Home::new();
    let first = ask("a", "x", 1000);
    assert_eq!(home.store.ask(first).await.unwrap(), Asked::Open(first.seed));
    let home = home.reopen();
    assert_eq!(home.store.ask(ask("a", "x", 2000)).await.unwrap(), Asked::Open(first.seed), "as after a crash");
    assert!(matches!(home.store.ask(ask("a", "y", 2000)).await, Err(StoreError::KeyReused)));
    home.store.keep_answer(&first.slot, answer(), None).await.unwrap();
    assert_eq!(home.store.ask(ask("a", "x", 3000)).await.unwrap(), Asked::Answered(answer()));
    home.store.withdraw(&first.slot).await.unwrap();
    assert_eq!(home.store.ask(ask("a", "x", 3000)).await.unwrap(), Asked::Answered(answer()), "it was answered");
    let other = ask("b", "x", 3000);
    assert_eq!(home.store.ask(other).await.unwrap(), Asked::Open(other.seed));
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let home = Home::new();
    home.store.ask(ask("a", "x", 0)).await.unwrap();
    home.store.withdraw(&ask("a", "", 0).slot).await.unwrap();
    let other = ask("a", "y", 1);
    assert_eq!(home.store.ask(other).await.unwrap(), Asked::Open(other.seed));
}

#[tokio::test]
async fn a_key_is_known_for_a_day() {
    let home = Home::new();
    let first = ask("a", "x", 1000);
    home.store.ask(first).await.unwrap();
    home.store.keep_answer(&first.slot, answer(), None).await.unwrap();
    let late = 1000 + ANSWER_KEPT_MS;
    assert_eq!(home.store.ask(ask("a", "x", late - 1)).await.unwrap(), Asked::Answered(answer()));
    for number in 0..40 {
        home.store.ask(ask(&format!("more {number}"), "x", 1000)).await.unwrap();
    }
    let again = ask("a", "y", late);
    assert_eq!(home.store.ask(again).await.unwrap(), Asked::Open(again.seed));
    for number in 0..2 {
        home.store.ask(ask(&format!("later {number}"), "x", late)).await.unwrap();
    }
    let kept = home.store.disk().read(|transaction| {
        Ok(redb::ReadableTableMetadata::len(&transaction.open_table(crate::tables::KEYED_REQUESTS)?)?)
    });
    assert_eq!(kept.unwrap(), 3, "what is overdue goes with what comes");
}

#[tokio::test]
async fn an_answer_goes_with_the_agent_that_it_tells_of() {
    let home = Home::new();
    let made = ask("a", "x", 1000);
    home.store.ask(made).await.unwrap();
    let agent = Agent { id: made.seed.agent(), ..new_agent("alice") };
    home.store.create_agent(agent.clone()).await.unwrap();
    home.store.keep_answer(&made.slot, answer(), Some(agent.id)).await.unwrap();
    home.store.delete_agent(&agent.id).await.unwrap();
    assert_eq!(home.store.ask(ask("a", "x", 2000)).await.unwrap(), Asked::Gone, "at once");
    for erasure in home.store.erasures(10).unwrap() {
        while home.store.erase(erasure).await.unwrap() {}
    }
    assert_eq!(home.store.ask(ask("a", "x", 2000)).await.unwrap(), Asked::Gone);
}
