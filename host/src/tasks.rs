//! The one place that spawns the server's tasks, and waits for them on shutdown.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Origin;

/// Every task of one server, and the two signals of its end. Cloning it shares them.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    draining: CancellationToken,
    closing: CancellationToken,
}

impl Tasks {
    /// Runs a task that the server waits for on shutdown, as a part of the request that it came from.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(Origin::here().follow(task))
    }

    /// Counts a future that somebody else runs as one of the server's tasks.
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.tracker.track_future(task)
    }

    /// Set when the server takes no new work but lets the open turns end.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Set when everything has to end now.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Asks every task to end now and waits for them, at most `grace`. False when some did not end.
    pub async fn close(&self, grace: Duration) -> bool {
        self.draining.cancel();
        self.closing.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}
