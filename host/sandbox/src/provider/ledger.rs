//! What one attempt's HTTP has used, and what stopped it: the host's own knowledge, which a guest cannot colour.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::limits::REQUESTS;

/// Why the host ended or refused a request. Holds no secret: hosts and limits only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A time limit passed.
    Timeout(&'static str),
    /// The origin is not among the granted ones.
    NotGranted(String),
    /// The host is at an address that is not public.
    Private(String),
    /// A size or count limit was reached.
    TooLarge(&'static str),
    /// The upstream could not be reached or broke off.
    Broken(&'static str),
}

/// Shared between the hook that sends requests and the bodies that outlive it.
#[derive(Debug)]
pub(super) struct Ledger {
    requests: AtomicU32,
    response_bytes_left: AtomicU64,
    stop: Mutex<Option<Stop>>,
}

impl Ledger {
    pub(super) fn new(response_bytes: u64) -> Self {
        Self {
            requests: AtomicU32::new(0),
            response_bytes_left: AtomicU64::new(response_bytes),
            stop: Mutex::new(None),
        }
    }

    /// Counts a request; false when there were too many. What stopped an earlier one is forgotten.
    pub(super) fn begin_request(&self) -> bool {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.requests.fetch_add(1, Ordering::Relaxed) < REQUESTS
    }

    /// Takes bytes of a response from what is left; false when too little is.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken =
            self.response_bytes_left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }

    pub(super) fn note(&self, stop: Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
    }

    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
