//! Questions to the log: which governance results there were, without any text.
//!
//! A search reads in short steps ([`Store::verdicts`]), each on a thread that may block, so that a long one holds up
//! neither other requests nor the store.

use futures_util::{Stream, stream};
use gavel_store::{Store, StoreError, VerdictFilter, VerdictPage, VerdictRow};
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;

/// Results that a stream reads at once.
const CHUNK: usize = 256;

/// Why a question was not answered to its end.
#[derive(Debug, thiserror::Error)]
pub enum VerdictsError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reading thread ended without an answer.
    #[error("the search was broken off")]
    BrokenOff,
    /// A result has no JSON form.
    #[error("a result cannot be written: {0}")]
    Written(#[from] serde_json::Error),
    /// The server goes down before the stream has come to its end.
    #[error("the server is going down")]
    ShuttingDown,
}

/// Answers questions to the log.
#[derive(Clone)]
pub struct Verdicts {
    store: Store,
    closing: CancellationToken,
}

impl Verdicts {
    /// Verdicts in this store, until the server goes down.
    #[must_use]
    pub fn new(store: Store, tasks: &Tasks) -> Self {
        Self { store, closing: tasks.draining().clone() }
    }

    /// At most `limit` of the results that are wanted, newest first, from the one below leaf `below` on: fewer only
    /// when there are no more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(
        &self,
        filter: VerdictFilter,
        mut below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<VerdictRow>, VerdictsError> {
        let mut rows = Vec::new();
        while rows.len() < limit {
            let page = self.step(&filter, below, limit - rows.len()).await?;
            rows.extend(page.rows);
            below = page.below;
            if below.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    /// All results that are wanted, newest first, from the one below leaf `below` on, in chunks, each read when the one before it has been taken. The first
    /// is read at once, so that what fails from the beginning fails here.
    ///
    /// # Errors
    /// When the store cannot be read. In the stream: likewise, and when the server goes down before its end.
    pub async fn stream(
        self,
        filter: VerdictFilter,
        below: Option<u64>,
    ) -> Result<impl Stream<Item = Result<Vec<VerdictRow>, VerdictsError>> + Send + 'static, VerdictsError> {
        let first = self.step(&filter, below, CHUNK).await?;
        Ok(stream::try_unfold(Some(first), move |next| {
            let (this, filter) = (self.clone(), filter.clone());
            async move {
                let Some(VerdictPage { rows, below }) = next else { return Ok(None) };
                let next = match below {
                    None => None,
                    Some(_) if this.closing.is_cancelled() => return Err(VerdictsError::ShuttingDown),
                    Some(_) => Some(this.step(&filter, below, CHUNK).await?),
                };
                Ok(Some((rows, next)))
            }
        }))
    }

    async fn step(
        &self,
        filter: &VerdictFilter,
        below: Option<u64>,
        limit: usize,
    ) -> Result<VerdictPage, VerdictsError> {
        let (store, filter) = (self.store.clone(), filter.clone());
        let read = tokio::task::spawn_blocking(move || store.verdicts(&filter, below, limit));
        Ok(read.await.map_err(|_| VerdictsError::BrokenOff)??)
    }
}
