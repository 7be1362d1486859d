//! One POST over `wasi:http`. Calls wait in the guest, not in the host: it goes on with other chats meanwhile.

use gavel_sdk::provider::Error;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::{InputStream, StreamError};

/// Most bytes of one read, and of one write.
const READ_BYTES: u64 = 64 << 10;
const WRITE_BYTES: usize = 4096;

/// A response whose body has not been read.
pub(crate) struct Response {
    head: IncomingResponse,
    // Fields are dropped in order: the stream is a child of the body.
    stream: InputStream,
    _body: IncomingBody,
}

/// Sends JSON, and waits for the response's head.
pub(crate) fn post(url: &str, json: &[u8]) -> Result<Response, Error> {
    let refused = |what: &str| Error::InvalidRequest(format!("{what} is not one to send"));
    let unavailable = |why: String| Error::Unavailable(why);
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err(refused("base_url")),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let request = OutgoingRequest::new(Fields::from_list(&headers).map_err(|_| refused("a header"))?);
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| refused("base_url"))?;
    let body = request.body().map_err(|()| refused("the body"))?;
    let answer = handle(request, None).map_err(|error| unavailable(format!("{error:?}")))?;
    // An upstream may answer before it has read everything: its answer counts, not the write's failure.
    if write(&body, json).is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
    answer.subscribe().block();
    let head = match answer.get() {
        Some(Ok(Ok(head))) => head,
        Some(Ok(Err(error))) => return Err(unavailable(format!("{error:?}"))),
        Some(Err(())) | None => return Err(unavailable("no response".to_owned())),
    };
    let body = head.consume().map_err(|()| unavailable("no body".to_owned()))?;
    let stream = body.stream().map_err(|()| unavailable("no body".to_owned()))?;
    Ok(Response { head, stream, _body: body })
}

fn write(body: &OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    bytes.chunks(WRITE_BYTES).try_for_each(|piece| stream.blocking_write_and_flush(piece))
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The first value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.headers().get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// The next bytes of the body, waiting for them; none at its end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, String> {
        match self.stream.blocking_read(READ_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
        }
    }
}
