//! Many callers at once, and the log that they leave.

use gavel_log::{TileId, verify_consistency};
use tokio::task::JoinSet;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_callers_gets_a_leaf_of_its_own() {
    let home = Home::new();
    let empty = home.store.head();
    let mut actors = Vec::new();
    for _ in 0..5 {
        actors.push(Actor::new(&home.store).await);
    }
    let mut callers = JoinSet::new();
    for number in 0..200 {
        let actor = actors[number % actors.len()].clone();
        callers.spawn(async move {
            let (input, output) = actor.turn(&format!("question {number}"), "answer", "stop").await;
            (actor, input, output)
        });
    }
    let turns = callers.join_all().await;

    let head = home.store.head();
    assert_eq!(head.size, 400);
    audit(&home.store);
    let mut indices = Vec::new();
    for (actor, input, output) in &turns {
        for sealed in [&input.sealed, output] {
            check_receipt(&home.store, sealed);
            indices.push(sealed.leaf_index);
            let row = home.store.leaf(&sealed.leaf_hash).unwrap().unwrap();
            assert_eq!((row.index, row.agent), (sealed.leaf_index, actor.agent));
            assert_eq!(Entry::parse(&row.entry).unwrap().seq, sealed.seq);
        }
        assert!(input.sealed.seq < output.seq);
    }
    indices.sort_unstable();
    assert_eq!(indices, (0..400).collect::<Vec<_>>());
    for actor in &actors {
        let mut numbers: Vec<u64> =
            turns.iter().filter(|turn| turn.0.agent == actor.agent).map(|turn| turn.1.turn).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    }

    let receipts: std::collections::BTreeSet<&str> = turns.iter().map(|turn| &*turn.2.checkpoint).collect();
    assert!(receipts.len() < 200, "commits are shared");
    for receipt in receipts {
        let old = Checkpoint::verify(receipt, signer().verifier_key()).unwrap();
        let proof = home.store.consistency_proof(old.size, head.size).unwrap();
        verify_consistency(old.size, head.size, &old.root, &head.root, &proof).unwrap();
    }
    assert_eq!(empty.size, 0);
    assert_eq!(home.reopen().store.head(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_caller_does_not_spoil_its_batch() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let stopped = Actor::new(&home.store).await;
    stopped.stop().await;
    let known = alice.input("first");
    home.store.seal_input(known.clone()).await.unwrap();

    let mut callers = JoinSet::new();
    for number in 0..90 {
        let store = home.store.clone();
        let seal = match number % 3 {
            0 => alice.input("fine"),
            1 => stopped.input("stopped"),
            _ => known.clone(),
        };
        callers.spawn(async move { (number % 3, store.seal_input(seal).await) });
    }
    for (kind, outcome) in callers.join_all().await {
        match (kind, outcome) {
            (0, Ok(input)) => check_receipt(&home.store, &input.sealed),
            (1, Err(StoreError::AgentNotRunning(_))) | (2, Err(StoreError::DuplicateMessage(_))) => {}
            (kind, outcome) => panic!("{kind}: {outcome:?}"),
        }
    }
    assert_eq!(home.store.head().size, 31);
    audit(&home.store);
}

#[tokio::test]
async fn waiting_writes_are_finished_when_the_store_is_closed() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let writes: Vec<_> = (0..10)
        .map(|number| {
            let (store, seal) = (home.store.clone(), alice.input(&format!("question {number}")));
            tokio::spawn(async move { store.seal_input(seal).await })
        })
        .collect();
    // On this one thread each caller now runs until it has put its write into the queue.
    tokio::task::yield_now().await;
    home.store.clone().close();
    for write in writes {
        assert!(write.await.unwrap().is_ok());
    }
    let Home { dir, store } = home;
    drop((store, alice));
    let store = Store::open(dir.path(), signer(), StoreOptions::default()).unwrap();
    assert_eq!(store.head().size, 10);
}

#[tokio::test]
async fn the_log_is_served_within_its_bounds() {
    let home = Home::new();
    let alice = Actor::new(&home.store).await;
    let mut seal = alice.input("many");
    seal.earlier = (0..299).map(|_| leaf(None)).collect();
    home.store.seal_input(seal).await.unwrap();
    let store = &home.store;
    assert_eq!(store.head().size, 300);

    let leaves: Vec<Hash> = [store.entries(0, 256).unwrap(), store.entries(256, 300).unwrap()]
        .concat()
        .iter()
        .map(|entry| Hash::leaf(entry))
        .collect();
    let tile = |level, index, width| store.tile(TileId { level, index }, width).unwrap();
    assert_eq!(tile(0, 0, 256).as_deref(), Some(&leaves[..256]));
    assert_eq!(tile(0, 1, 44).as_deref(), Some(&leaves[256..]));
    assert_eq!(tile(0, 1, 7).as_deref(), Some(&leaves[256..263]));
    assert_eq!(tile(1, 0, 1), Some(vec![tree_hash(&leaves[..256])]));
    assert_eq!(tile(0, 1, 45), None);
    assert_eq!(tile(1, 0, 2), None);
    assert_eq!(tile(0, 2, 1), None);
    assert_eq!(tile(0, 0, 0), None);
    assert_eq!(tile(0, 0, 257), None);

    assert_eq!(store.entries(5, 5).unwrap(), [[0; 0]; 0]);
    for (from, to) in [(0, 257), (299, 301), (7, 6), (300, 301)] {
        assert!(matches!(store.entries(from, to), Err(StoreError::OutOfRange { .. })), "{from} {to}");
    }
    for (index, size) in [(300, 300), (0, 301), (0, 0), (u64::MAX, u64::MAX)] {
        assert!(matches!(store.inclusion_proof(index, size), Err(StoreError::OutOfRange { .. })), "{index} {size}");
    }
    for (from, to) in [(0, 300), (2, 1), (1, 301)] {
        assert!(matches!(store.consistency_proof(from, to), Err(StoreError::OutOfRange { .. })), "{from} {to}");
    }
    assert_eq!(store.leaf(&Hash::of(b"nothing")).unwrap(), None);
}
