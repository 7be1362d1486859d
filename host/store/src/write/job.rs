//! One operation on its way through the writer.

use tokio::sync::oneshot;

use super::batch::{Batch, Committed};
use crate::error::StoreError;

/// What an operation answers, made when its batch has been committed.
pub(crate) type Later<T> = Box<dyn FnOnce(&Committed) -> T + Send>;

/// An operation that has been applied to a batch and waits for its commit.
pub(crate) enum Staged<T> {
    /// It wrote something.
    Changed(Later<T>),
    /// It found everything as it should be, and wrote nothing.
    Unchanged(Later<T>),
}

impl<T: Send + 'static> Staged<T> {
    /// An operation that wrote, with an answer that is known already.
    pub(crate) fn changed(answer: T) -> Self {
        Self::Changed(Box::new(|_| answer))
    }

    /// An operation that had nothing to write, with an answer that is known already.
    pub(crate) fn unchanged(answer: T) -> Self {
        Self::Unchanged(Box::new(|_| answer))
    }
}

/// An operation as the writer sees it.
pub(crate) trait Job: Send {
    /// About the bytes that it writes.
    fn weight(&self) -> usize;

    /// Applies it and says whether it wrote. An error ends the whole batch; a refusal is kept for its own answer,
    /// and comes before anything was written.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<bool, StoreError>;

    /// Answers its caller.
    fn answer(self: Box<Self>, outcome: Result<&Committed, &StoreError>);
}

/// A job made of a closure and the channel that its caller waits on.
pub(crate) struct Request<T, F> {
    weight: usize,
    apply: Option<F>,
    staged: Option<Result<Later<T>, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Request<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Batch<'_>) -> Result<Staged<T>, StoreError> + Send + 'static,
{
    /// A job, and where its answer will come.
    pub(crate) fn new(weight: usize, apply: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { weight, apply: Some(apply), staged: None, answer }, answered)
    }
}

impl<T, F> Job for Request<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Batch<'_>) -> Result<Staged<T>, StoreError> + Send + 'static,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<bool, StoreError> {
        let Some(apply) = self.apply.take() else {
            return Ok(false);
        };
        let (staged, changed) = match apply(batch) {
            Ok(Staged::Changed(later)) => (Ok(later), true),
            Ok(Staged::Unchanged(later)) => (Ok(later), false),
            Err(error) if error.is_fatal() => return Err(error),
            Err(refusal) => (Err(refusal), false),
        };
        self.staged = Some(staged);
        Ok(changed)
    }

    fn answer(self: Box<Self>, outcome: Result<&Committed, &StoreError>) {
        // A failed batch fails its refusals too: they may rest on what it did not commit.
        let result = match (outcome, self.staged) {
            (Err(error), _) => Err(error.clone()),
            (Ok(_), Some(Err(refusal))) => Err(refusal),
            (Ok(committed), Some(Ok(later))) => Ok(later(committed)),
            (Ok(_), None) => Err(StoreError::Closed),
        };
        // A caller that is gone needs no answer; what it asked for is done all the same.
        let _ = self.answer.send(result);
    }
}
