//! The walk through the history: pages are handed out, newest first, to whichever worker asks next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gavel_store::{LeafRow, Store, StoreError, VerdictFilter};
use tokio_util::sync::CancellationToken;

use super::BacktestError;

/// Results that a worker takes at once: some ten milliseconds of work.
const PAGE: usize = 256;

/// Where a walk has come to, shared by its workers.
pub(super) struct Walk {
    store: Store,
    filter: VerdictFilter,
    place: Mutex<Place>,
    /// Set when nobody wants the result any more, or the server goes down.
    stop: CancellationToken,
    /// Below which leaf it began.
    first: u64,
    looked_at: AtomicU64,
    judged: AtomicU64,
    begun: Instant,
}

/// What is still to be handed out.
struct Place {
    /// None at the end.
    below: Option<u64>,
    left: u64,
    until: Option<Instant>,
}

/// How far a walk may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// It begins below this leaf.
    pub below: Option<u64>,
    /// Most results that are looked at.
    pub most: Option<u64>,
    /// When it stops, wherever it is.
    pub until: Option<Instant>,
}

/// How far a backtest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Results looked at so far.
    pub looked_at: u64,
    /// Texts judged so far.
    pub judged: u64,
    /// How much of the log has been walked through, in percent.
    pub percent: u64,
    /// Texts judged in a second.
    pub per_second: u64,
}

impl Walk {
    pub(super) fn new(store: Store, filter: VerdictFilter, bounds: &Bounds, stop: CancellationToken) -> Self {
        let size = store.head().size;
        let first = bounds.below.unwrap_or(size).min(size);
        let place = Place { below: Some(first), left: bounds.most.unwrap_or(u64::MAX), until: bounds.until };
        Self {
            store,
            filter,
            place: Mutex::new(place),
            stop,
            first,
            looked_at: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// The next results, in one short read transaction; none at the end, and where it has to stop.
    pub(super) fn next_page(&self) -> Result<Option<Vec<LeafRow>>, StoreError> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(below) = place.below {
            if place.left == 0 || self.is_stopped() || place.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let limit = usize::try_from(place.left).unwrap_or(usize::MAX).min(PAGE);
            let page = self.store.leaves(&self.filter, Some(below), limit)?;
            place.below = page.below;
            if !page.rows.is_empty() {
                place.left = place.left.saturating_sub(page.rows.len() as u64);
                return Ok(Some(page.rows));
            }
        }
        Ok(None)
    }

    /// Whether a time is one of those asked for.
    pub(super) fn filter(&self) -> &VerdictFilter {
        &self.filter
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Counts a result that was looked at.
    pub(super) fn passed(&self, judged: bool) {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        self.judged.fetch_add(u64::from(judged), Ordering::Relaxed);
    }

    /// Where it goes on; none at the end.
    ///
    /// # Errors
    /// [`BacktestError::Stopped`] if it was stopped: then what was handed out may not have been judged.
    pub(super) fn rest(&self) -> Result<Option<u64>, BacktestError> {
        if self.is_stopped() {
            return Err(BacktestError::Stopped);
        }
        Ok(self.place.lock().unwrap_or_else(PoisonError::into_inner).below)
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn progress(&self) -> Progress {
        let below = self.place.lock().unwrap_or_else(PoisonError::into_inner).below.unwrap_or(0);
        let judged = self.judged.load(Ordering::Relaxed);
        Progress {
            looked_at: self.looked_at.load(Ordering::Relaxed),
            judged,
            percent: (100 * self.first.saturating_sub(below)).checked_div(self.first).unwrap_or(100),
            per_second: rate(judged, self.elapsed_ms()),
        }
    }
}

/// How many in a second.
pub(super) fn rate(count: u64, elapsed_ms: u64) -> u64 {
    count.saturating_mul(1000) / elapsed_ms.max(1)
}
