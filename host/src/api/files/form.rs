//! A form with files (`multipart/form-data`, RFC 7578), read as it comes.
//!
//! The parser keeps what it cannot give out yet: a part's head of any length, for instance. So it is fed through a gauge
//! that knows how much went in since something last came out.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request};
use axum::http::header;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::super::problem::{Code, Problem};

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes after which the parser has to give out what it has before it gets more.
const BURST: usize = 128 << 10;
/// Most bytes that it may get while it gives out nothing.
const MAX_HELD: usize = 1 << 20;
/// Most bytes, and most time, that are spent on a form that was refused: whoever is answered while still writing finds
/// the connection broken and never learns why.
const DRAINED_BYTES: usize = 256 << 20;
const DRAINING: Duration = Duration::from_secs(10);

/// A form on its way in.
pub(super) struct Form {
    parser: Multipart,
    held: Arc<AtomicUsize>,
    source: Source,
}

/// One part of it.
pub(super) struct Part<'f> {
    field: Field<'f>,
    held: Arc<AtomicUsize>,
}

/// The request's body, which outlives the parser.
#[derive(Clone)]
struct Source(Arc<Mutex<BodyDataStream>>);

/// What lies between the body and the parser.
struct Gauge {
    source: Source,
    held: Arc<AtomicUsize>,
    pauses: usize,
}

impl Form {
    /// The form in a request's body.
    pub(super) async fn of(request: Request) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(Problem::new(Code::UnsupportedMediaType, "the body must be multipart/form-data"));
        }
        let (head, body) = request.into_parts();
        let source = Source(Arc::new(Mutex::new(body.into_data_stream())));
        let held = Arc::<AtomicUsize>::default();
        let gauge = Gauge { source: source.clone(), held: held.clone(), pauses: 0 };
        let mut request = Request::from_parts(head, Body::from_stream(gauge));
        // Each file has a limit of its own, and none is held whole.
        DefaultBodyLimit::disable().apply(&mut request);
        let parser = Multipart::from_request(request, &()).await;
        let parser = parser.map_err(|_| Problem::new(Code::InvalidRequest, "the content type names no boundary"))?;
        Ok(Self { parser, held, source })
    }

    /// The next part; none at the form's end.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'_>>, Problem> {
        let field = in_time(self.parser.next_field()).await?;
        self.held.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, held: self.held.clone() }))
    }

    /// Reads on for a while after a refusal, so that the client gets to hear it.
    pub(super) async fn drain(self) {
        let Self { parser, mut source, .. } = self;
        drop(parser);
        let rest = async {
            let mut read = 0;
            while let Some(Ok(bytes)) = source.next().await {
                read += bytes.len();
                if read > DRAINED_BYTES {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAINING, rest).await;
    }
}

impl Part<'_> {
    /// The field's name.
    pub(super) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// What the client calls the file.
    pub(super) fn file_name(&self) -> &str {
        self.field.file_name().unwrap_or_default()
    }

    /// What the client says that it is.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.field.content_type()
    }

    /// The next bytes; none at the part's end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let chunk = in_time(self.field.chunk()).await?;
        self.held.store(0, Ordering::Relaxed);
        Ok(chunk)
    }
}

async fn in_time<T>(coming: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(IDLE, coming).await {
        Ok(Ok(came)) => Ok(came),
        Ok(Err(_)) => Err(Problem::new(Code::InvalidRequest, "the body is no whole multipart/form-data")),
        Err(_) => Err(Problem::new(Code::RequestTimeout, "the upload came to a halt")),
    }
}

impl Stream for Source {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(cx)
    }
}

/// The parser holds more than any part's head needs.
#[derive(Debug, thiserror::Error)]
#[error("a part's head is too large")]
struct Overfull;

impl Stream for Gauge {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let held = self.held.load(Ordering::Relaxed);
        if held > MAX_HELD {
            return Poll::Ready(Some(Err(axum::Error::new(Overfull))));
        }
        // The parser reads as long as there is something to be read. A pause makes it look at what it has.
        let bursts = held / BURST;
        if bursts > self.pauses {
            self.pauses = bursts;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.pauses = bursts;
        let polled = self.source.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// A form whose body comes in these pieces, all of them at once.
    async fn form(pieces: Vec<Vec<u8>>) -> Form {
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
        let request = Request::builder().header("content-type", "multipart/form-data; boundary=x");
        Form::of(request.body(body).unwrap()).await.unwrap()
    }

    const HEAD: &[u8] = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";

    #[tokio::test]
    async fn a_large_part_comes_in_small_pieces_however_fast_it_is_sent() {
        let mut pieces = vec![HEAD.to_vec()];
        pieces.extend((0..512).map(|_| vec![b'.'; 32 << 10]));
        pieces.push(b"\r\n--x--\r\n".to_vec());
        let mut form = form(pieces).await;
        let mut part = form.next().await.unwrap().unwrap();
        assert_eq!((part.name(), part.file_name()), ("file", "a"));
        let (mut size, mut largest) = (0, 0);
        while let Some(chunk) = part.chunk().await.unwrap() {
            size += chunk.len();
            largest = largest.max(chunk.len());
        }
        assert_eq!(size, 16 << 20);
        assert!(largest <= 2 * BURST, "{largest}");
        drop(part);
        assert!(form.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let mut pieces = vec![b"--x\r\nContent-Disposition: ".to_vec()];
        pieces.extend((0..512).map(|_| vec![b'a'; 32 << 10]));
        let mut form = form(pieces).await;
        assert_eq!(form.next().await.err().unwrap().code(), Code::InvalidRequest);
    }

    #[tokio::test]
    async fn a_form_that_breaks_off_is_refused() {
        for end in [0, 10, HEAD.len() - 2] {
            let mut form = form(vec![HEAD[..end].to_vec()]).await;
            assert!(form.next().await.is_err(), "cut at {end}");
        }
        let mut form = form(vec![HEAD.to_vec(), b"half".to_vec()]).await;
        let mut part = form.next().await.unwrap().unwrap();
        let mut last = part.chunk().await;
        while let Ok(Some(_)) = last {
            last = part.chunk().await;
        }
        assert!(last.is_err());
    }
}
