//! A chat under way.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::chat::{Completion, Delta};
use super::error::ProviderError;

/// Deltas as they come, and the chat's end. Dropping it cancels the chat: the guest and its connections are dropped.
#[derive(Debug)]
pub struct ChatStream {
    /// At most 16 wait here; then the guest, and with it the upstream, waits for the reader.
    pub deltas: mpsc::Receiver<Delta>,
    task: Task,
}

/// Ends its task when it is dropped.
#[derive(Debug)]
struct Task(JoinHandle<Result<Completion, ProviderError>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ChatStream {
    pub(super) fn new(deltas: mpsc::Receiver<Delta>, task: JoinHandle<Result<Completion, ProviderError>>) -> Self {
        Self { deltas, task: Task(task) }
    }

    /// A chat that never began, for this reason. Must be called inside a tokio runtime.
    #[must_use]
    pub fn failed(error: ProviderError) -> Self {
        let (_, deltas) = mpsc::channel(1);
        Self::new(deltas, tokio::spawn(async { Err(error) }))
    }

    /// Waits for the chat's end. Deltas that nobody took by then are lost: read until `recv` gives none first.
    ///
    /// # Errors
    /// As the chat ended.
    pub async fn finish(mut self) -> Result<Completion, ProviderError> {
        while self.deltas.recv().await.is_some() {}
        (&mut self.task.0).await.unwrap_or_else(|error| {
            if error.is_cancelled() {
                return Err(ProviderError::Cancelled);
            }
            Err(ProviderError::Trap("the host's side of the chat panicked".into()))
        })
    }
}
