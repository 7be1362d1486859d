//! Which bound policies have a snapshot: made one at a time in the background, kept within a bound of machine code.
//!
//! A policy without one is judged by the definition, which takes longer and says the same. So whatever is refused,
//! dropped or fails here costs time alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::bound::BoundPolicy;
use super::instance::Prepared;

/// Most policies that wait for their snapshot. When one more asks, the one that was used longest ago is forgotten until it
/// is used again.
const WAITING: usize = 64;

/// Uses that are no further apart are one: a turn judges its input and its output.
const ONE_USE_MS: u64 = 60_000;

/// A bound policy's snapshot, or why there is none.
#[derive(Clone)]
pub(super) enum Snapshot {
    /// Not asked for, or dropped for another's sake.
    Absent,
    /// It is being made, or will be.
    Waiting,
    /// Machine code that begins right after `configure`.
    Made(Arc<Prepared>),
    /// It cannot be made, or does not judge as the definition does.
    Impossible,
}

/// When a policy was used last, and the time before that. Both are 0 where there was none.
#[derive(Default)]
pub(super) struct Usage {
    last: AtomicU64,
    before: AtomicU64,
}

impl Usage {
    /// Notes a use at this time.
    fn note(&self, now: u64) {
        let last = self.last.swap(now, Ordering::Relaxed);
        if now.saturating_sub(last) > ONE_USE_MS {
            self.before.store(last, Ordering::Relaxed);
        }
    }
}

/// The snapshots of all bound policies.
pub(super) struct Snapshots {
    /// Most bytes of machine code of all snapshots together.
    limit: usize,
    /// When the clock of uses began.
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Weak<BoundPolicy>>,
    /// Whether the worker runs. It ends when nothing waits.
    working: bool,
    kept: Vec<Kept>,
}

struct Kept {
    policy: Weak<BoundPolicy>,
    bytes: usize,
}

