//! Requests a minute, by agent.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gavel_store::AgentId;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// After so many requests those agents are forgotten that have all of their allowance again.
const FORGETTING_EVERY: u64 = 4096;

/// A limit that refills steadily: a whole minute's requests may come at once.
pub(super) struct Rate {
    limiter: RateLimiter<AgentId, HashMapStateStore<AgentId>, DefaultClock, StateInformationMiddleware>,
    limit: NonZeroU32,
    counted: AtomicU64,
}

/// How an agent stands with its limit of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Most requests in a minute.
    pub limit: u32,
    /// Requests that may come now.
    pub remaining: u32,
    /// Seconds until one more may come, if none may now.
    pub retry_after: u64,
    /// Seconds until all of them may come again.
    pub reset: u64,
}

impl Rate {
    /// None for a limit of zero, which is none.
    pub(super) fn per_minute(limit: u32) -> Option<Self> {
        let limit = NonZeroU32::new(limit)?;
        let limiter = RateLimiter::hashmap(Quota::per_minute(limit)).with_middleware();
        Some(Self { limiter, limit, counted: AtomicU64::new(0) })
    }

    /// Counts one request.
    pub(super) fn count(&self, agent: &AgentId) -> Result<Standing, Standing> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGETTING_EVERY == FORGETTING_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key(agent) {
            Ok(state) => Ok(self.standing(state.remaining_burst_capacity(), 0)),
            Err(until) => Err(self.standing(0, whole_seconds(until.wait_time_from(DefaultClock::default().now())))),
        }
    }

    fn standing(&self, remaining: u32, retry_after: u64) -> Standing {
        let limit = self.limit.get();
        let used = u64::from(limit.saturating_sub(remaining));
        Standing { limit, remaining, retry_after, reset: (used * 60).div_ceil(u64::from(limit)) }
    }
}

/// Rounded up, and at least one: who comes back then is let in.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_requests_may_come_at_once_and_not_one_more() {
        let rate = Rate::per_minute(3).unwrap();
        let (alice, bob) = (AgentId::generate(), AgentId::generate());
        for (remaining, reset) in [(2, 20), (1, 40), (0, 60)] {
            assert_eq!(rate.count(&alice), Ok(Standing { limit: 3, remaining, retry_after: 0, reset }));
        }
        let refused = rate.count(&alice).unwrap_err();
        assert_eq!((refused.remaining, refused.reset), (0, 60));
        assert!((1..=20).contains(&refused.retry_after), "{refused:?}");
        assert!(rate.count(&bob).is_ok(), "agents do not share a limit");
        assert!(Rate::per_minute(0).is_none());
    }

    #[test]
    fn agents_that_have_all_of_their_allowance_are_forgotten() {
        // A million a minute refill within 60 µs.
        let rate = Rate::per_minute(1_000_000).unwrap();
        for _ in 0..3 * FORGETTING_EVERY {
            rate.count(&AgentId::generate()).unwrap();
        }
        assert!(rate.limiter.len() < 2 * usize::try_from(FORGETTING_EVERY).unwrap(), "{}", rate.limiter.len());
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
