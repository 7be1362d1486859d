//! Callers who show no valid token, counted by where they come from.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::rate::whole_seconds;

/// Failures that one source may have in a minute. Generous: behind a proxy or an office's address are many.
const A_MINUTE: NonZeroU32 = NonZeroU32::new(3_000).expect("it is not zero");
/// Sources that are told apart; further ones share one count.
const MOST_SOURCES: usize = 65_536;
/// After so many failures those sources are forgotten that have all of their allowance again.
const FORGETTING_EVERY: u64 = 4096;

/// A limit on failed authentications. Only failures are ever refused by it: whoever shows a valid token is let in from
/// wherever, so nobody can lock out those behind the same address.
pub struct Strangers {
    limiter: RateLimiter<Source, HashMapStateStore<Source>, DefaultClock, NoOpMiddleware>,
    counted: AtomicU64,
}

/// Where requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// An address of IPv4, or a network of 64 bits of IPv6: one customer has as many addresses as he likes.
    Network(IpAddr),
    /// Whoever found no place of his own.
    Others,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_minute(A_MINUTE)), counted: AtomicU64::new(0) }
    }
}

impl Strangers {
    /// Counts a failed authentication.
    ///
    /// # Errors
    /// The seconds after which another may be tried, when there were too many.
    pub fn count_failure(&self, from: IpAddr) -> Result<(), u64> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGETTING_EVERY == FORGETTING_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let source = if self.limiter.len() < MOST_SOURCES { network(from) } else { Source::Others };
        let checked = self.limiter.check_key(&source);
        checked.map_err(|until| whole_seconds(until.wait_time_from(DefaultClock::default().now())))
    }
}

fn network(from: IpAddr) -> Source {
    Source::Network(match from.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_too_often_is_refused_and_others_are_not() {
        let strangers = Strangers::default();
        let (bad, good) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        // It refills while this runs, so some more than a minute's failures are let through.
        let refused = (0..3 * A_MINUTE.get()).filter_map(|_| strangers.count_failure(bad).err()).next();
        assert_eq!(refused, Some(1));
        assert_eq!(strangers.count_failure(good), Ok(()));
    }

    #[test]
    fn one_customers_addresses_are_one_source() {
        let source = |text: &str| network(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn more_sources_than_can_be_told_apart_share_one_count() {
        let strangers = Strangers::default();
        for number in 0..u32::try_from(2 * MOST_SOURCES).unwrap() {
            let _ = strangers.count_failure(IpAddr::from(number.to_be_bytes()));
        }
        assert!(strangers.limiter.len() <= MOST_SOURCES + 1);
    }
}
