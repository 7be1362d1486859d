//! A response's body on its way to the guest: bounded in size and in silence.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::Error;

use super::ledger::{Ledger, Stop};

/// Most bytes of frames that are joined.
const JOINED_BYTES: usize = 64 << 10;

/// What an upstream's body gives next.
type Next = Option<Result<Frame<Bytes>, reqwest::Error>>;

/// Passes frames on as they come; those that have come already as one, since each costs the guest a call. Nothing else
/// is buffered here: a guest that does not read slows the upstream.
pub(super) struct ResponseBody {
    upstream: reqwest::Body,
    /// What came behind joined frames and is none to be joined.
    held: Option<Next>,
    ledger: Arc<Ledger>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Whether `silence` runs: only while the guest waits, so that a slow reader is no slow upstream.
    waiting: bool,
}

impl ResponseBody {
    pub(super) fn new(upstream: reqwest::Body, ledger: Arc<Ledger>, idle: Duration) -> Self {
        Self { upstream, held: None, ledger, idle, silence: Box::pin(sleep(idle)), waiting: false }
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

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match self.held.take() {
            Some(held) => Poll::Ready(held),
            None => Pin::new(&mut self.upstream).poll_frame(cx),
        }
    }

    /// A frame together with those that wait behind it.
    fn join(&mut self, first: Frame<Bytes>, cx: &mut Context<'_>) -> Frame<Bytes> {
        let mut joined = match first.into_data() {
            Ok(data) => BytesMut::from(data),
            Err(trailers) => return trailers,
        };
        while joined.len() < JOINED_BYTES
            && let Poll::Ready(next) = self.poll_upstream(cx)
        {
            match next.map(|next| next.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => joined.extend_from_slice(&data),
                Some(Ok(Err(trailers))) => self.held = Some(Some(Ok(trailers))),
                Some(Err(error)) => self.held = Some(Some(Err(error))),
                None => self.held = Some(None),
            }
            if self.held.is_some() {
                break;
            }
        }
        Frame::data(joined.freeze())
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
        match self.poll_upstream(cx) {
            Poll::Pending => self.poll_silence(cx).map(|error| Some(Err(error))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                let frame = self.join(frame, cx);
                Poll::Ready(Some(self.admit(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                self.ledger.note(Stop::Broken("the upstream broke the response off"));
                Poll::Ready(Some(Err(Error::HttpResponseIncomplete)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }
}
