//! What an agent uses in a month is counted with its turns' seals, and bounded there.

use super::*;
use crate::{Metered, Month};

/// The middle of a month and of the next one.
const MARCH: i64 = 1_773_576_000_000;
const APRIL: i64 = MARCH + 31 * 86_400_000;

fn counted(actor: &Actor) -> (u64, u64, u64) {
    let usage = actor.store.agent(&actor.agent).unwrap().unwrap().usage;
    (usage.messages, usage.input_tokens, usage.output_tokens)
}

async fn said_at(actor: &Actor, at: i64, limits: MonthLimits) -> Result<(u64, MessageId), StoreError> {
    let mut seal = InputSeal { limits, ..actor.input("Hello") };
    seal.message.created_at = at;
    let answer = seal.answer;
    Ok((actor.store.seal_input(seal).await?.turn, answer))
}

async fn answered_at(actor: &Actor, at: i64, (turn, answer): (u64, MessageId)) {
    let mut seal = actor.output(turn, answer, "Hi", "stop");
    seal.end.at = at;
    actor.store.seal_output(seal.clone()).await.unwrap();
    // Repeated, it counts once.
    actor.store.seal_output(seal).await.unwrap();
}

#[tokio::test]
async fn messages_and_tokens_count_in_the_month_of_their_seal() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    let none = MonthLimits::default();
    assert_eq!(counted(&actor), (0, 0, 0));
    let turn = said_at(&actor, MARCH, none).await.unwrap();
    assert_eq!(counted(&actor), (1, 0, 0));
    answered_at(&actor, MARCH, turn).await;
    let mut blocked = InputSeal { fate: InputFate::Blocked, ..actor.input("Hello") };
    blocked.message.created_at = MARCH;
    home.store.seal_input(blocked).await.unwrap();
    assert_eq!(counted(&actor), (2, 3, 5));

    // A turn over the month's end: its message is the old month's, its tokens are the new one's.
    let turn = said_at(&actor, Month::of(MARCH).end() - 1, none).await.unwrap();
    assert_eq!(counted(&actor), (3, 3, 5));
    answered_at(&actor, Month::of(MARCH).end(), turn).await;
    assert_eq!(counted(&actor), (0, 3, 5));
    // A clock that goes back does not bring the old month back.
    said_at(&actor, MARCH, none).await.unwrap();
    assert_eq!(counted(&actor), (1, 3, 5));
    let agent = actor.agent;
    let home = home.reopen();
    assert_eq!(home.store.agent(&agent).unwrap().unwrap().usage.month, Month::of(APRIL));
}

#[tokio::test]
async fn callers_at_once_do_not_go_over_the_limit() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    let limits = MonthLimits { messages: Some(5), ..MonthLimits::default() };
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let actor = actor.clone();
        callers.spawn(async move { said_at(&actor, MARCH, limits).await });
    }
    let outcomes = callers.join_all().await;
    let refused = outcomes.iter().filter(|outcome| {
        matches!(outcome, Err(StoreError::QuotaExceeded { what: Metered::Messages, agent }) if *agent == actor.agent)
    });
    assert_eq!((outcomes.iter().filter(|outcome| outcome.is_ok()).count(), refused.count()), (5, 15));
    assert_eq!((counted(&actor).0, home.store.head().size), (5, 5));
    // The next month has room again.
    said_at(&actor, APRIL, limits).await.unwrap();
}

#[tokio::test]
async fn a_used_up_allowance_of_tokens_refuses_the_next_message() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    let limits = MonthLimits { output_tokens: Some(5), ..MonthLimits::default() };
    let turn = said_at(&actor, MARCH, limits).await.unwrap();
    answered_at(&actor, MARCH, turn).await;
    let refused = said_at(&actor, MARCH, limits).await;
    assert!(matches!(refused, Err(StoreError::QuotaExceeded { what: Metered::OutputTokens, .. })), "{refused:?}");
}
