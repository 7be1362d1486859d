//! A response's body on its way to the guest: bounded in size and in silence.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::Error;

use super::ledger::{Ledger, Stop};

/// Passes frames on as they come. Nothing is buffered here: a guest that does not read slows the upstream.
pub(super) struct ResponseBody {
    upstream: reqwest::Body,
    ledger: Arc<Ledger>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Whether `silence` runs: only while the guest waits, so that a slow reader is no slow upstream.
    waiting: bool,
}

impl ResponseBody {
    pub(super) fn new(upstream: reqwest::Body, ledger: Arc<Ledger>, idle: Duration) -> Self {
        Self { upstream, ledger, idle, silence: Box::pin(sleep(idle)), waiting: false }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if !self.waiting {
            self.silence.as_mut().reset(Instant::now() + self.idle);
            self.waiting = true;
        }
        ready!(self.silence.as_mut().poll(cx));
        self.ledger.note(Stop::Timeout("the upstream fell silent"));
        Poll::Ready(Error::ConnectionReadTimeout)
    }

    fn admit(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        if self.ledger.take(frame.data_ref().map_or(0, Bytes::len)) {
            return Ok(frame);
        }
        self.ledger.note(Stop::TooLarge("the response's body is too large"));
        Err(Error::HttpResponseBodySize(None))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Pending => self.poll_silence(cx).map(|error| Some(Err(error))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                Poll::Ready(Some(self.admit(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                self.ledger.note(Stop::Broken("the upstream broke the response off"));
                Poll::Ready(Some(Err(Error::HttpResponseIncomplete)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }
}
