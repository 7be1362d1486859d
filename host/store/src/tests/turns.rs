//! Turns: sealing, repeating, reading back.

use super::*;
use crate::{DetachedSession, MAX_BLOB_BYTES, Missing, TurnState};

#[tokio::test]
async fn a_turn_is_open_from_its_input_to_its_output() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let seal = alice.input("hello");
    let (input_id, answer_id) = (seal.input, seal.answer);
    let input = home.store.seal_input(seal).await.unwrap();
    assert_eq!((input.turn, input.sealed.seq, input.sealed.leaf_index), (1, 0, 0));

    let home = home.reopen();
    let open = home.store.open_turns().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].turn, open[0].input, open[0].answer), (1, input_id, answer_id));
    assert_eq!(open[0].data, b"recovery");
    for id in [input_id, answer_id] {
        let turn = home.store.turn_by_message(&alice.agent, &id).unwrap().unwrap();
        assert_eq!((turn.state, turn.output_leaf), (TurnState::Open, None));
    }
    assert_eq!(home.store.message(&alice.agent, &answer_id).unwrap(), None);

    let output = home.store.seal_output(alice.output(1, answer_id, "hi", "stop")).await.unwrap().sealed;
    assert_eq!((output.seq, output.leaf_index), (1, 1));
    assert_eq!(home.store.open_turns().unwrap(), []);
    let turn = home.store.turn_by_message(&alice.agent, &answer_id).unwrap().unwrap();
    assert_eq!((turn.state, turn.finish_reason.as_deref()), (TurnState::Complete, Some("stop")));
    assert_eq!(turn.usage, Some(Usage { input_tokens: 3, output_tokens: 5 }));
    assert_eq!(turn.input_leaf.hash, input.sealed.leaf_hash);
    assert_eq!(turn.output_leaf.map(|leaf| leaf.hash), Some(output.leaf_hash));

    let answer = home.store.message(&alice.agent, &answer_id).unwrap().unwrap();
    assert_eq!((answer.content.as_slice(), answer.finish_reason.as_deref()), (&b"hi"[..], Some("stop")));
    assert_eq!((answer.role, answer.turn, answer.leaf_hashes), (Role::Assistant, 1, vec![output.leaf_hash]));
    audit(&home.store);
}

#[tokio::test]
async fn an_output_sealed_again_gives_the_same_seal() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let seal = alice.input("hello");
    let answer = seal.answer;
    home.store.seal_input(seal).await.unwrap();
    let output =
        OutputSeal { also: vec![leaf(Some(answer)), leaf(Some(answer))], ..alice.output(1, answer, "hi", "stop") };
    let (one, two) = tokio::join!(home.store.seal_output(output.clone()), home.store.seal_output(output.clone()));
    let sealed = one.unwrap();
    assert_eq!(sealed.also.len(), 2);
    let leaves: Vec<_> = sealed.also.iter().chain([&sealed.sealed]).map(|leaf| leaf.leaf_hash).collect();
    let stored = home.store.message(&alice.agent, &answer).unwrap().unwrap();
    assert_eq!(stored.leaf_hashes, leaves);
    assert_eq!(two.unwrap(), sealed, "in one batch");
    alice.turn("later", "yes", "stop").await;
    let other = alice.output(1, answer, "something else", "cancelled");
    assert_eq!(home.store.seal_output(other).await.unwrap(), sealed, "after other commits");
    let home = home.reopen();
    assert_eq!(home.store.seal_output(output).await.unwrap(), sealed, "after a restart");
    assert_eq!(texts(&home.store.messages(&alice.session, None, 10).unwrap()), ["hello", "hi", "later", "yes"]);
    assert_eq!(home.store.head().size, 6);
}

#[tokio::test]
async fn a_turn_that_stands_alone_has_a_session_of_its_own_and_leaves_the_agents_as_it_is() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    alice.turn("hello", "hi", "stop").await;
    let before = home.store.session(&alice.session).unwrap().unwrap();

    let detached = DetachedSession { wrapped_key: vec![7; 60], created_at: 5 };
    let session = SessionId::generate();
    let mut seal = InputSeal { session, detached: Some(detached), ..alice.input("") };
    seal.earlier = vec![leaf(None), leaf(Some(MessageId::generate()))];
    let answer = seal.answer;
    let input = home.store.seal_input(seal.clone()).await.unwrap();
    assert_eq!((input.turn, input.earlier.len(), input.sealed.seq), (1, 2, 4));
    assert!(matches!(home.store.seal_input(seal).await, Err(StoreError::DuplicateMessage(_))));

    let open = home.store.open_turns().unwrap();
    assert_eq!((open.len(), open[0].session, open[0].turn), (1, session, 1));
    let output = OutputSeal { session, ..alice.output(1, answer, "", "stop") };
    assert_eq!(home.store.seal_output(output).await.unwrap().sealed.seq, 5);
    let opened = home.store.session(&session).unwrap().unwrap();
    assert_eq!((opened.agent_id, opened.wrapped_key, opened.turns), (alice.agent, vec![7; 60], 1));

    assert_eq!(home.store.session(&alice.session).unwrap().unwrap(), before);
    assert_eq!(home.store.agent(&alice.agent).unwrap().unwrap().session, Some(alice.session));
    assert_eq!(texts(&home.store.messages(&alice.session, None, 10).unwrap()), ["hello", "hi"]);
    let (next, _) = alice.turn("and", "on", "stop").await;
    assert_eq!(next.turn, 2);
    alice.stop().await;
    let late = InputSeal {
        session: SessionId::generate(),
        detached: Some(DetachedSession { wrapped_key: vec![8; 60], created_at: 6 }),
        ..alice.input("")
    };
    assert!(matches!(home.store.seal_input(late).await, Err(StoreError::AgentNotRunning(_))));
    audit(&home.store);
}

