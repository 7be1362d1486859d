//! How full a pool of instances is.

use tokio::sync::Semaphore;

/// A pool of instances at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Instances that are promised or alive.
    pub in_use: usize,
    /// Most that may be.
    pub limit: usize,
}

impl Pool {
    pub(crate) fn of(permits: &Semaphore, limit: u32) -> Self {
        let limit = limit as usize;
        Self { in_use: limit.saturating_sub(permits.available_permits()), limit }
    }
}
