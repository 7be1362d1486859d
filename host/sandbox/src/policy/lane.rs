//! The slow lane: where guests go on that have run for longer than a slice.
//!
//! To yield is not enough. A guest that loops is ready again at once, so ten of them make every other task wait for ten
//! slices, each time that it is its turn. Here they take turns among themselves, on half of the cores, and the others are
//! for those that are soon done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Ticks of the engine's clock that a call may run for before it goes to the slow lane: the first comes at any moment.
pub(super) const SLICE_TICKS: u64 = 2;
/// Ticks that it runs for each time that it is its turn there.
pub(super) const TURN_TICKS: u64 = 1;
/// Longest time in all that one call waits for its turns.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The slow lane of a runtime.
#[derive(Clone)]
pub(super) struct SlowLane(Arc<Semaphore>);

impl SlowLane {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new((cores / 2).max(1))))
    }

    /// A place in it, for one instance.
    pub(super) fn place(&self) -> Arc<Place> {
        Arc::new(Place { lane: Arc::clone(&self.0), state: Mutex::default() })
    }
}

/// One instance's place in the slow lane, held while it runs there.
pub(super) struct Place {
    lane: Arc<Semaphore>,
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
    pub(super) async fn take_turn(self: Arc<Self>) {
        {
            let mut state = self.state();
            state.held = None;
            state.waiting = Some(Instant::now());
        }
        // Also where nobody waits in the lane: the thread is to be given back.
        tokio::task::yield_now().await;
        // The semaphore is never closed.
        let turn = Arc::clone(&self.lane).acquire_owned().await.ok();
        let mut state = self.state();
        state.held = turn;
        state.waited = state.waited();
        state.waiting = None;
    }

    /// Gives the place back at the end of a call.
    pub(super) fn leave(&self) {
        *self.state() = State::default();
    }

    /// How long the call has waited, and how long it may still wait: the time is not the policy's.
    pub(super) fn waited(&self) -> Duration {
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
        let lane = SlowLane(Arc::new(Semaphore::new(1)));
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
