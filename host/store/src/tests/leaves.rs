//! A walk through what was judged meets every leaf once, and opens none that was cleared.

use super::{Actor, Home};
use crate::{Erasure, LeafRow, Store, VerdictFilter};

fn walked(store: &Store, filter: &VerdictFilter, limit: usize) -> Vec<LeafRow> {
    let (mut rows, mut below) = (Vec::new(), None);
    loop {
        let page = store.leaves(filter, below, limit).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        below = page.below;
        if below.is_none() {
            return rows;
        }
    }
}

#[tokio::test]
async fn a_walk_gives_each_leaf_once_newest_first_with_its_opening() {
    let home = Home::new();
    let (one, other) = (Actor::new(&home.store).await, Actor::new(&home.store).await);
    // Fewer than a block has, since these records are none that could be found by one.
    for _ in 0..60 {
        one.turn("a", "b", "stop").await;
        other.turn("c", "d", "stop").await;
    }
    let size = home.store.head().size;
    for limit in [1, 3, 256] {
        let all = walked(&home.store, &VerdictFilter::default(), limit);
        assert_eq!(all.iter().map(|row| row.index).collect::<Vec<_>>(), (0..size).rev().collect::<Vec<_>>());
        assert!(all.iter().all(|row| row.opening.as_deref() == Some(b"opening")));
        let of_one = VerdictFilter { agent: Some(one.agent), ..VerdictFilter::default() };
        let own = walked(&home.store, &of_one, limit);
        assert!(own.len() as u64 == size / 2 && own.iter().all(|row| row.agent == one.agent));
        for row in own.iter().take(3) {
            assert_eq!(home.store.leaf(&row.leaf_hash()).unwrap().as_ref(), Some(row));
        }
    }
}

#[tokio::test]
async fn what_was_cleared_has_no_opening_in_a_walk() {
    let home = Home::new();
    let actor = Actor::new(&home.store).await;
    actor.turn("a", "b", "stop").await;
    home.store.clear_session(&actor.agent, &actor.session, vec![7]).await.unwrap();
    actor.turn("c", "d", "stop").await;
    let opened = |store: &Store| {
        let all = walked(store, &VerdictFilter::default(), 10);
        all.iter().map(|row| row.opening.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(opened(&home.store), [true, true, false, false]);
    while home.store.erase(Erasure::Session(actor.agent, actor.session)).await.unwrap() {}
    assert_eq!(opened(&home.store), [true, true, false, false]);
}
