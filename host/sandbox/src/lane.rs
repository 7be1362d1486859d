//! The slow lane: where guests go on that have run for longer than a slice.
//!
//! To yield is not enough. A guest that loops is ready again at once, so ten of them make every other task wait for ten
//! slices, each time that it is its turn. Here they take turns among themselves, on half of the cores, and the others are
//! for those that are soon done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Ticks of the engine's clock that a call may run for before it goes to the slow lane: the first comes at any moment.
pub(crate) const SLICE_TICKS: u64 = 2;
/// Ticks that it runs for each time that it is its turn there.
pub(crate) const TURN_TICKS: u64 = 1;
/// Longest time in all that one call waits for its turns.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The slow lane of a runtime.
#[derive(Clone)]
pub(crate) struct SlowLane(Arc<Semaphore>);

impl SlowLane {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::of((cores / 2).max(1))
    }

    /// One in which so many run at a time.
    pub(crate) fn of(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// A place in it, for one instance.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::new(Place { lane: self.clone(), state: Mutex::default() })
    }

    /// Lets others go on, and waits for a turn; it lasts until the permit is dropped.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Also where nobody waits in the lane: the thread is to be given back.
        tokio::task::yield_now().await;
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

/// One instance's place in the slow lane, held while it runs there.
pub(crate) struct Place {
    lane: SlowLane,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<OwnedSemaphorePermit>,
    /// Time spent waiting in this call, but for the wait that goes on since `waiting`.
    waited: Duration,
    waiting: Option<Instant>,
}

impl Place {
    /// Lets others go on, and waits for the next turn.
    pub(crate) async fn take_turn(self: Arc<Self>) {
        {
            let mut state = self.state();
            state.held = None;
            state.waiting = Some(Instant::now());
        }
        let turn = self.lane.turn().await;
        let mut state = self.state();
        state.held = turn;
        state.waited = state.waited();
        state.waiting = None;
    }

    /// Gives the place back at the end of a call.
    pub(crate) fn leave(&self) {
        *self.state() = State::default();
    }

    /// How long the call has waited, and how long it may still wait: the time is not the policy's.
    pub(crate) fn waited(&self) -> Duration {
        self.state().waited().min(LONGEST_WAIT)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waited(&self) -> Duration {
        self.waited + self.waiting.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_taken_one_after_the_other_and_waits_are_counted() {
        let lane = SlowLane::of(1);
        let (first, second) = (lane.place(), lane.place());
        Arc::clone(&first).take_turn().await;
        let mut waiting = std::pin::pin!(Arc::clone(&second).take_turn());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
        assert!(second.waited() >= Duration::from_millis(20));
        first.leave();
        waiting.await;
        let waited = second.waited();
        assert!(waited >= Duration::from_millis(20));
        assert_eq!(second.waited(), waited, "it runs");
        second.leave();
        assert_eq!((second.waited(), lane.0.available_permits()), (Duration::ZERO, 1));
    }
}
