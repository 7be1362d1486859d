//! Users, agents and their sessions.

use gavel_log::record::{Enforcement, OnError};
use gavel_log::{Hash, Origin, SigningKey};
use redb::{Database, ReadableTable, TableDefinition};

use super::*;
use crate::leaf::Leaf;
use crate::{AgentChange, Binding, FILE_NAME, Missing, Release, User, UserRole};

fn user(name: &str, token: Option<&[u8]>) -> User {
    User { id: name.parse().unwrap(), role: UserRole::Member, token_hash: token.map(Hash::of), created_at: 1 }
}

#[tokio::test]
async fn a_users_token_finds_the_user_until_it_is_replaced() {
    let home = Home::new();
    let store = &home.store;
    let alice = user("alice", Some(b"one"));
    store.put_user(alice.clone()).await.unwrap();
    store.put_user(user("bob", Some(b"two"))).await.unwrap();
    assert_eq!(store.user_by_token(&Hash::of(b"one")).unwrap(), Some(alice.clone()));
    assert_eq!(store.user_by_token(&Hash::of(b"none")).unwrap(), None);

    let error = store.put_user(user("carol", Some(b"one"))).await.unwrap_err();
    assert!(matches!(error, StoreError::TokenInUse));

    let replaced = user("alice", Some(b"three"));
    store.put_user(replaced.clone()).await.unwrap();
    assert_eq!(store.user_by_token(&Hash::of(b"one")).unwrap(), None);
    assert_eq!(store.user_by_token(&Hash::of(b"three")).unwrap(), Some(replaced));
    store.put_user(user("alice", None)).await.unwrap();
    assert_eq!(store.user_by_token(&Hash::of(b"three")).unwrap(), None);

    let names: Vec<_> = store.users().unwrap().into_iter().map(|user| user.id.to_string()).collect();
    assert_eq!(names, ["alice", "bob"]);
}

#[tokio::test]
async fn an_agent_is_kept_as_it_was_made_and_listed_for_its_owner_alone() {
    let home = Home::new();
    let mut made = Vec::new();
    for number in 0..5 {
        let mut agent = new_agent("alice");
        agent.name = format!("agent {number}");
        agent.policies.push(Binding {
            policy: "pii@1.2.0".into(),
            config: serde_json::json!({ "action": "redact" }),
            enforcement: Enforcement::Enforce,
            stages: None,
            on_error: OnError::Block,
            release: Release::Whole,
        });
        home.store.create_agent(agent.clone()).await.unwrap();
        made.push(agent);
    }
    home.store.create_agent(new_agent("alic")).await.unwrap();
    home.store.create_agent(new_agent("bob")).await.unwrap();
    made.sort_by_key(|agent| agent.id);

    let home = home.reopen();
    let alice: UserId = "alice".parse().unwrap();
    assert_eq!(home.store.agents(&alice, None, 10).unwrap(), made);
    assert_eq!(home.store.agents(&alice, None, 2).unwrap(), made[..2]);
    assert_eq!(home.store.agents(&alice, Some(&made[1].id), 2).unwrap(), made[2..4]);
    assert_eq!(home.store.agents(&alice, Some(&made[4].id), 2).unwrap(), []);
    assert_eq!(home.store.agent(&AgentId::generate()).unwrap(), None);
}

#[tokio::test]
async fn making_an_agent_again_is_no_error_but_another_of_its_id_is() {
    let home = Home::new();
    let agent = new_agent("alice");
    home.store.create_agent(agent.clone()).await.unwrap();
    home.store.start_agent(&agent.id, start(false)).await.unwrap();
    home.store.create_agent(agent.clone()).await.unwrap();
    let other = Agent { name: "Another".into(), ..agent.clone() };
    let error = home.store.create_agent(other).await.unwrap_err();
    assert!(matches!(error, StoreError::AgentExists(id) if id == agent.id));
    assert_eq!(home.store.agent(&agent.id).unwrap().unwrap().state, AgentState::Running);
}

#[tokio::test]
async fn a_change_reaches_what_it_names_and_nothing_else() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    let before = home.store.agent(&actor.agent).unwrap().unwrap();
    let rename = AgentChange { name: Some("Renamed".into()), ..AgentChange::default() };
    let after = home.store.change_agent(&actor.agent, rename.clone(), 9000).await.unwrap();
    assert_eq!(after, Agent { name: "Renamed".into(), updated_at: 9000, ..before });
    assert_eq!(home.store.agent(&actor.agent).unwrap(), Some(after.clone()));
    assert_eq!(home.store.change_agent(&actor.agent, rename.clone(), 9500).await.unwrap(), after, "nothing is new");

    let clear = AgentChange { system_prompt: Some(None), labels: Some(BTreeMap::new()), ..AgentChange::default() };
    let cleared = home.store.change_agent(&actor.agent, clear, 9900).await.unwrap();
    assert_eq!(cleared, Agent { system_prompt: None, labels: BTreeMap::new(), updated_at: 9900, ..after });
    let error = home.store.change_agent(&AgentId::generate(), rename, 9999).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::Agent(_))));
}

#[tokio::test]
async fn of_changes_at_once_none_is_lost() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    let name = AgentChange { name: Some("Renamed".into()), ..AgentChange::default() };
    let model = AgentChange { model: Some("larger".into()), ..AgentChange::default() };
    let (one, two) = tokio::join!(
        home.store.change_agent(&actor.agent, name, 9000),
        home.store.change_agent(&actor.agent, model, 9001)
    );
    one.unwrap();
    two.unwrap();
    let agent = home.store.agent(&actor.agent).unwrap().unwrap();
    assert_eq!((agent.name.as_str(), agent.model.as_str()), ("Renamed", "larger"));
}

