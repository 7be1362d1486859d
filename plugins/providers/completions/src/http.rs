//! One exchange over `wasi:http`. The host checks the origin, adds the credential and keeps the time limits.

use gavel_sdk::provider::{Completion, Error, Sink};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme,
};
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, StreamError};

use crate::answer::{self, Parse};
use crate::base_url::BaseUrl;
use crate::status;

/// Most bytes of an error's body that are looked at.
const ERROR_BYTES: usize = 64 << 10;
/// Most bytes of one read.
const READ_BYTES: u64 = 64 << 10;
/// How long an answer that is over is read on to its body's end, in nanoseconds: then the connection can serve again.
const EPILOGUE_NS: u64 = 20_000_000;

/// A response whose body has not been read.
#[derive(Debug)]
pub struct Response {
    head: IncomingResponse,
    // Fields are dropped in order: the stream is a child of the body.
    stream: InputStream,
    _body: IncomingBody,
}

/// Sends a request to `{base_url}{path}`: a POST of JSON where there is a body, else a GET. `more` are headers besides.
///
/// # Errors
/// When no response comes.
pub fn send(base: &BaseUrl, path: &str, more: &[(&str, &str)], body: Option<&[u8]>) -> Result<Response, Error> {
    let request = OutgoingRequest::new(headers(more, body)?);
    let (scheme, method) = (
        if base.secure { Scheme::Https } else { Scheme::Http },
        if body.is_some() { Method::Post } else { Method::Get },
    );
    let set = request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&base.authority)))
        .and_then(|()| request.set_path_with_query(Some(&format!("{}{path}", base.path))));
    set.map_err(|()| Error::InvalidRequest("base_url is no URL to send to".into()))?;
    let outgoing = body.map(|body| (request.body(), body));
    let answer = handle(request, None).map_err(|error| failed(&error))?;
    if let Some((Ok(outgoing), body)) = outgoing {
        // An upstream may answer before it has read everything: its answer counts, not the write's failure.
        if write(&outgoing, body).is_ok() {
            let _ = OutgoingBody::finish(outgoing, None);
        }
    }
    let head = wait(&answer)?;
    let body = head.consume().map_err(|()| Error::Unavailable("the response has no body".into()))?;
    let stream = body.stream().map_err(|()| Error::Unavailable("the response has no body".into()))?;
    Ok(Response { head, stream, _body: body })
}

fn headers(more: &[(&str, &str)], body: Option<&[u8]>) -> Result<Fields, Error> {
    let mut headers = vec![("accept".to_owned(), b"text/event-stream, application/json".to_vec())];
    if let Some(body) = body {
        headers.push(("content-type".to_owned(), b"application/json".to_vec()));
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    Fields::from_list(&headers).map_err(|error| Error::InvalidRequest(format!("a header is refused: {error:?}")))
}

fn write(outgoing: &OutgoingBody, mut rest: &[u8]) -> Result<(), StreamError> {
    let stream = outgoing.write().map_err(|()| StreamError::Closed)?;
    let ready = stream.subscribe();
    while !rest.is_empty() {
        let budget = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if budget == 0 {
            ready.block();
            continue;
        }
        let (piece, tail) = rest.split_at(budget.min(rest.len()));
        stream.write(piece)?;
        rest = tail;
    }
    Ok(())
}

fn wait(answer: &FutureIncomingResponse) -> Result<IncomingResponse, Error> {
    loop {
        if let Some(arrived) = answer.get() {
            let arrived = arrived.map_err(|()| Error::Unavailable("the response was taken twice".into()))?;
            return arrived.map_err(|error| failed(&error));
        }
        answer.subscribe().block();
    }
}

fn failed(error: &ErrorCode) -> Error {
    Error::Unavailable(format!("no response: {error:?}"))
}

impl Response {
    /// The response itself if its status says success.
    ///
    /// # Errors
    /// What another status means, with the upstream's words.
    pub fn succeeded(self) -> Result<Self, Error> {
        let status = self.head.status();
        if (200..300).contains(&status) {
            return Ok(self);
        }
        let body = self.beginning(ERROR_BYTES);
        Err(status::error(status, |name| self.header(name), &body))
    }

    /// Reads the answer, a stream of events or a JSON document, and sends what comes.
    ///
    /// # Errors
    /// As the upstream failed, or the sink's.
    pub fn completion(self, parse: Parse, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let whole = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let read = || self.read();
        let completion = if whole { answer::whole(read, parse, sink) } else { answer::stream(read, parse, sink) }?;
        self.read_out();
        Ok(completion)
    }

    /// The first value of a header, if it is text.
    fn header(&self, name: &str) -> Option<String> {
        let value = self.head.headers().get(name).into_iter().next()?;
        String::from_utf8(value).ok()
    }

    /// The next bytes of the body, waiting for them; none at its end.
    fn read(&self) -> Result<Option<Vec<u8>>, String> {
        match self.stream.blocking_read(READ_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
        }
    }

    /// The body's beginning, at most so many bytes and what one read gives more; what broke off is left out.
    #[must_use]
    pub fn beginning(&self, most: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < most {
            let Ok(Some(bytes)) = self.read() else { break };
            body.extend_from_slice(&bytes);
        }
        body
    }

    /// Reads on to the body's end if it comes soon.
    fn read_out(self) {
        let late = subscribe_duration(EPILOGUE_NS);
        let more = self.stream.subscribe();
        while !poll(&[&more, &late]).contains(&1) {
            if self.stream.read(READ_BYTES).is_err() {
                break;
            }
        }
    }
}