impl Snapshots {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, started: Instant::now(), state: Mutex::default() })
    }

    /// Notes a use.
    pub(super) fn used(&self, usage: &Usage) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // As if the clock had begun before: 0 is never.
        usage.note(now.saturating_add(ONE_USE_MS + 1));
    }

    /// Bytes of machine code that are held.
    pub(super) fn bytes(&self) -> usize {
        let mut state = self.lock();
        state.forget_the_dead();
        state.bytes()
    }

    /// Has the snapshot of `policy` made, unless it was, or there is no room for it.
    pub(super) fn ask(self: &Arc<Self>, policy: &Arc<BoundPolicy>) {
        let mut state = self.lock();
        // Under the lock, so that one policy waits once.
        if !matches!(*policy.snapshot.borrow(), Snapshot::Absent) {
            return;
        }
        // What its component has is about what its snapshot will have.
        if state.victims(self.limit, policy, policy.component().code_bytes()).is_none() {
            return;
        }
        if state.waiting.len() >= WAITING {
            state.drop_coldest();
        }
        policy.snapshot.send_replace(Snapshot::Waiting);
        state.waiting.push_back(Arc::downgrade(policy));
        if !std::mem::replace(&mut state.working, true) {
            tokio::spawn(Arc::clone(self).work());
        }
    }

    async fn work(self: Arc<Self>) {
        while let Some(policy) = self.next() {
            let making = Arc::clone(&policy);
            // A task of its own, so that a panic in it ends neither the worker nor the wait of others.
            let made = tokio::spawn(async move { making.checked_snapshot().await }).await.ok().flatten();
            self.settle(&policy, made);
        }
    }

    fn next(&self) -> Option<Arc<BoundPolicy>> {
        let mut state = self.lock();
        let next = std::iter::from_fn(|| state.waiting.pop_front()).find_map(|policy| policy.upgrade());
        state.working = next.is_some();
        next
    }

    fn settle(&self, policy: &Arc<BoundPolicy>, made: Option<Prepared>) {
        let mut state = self.lock();
        let Some(prepared) = made else {
            policy.snapshot.send_replace(Snapshot::Impossible);
            return;
        };
        let bytes = prepared.code_bytes();
        let Some(victims) = state.victims(self.limit, policy, bytes) else {
            let too_large = bytes > self.limit;
            policy.snapshot.send_replace(if too_large { Snapshot::Impossible } else { Snapshot::Absent });
            return;
        };
        for victim in victims.into_iter().rev() {
            let victim = state.kept.swap_remove(victim);
            if let Some(victim) = victim.policy.upgrade() {
                victim.snapshot.send_replace(Snapshot::Absent);
            }
        }
        state.kept.push(Kept { policy: Arc::downgrade(policy), bytes });
        policy.snapshot.send_replace(Snapshot::Made(Arc::new(prepared)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step: a panic leaves nothing half-made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    fn forget_the_dead(&mut self) {
        self.kept.retain(|kept| kept.policy.strong_count() > 0);
    }

    /// Which snapshots go to make room for one of so many bytes; none if it is not worth it.
    fn victims(&mut self, limit: usize, policy: &BoundPolicy, bytes: usize) -> Option<Vec<usize>> {
        self.forget_the_dead();
        let excess = (self.bytes() + bytes).saturating_sub(limit);
        let kept: Vec<_> = self.kept.iter().map(|kept| (last_use(&kept.policy), kept.bytes)).collect();
        coldest(&kept, policy.usage.before.load(Ordering::Relaxed), excess)
    }

    fn drop_coldest(&mut self) {
        let coldest = (0..self.waiting.len()).min_by_key(|place| self.waiting.get(*place).map(last_use));
        let dropped = coldest.and_then(|place| self.waiting.remove(place)).and_then(|policy| policy.upgrade());
        if let Some(policy) = dropped {
            policy.snapshot.send_replace(Snapshot::Absent);
        }
    }
}

/// The places, in ascending order, of those that were used longest ago and together have `excess` bytes; none if that
/// takes one that was used after `before`.
///
/// So a policy gets another's room if it was used **twice** since the other was used once. If a single use were enough, a
/// crowd of policies that are used in turn would drive out one another's snapshots for ever.
fn coldest(kept: &[(u64, usize)], before: u64, mut excess: usize) -> Option<Vec<usize>> {
    let mut colder: Vec<_> = kept.iter().enumerate().filter(|(_, (last, _))| *last < before).collect();
    colder.sort_unstable_by_key(|(_, (last, _))| *last);
    let mut colder = colder.into_iter();
    let mut places = Vec::new();
    while excess > 0 {
        let (place, (_, bytes)) = colder.next()?;
        excess = excess.saturating_sub(*bytes);
        places.push(place);
    }
    places.sort_unstable();
    Some(places)
}

fn last_use(policy: &Weak<BoundPolicy>) -> u64 {
    policy.upgrade().map_or(0, |policy| policy.usage.last.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: u64 = 2 * ONE_USE_MS;

    #[test]
    fn uses_of_one_turn_are_one() {
        let usage = Usage::default();
        let seen = || (usage.before.load(Ordering::Relaxed), usage.last.load(Ordering::Relaxed));
        usage.note(TURN);
        usage.note(TURN + 10);
        assert_eq!(seen(), (0, TURN + 10));
        usage.note(2 * TURN);
        usage.note(2 * TURN + 10);
        assert_eq!(seen(), (TURN + 10, 2 * TURN + 10));
    }

    #[test]
    fn room_is_made_by_those_used_longest_ago_and_only_for_who_is_used_more() {
        let kept = [(50, 10), (10, 10), (30, 10)];
        assert_eq!(coldest(&kept, 0, 0), Some(vec![]), "there is room");
        assert_eq!(coldest(&kept, 0, 1), None, "used once");
        assert_eq!(coldest(&kept, 10, 1), None, "used no more than the coldest");
        assert_eq!(coldest(&kept, 20, 1), Some(vec![1]));
        assert_eq!(coldest(&kept, 20, 11), None, "one is not enough");
        assert_eq!(coldest(&kept, 40, 11), Some(vec![1, 2]));
        assert_eq!(coldest(&kept, 99, 31), None, "more than there is");
    }
}
