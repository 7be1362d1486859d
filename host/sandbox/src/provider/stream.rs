//! A chat under way.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::{SetOnce, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::bindings::exports::gavel::plugin::provider as wit;
use super::chat::{ChatRequest, Completion, Delta};
use super::error::ProviderError;
use super::observe::UpstreamObserver;
use super::outbound::Caller;

/// A chat whose instance is being made, and which nobody hears of before it is asked for. Dropping it ends the instance.
pub struct ReadyChat {
    pub(super) stream: ChatStream,
    pub(super) request: oneshot::Sender<wit::Request>,
    pub(super) caller: Arc<SetOnce<Caller>>,
}

impl ReadyChat {
    /// Begins the chat. The key is added to requests by the host; the guest never sees it. `observer` follows the chat's
    /// requests.
    #[must_use]
    pub fn ask(
        self,
        key: Option<SecretString>,
        observer: Option<Arc<dyn UpstreamObserver>>,
        request: ChatRequest,
    ) -> ChatStream {
        // Each fails only for what has ended by itself or was set before; neither can be: the handle is gone with this.
        let _ = self.caller.set(Caller { key: key.map(Arc::new), observer });
        let _ = self.request.send(request.into());
        self.stream
    }
}

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