#[tokio::test]
async fn a_known_message_begins_no_second_turn() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    let seal = alice.input("hello");
    let (one, two) = tokio::join!(home.store.seal_input(seal.clone()), home.store.seal_input(seal.clone()));
    assert_eq!(one.unwrap().turn, 1);
    assert!(matches!(two, Err(StoreError::DuplicateMessage(id)) if id == seal.input));

    let mut as_input = alice.input("again");
    as_input.input = seal.answer;
    as_input.message.id = seal.answer;
    let error = home.store.seal_input(as_input).await.unwrap_err();
    assert!(matches!(error, StoreError::DuplicateMessage(id) if id == seal.answer), "an answer's id is known too");
    let same = InputSeal { answer: seal.input, ..seal.clone() };
    assert!(matches!(home.store.seal_input(same).await, Err(StoreError::DuplicateMessage(_))));

    alice.stop().await;
    alice.start(true).await;
    let elsewhere = InputSeal { session: alice.session, ..seal.clone() };
    let error = home.store.seal_input(elsewhere).await.unwrap_err();
    assert!(matches!(error, StoreError::DuplicateMessage(_)), "in another session of the agent as well");
    let bob = Actor::new(&home.store).await;
    let his = InputSeal { agent: bob.agent, session: bob.session, ..seal };
    assert_eq!(home.store.seal_input(his).await.unwrap().turn, 1, "another agent's ids are its own");
    audit(&home.store);
}

#[tokio::test]
async fn a_stopped_agent_takes_no_input_but_its_open_turns_end() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    let seal = alice.input("hello");
    let answer = seal.answer;
    home.store.seal_input(seal).await.unwrap();
    alice.stop().await;
    let error = home.store.seal_input(alice.input("more")).await.unwrap_err();
    assert!(matches!(error, StoreError::AgentNotRunning(id) if id == alice.agent));
    home.store.seal_output(alice.output(1, answer, "hi", "cancelled")).await.unwrap();

    let before = alice.clone();
    alice.start(true).await;
    let error = home.store.seal_input(before.input("old session")).await.unwrap_err();
    assert!(matches!(error, StoreError::SessionEnded(id) if id == before.session));
    assert_eq!(home.store.head().size, 2, "a refused input leaves no entry");
}

#[tokio::test]
async fn what_belongs_to_another_agent_is_not_found() {
    let home = Home::new();
    let (alice, bob) = (Actor::new(&home.store).await, Actor::new(&home.store).await);
    let (input, _) = alice.turn("hello", "hi", "stop").await;
    let seal = InputSeal { session: alice.session, ..bob.input("mine?") };
    let error = home.store.seal_input(seal).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::Session(_))));
    let row = home.store.leaf(&input.sealed.leaf_hash).unwrap().unwrap();
    assert_eq!((row.agent, row.session), (alice.agent, alice.session));
    let output = OutputSeal { agent: bob.agent, ..alice.output(1, MessageId::generate(), "", "stop") };
    assert!(matches!(home.store.seal_output(output).await, Err(StoreError::NotFound(Missing::Session(_)))));
    let output = alice.output(9, MessageId::generate(), "", "stop");
    assert!(matches!(home.store.seal_output(output).await, Err(StoreError::NotFound(Missing::Turn(9)))));
}

#[tokio::test]
async fn a_blocked_input_uses_its_number_up_and_keeps_no_text() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let blocked = alice.blocked("my card is 4111").await;
    assert_eq!(blocked.turn, 1);
    assert_eq!(home.store.open_turns().unwrap(), []);
    let stored = home.store.messages(&alice.session, None, 10).unwrap();
    assert_eq!(texts(&stored), [""]);
    assert_eq!(stored[0].finish_reason.as_deref(), Some("blocked"));
    let turn = home.store.turn_by_message(&alice.agent, &stored[0].id).unwrap().unwrap();
    assert_eq!((turn.state, turn.finish_reason.as_deref()), (TurnState::Blocked, Some("blocked")));
    let output = alice.output(1, turn.answer, "hi", "stop");
    assert!(matches!(home.store.seal_output(output).await, Err(StoreError::TurnBlocked(1))));
    assert_eq!(alice.turn("hello", "hi", "stop").await.0.turn, 2);
}

#[tokio::test]
async fn what_is_too_large_or_misnamed_is_refused() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let mut seal = alice.input("hello");
    seal.leaf.record = "x".repeat(gavel_log::record::MAX_RECORD_BYTES + 1);
    assert!(matches!(home.store.seal_input(seal).await, Err(StoreError::TooLarge { .. })));
    let mut seal = alice.input("hello");
    seal.message.content = vec![0; MAX_BLOB_BYTES + 1];
    assert!(matches!(home.store.seal_input(seal).await, Err(StoreError::TooLarge { .. })));
    let mut seal = alice.input("hello");
    seal.message.id = MessageId::generate();
    assert!(matches!(home.store.seal_input(seal).await, Err(StoreError::WrongMessage { .. })));

    home.store.seal_input(alice.input("hello")).await.unwrap();
    let stray = alice.output(1, MessageId::generate(), "hi", "stop");
    assert!(matches!(home.store.seal_output(stray).await, Err(StoreError::WrongMessage { .. })));
    assert_eq!(home.store.head().size, 1);
}
