//! What the store tells of itself to whoever watches over it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One batch that went through the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Operations in it.
    pub operations: usize,
    /// From its first operation's application until it was durable, or had failed.
    pub elapsed: Duration,
    /// Whether it was written. A batch that failed changed nothing.
    pub written: bool,
}

/// Is told of each batch, on the writer's thread: it has to be quick, and must not block or panic.
pub trait CommitObserver: Send + Sync {
    /// A batch is through. Its callers have not been answered yet.
    fn committed(&self, commit: &Commit);
}

/// How the store is doing at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Whether the writer's thread takes operations.
    pub writing: bool,
    /// How long ago the newest batch failed; none if it was written.
    pub failed_commit: Option<Duration>,
    /// Operations that wait for the writer.
    pub waiting: usize,
    /// Most operations that may wait; further callers wait for room.
    pub max_waiting: usize,
    /// Bytes of the journal's current half that hold records.
    pub journal_bytes: u64,
    /// Bytes of a half. When it is full the journal turns to the other one.
    pub journal_limit_bytes: u64,
}

/// Figures that the writer and the journal keep up to date, for readers who do not wait for either.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// When the newest batch failed; none if it was written.
    failed: Mutex<Option<Instant>>,
    journal_bytes: AtomicU64,
}

impl Gauges {
    pub(crate) fn committed(&self, written: bool) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = (!written).then(Instant::now);
    }

    pub(crate) fn failed_commit(&self) -> Option<Duration> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    pub(crate) fn journal_at(&self, bytes: u64) {
        self.journal_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn journal_bytes(&self) -> u64 {
        self.journal_bytes.load(Ordering::Relaxed)
    }
}