#[tokio::test]
async fn starting_resumes_the_last_checkpoint_unless_another_session_is_wanted() {
    let home = Home::new();
    let mut alice = Actor::new(&home.store).await;
    let first = alice.session;
    alice.turn("hello", "hi", "stop").await;
    alice.turn("and?", "", "error").await;

    let again = home.store.start_agent(&alice.agent, start(true)).await.unwrap();
    assert_eq!((again.session_id, again.resumed_from), (first, None), "a running agent is left as it is");

    let checkpoint = alice.stop().await;
    assert_eq!((checkpoint.session_id, checkpoint.messages, checkpoint.turns), (first, 3, 2));
    assert_eq!(alice.stop().await, checkpoint, "a stopped agent gives its last checkpoint");
    assert_eq!(home.store.session_checkpoint(&alice.agent, &checkpoint.id).unwrap(), Some(checkpoint.clone()));
    let stopped = home.store.agent(&alice.agent).unwrap().unwrap();
    assert_eq!((stopped.state, stopped.session), (AgentState::Stopped, Some(first)));
    assert_eq!(stopped.last_checkpoint, Some(checkpoint.id));

    let resumed = alice.start(false).await;
    assert_eq!((resumed.session_id, resumed.resumed_from), (first, Some(checkpoint.id)));
    assert_eq!(alice.start(false).await, resumed, "and says so again");
    assert_eq!(alice.turn("more", "yes", "stop").await.0.turn, 3);

    alice.stop().await;
    let fresh = alice.start(true).await;
    assert_ne!(fresh.session_id, first);
    assert_eq!(fresh.resumed_from, None);
    assert_eq!(alice.turn("new", "yes", "stop").await.0.turn, 1);
    let session = home.store.session(&alice.session).unwrap().unwrap();
    assert_eq!((session.agent_id, session.turns, session.messages), (alice.agent, 1, 2));
    assert_eq!(session.wrapped_key, [4, 5, 6]);
}

#[tokio::test]
async fn an_agent_that_never_ran_has_no_checkpoint() {
    let home = Home::new();
    let agent = new_agent("alice");
    let draft = CheckpointDraft { id: CheckpointId::generate(), now: 0 };
    let error = home.store.stop_agent(&agent.id, draft).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::Agent(_))));
    home.store.create_agent(agent.clone()).await.unwrap();
    let error = home.store.stop_agent(&agent.id, draft).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(Missing::Checkpoint)));
}

#[tokio::test]
async fn a_session_id_is_used_once() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let bob = new_agent("bob");
    home.store.create_agent(bob.clone()).await.unwrap();
    let taken = StartSession { id: alice.session, ..start(false) };
    let error = home.store.start_agent(&bob.id, taken).await.unwrap_err();
    assert!(matches!(error, StoreError::SessionExists(id) if id == alice.session));
    assert_eq!(home.store.session(&alice.session).unwrap().unwrap().agent_id, alice.agent);
}

#[tokio::test]
async fn a_closed_store_refuses_its_other_clones_and_frees_the_file() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    assert!(Store::open(home.dir.path(), signer(), StoreOptions::default()).is_err(), "the file is locked");
    home.store.clone().close();
    assert!(matches!(alice.store.seal_input(alice.input("late")).await, Err(StoreError::Closed)));
    assert!(matches!(alice.store.agent(&alice.agent), Err(StoreError::Closed)));
    let store = Store::open(home.dir.path(), signer(), StoreOptions::default()).unwrap();
    assert!(store.agent(&alice.agent).unwrap().is_some());
}

#[test]
fn a_file_of_another_schema_is_refused() {
    let dir = TempDir::new().unwrap();
    Store::open(dir.path(), signer(), StoreOptions::default()).unwrap().close();
    let database = Database::open(dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(crate::tables::META).unwrap().insert("schema", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Schema { found: Some(1), known: 4 }));
    assert_eq!(error.to_string(), "the database has schema 1, but this version of Gavel knows schema 4 only");
}

#[test]
fn another_programs_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let database = Database::create(dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Schema { found: None, known: 4 }));
}

#[tokio::test]
async fn a_new_signing_key_signs_the_head_anew_but_another_origin_is_refused() {
    let home = Home::new();
    let (_, sealed) = Actor::new(&home.store).await.turn("hello", "hi", "stop").await;
    let head = home.store.head();
    home.store.close();

    let stranger = SigningKey::from_seed([7; 32], Origin::parse("elsewhere/").unwrap());
    let error = Store::open(home.dir.path(), stranger, StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Origin { .. }));

    let successor = SigningKey::from_seed([8; 32], Origin::parse("gavel.localhost/story").unwrap());
    let verifier = successor.verifier_key().clone();
    let store = Store::open(home.dir.path(), successor, StoreOptions::default()).unwrap();
    let signed = Checkpoint::verify(&store.head().checkpoint, &verifier).unwrap();
    assert_eq!((signed.size, signed.root), (head.size, head.root));
    assert!(store.leaf(&sealed.leaf_hash).unwrap().is_some());
}

#[tokio::test]
async fn a_tree_that_its_checkpoint_does_not_sign_is_refused() {
    let home = Home::new();
    Actor::new(&home.store).await.turn("hello", "hi", "stop").await;
    home.store.close();
    let database = Database::open(home.dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut leaves = transaction.open_table(crate::tables::LEAVES).unwrap();
        let first = leaves.get(0).unwrap().unwrap().value().to_vec();
        let forged = Leaf { entry: b"another", ..Leaf::decode(&first).unwrap() };
        leaves.insert(0, forged.encode().as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(home.dir.path(), signer(), StoreOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the database is damaged: its tree of 2 entries is not the one that its checkpoint signs"
    );
}
