//! What surrounds every request: its id, its span, its deadline, and a wall against panics.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use opentelemetry::context::FutureExt as _;
use tracing::Instrument as _;

use super::App;
use super::problem::{Code, Problem};
use crate::telemetry::metrics::method_label;
use crate::telemetry::traces;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Most characters of a caller's own request id.
const MAX_REQUEST_ID: usize = 128;
/// Longer than a stop takes with its two graces; whatever else takes so long has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// The route of uploads, which may take as long as they make progress: they have a deadline for silence instead.
pub(super) const FILES: &str = "/v1/agents/{id}/files";
/// The route of completions.
pub(super) const COMPLETIONS: &str = "/v1/chat/completions";
/// The route of installations.
pub(super) const PLUGINS: &str = "/v1/plugins";
/// A component of 64 MiB is sent, compiled and tried out, perhaps behind others.
const INSTALL_DEADLINE: Duration = Duration::from_secs(300);
/// A completion that does not stream is answered when it is whole: a provider has ten minutes for a chat.
const COMPLETION_DEADLINE: Duration = Duration::from_secs(630);

/// Answers every request, in time and with its id, whatever happens inside.
pub(super) async fn surround(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let begun = Instant::now();
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let route = route.as_ref().map(MatchedPath::as_str);
    let trace = traces::of_request(method_label(&method), route, request.headers());
    // Paths only: a query may hold what should be in no log.
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
        trace_id = traces::trace_id(&trace)
    );
    let mut response = guarded(request, next).instrument(span.clone()).with_context(trace.clone()).await;
    let status = response.status().as_u16();
    traces::answered(&trace, status);
    app.metrics.request_answered(&method, route, status, begun.elapsed());
    span.in_scope(|| {
        tracing::debug!(status, micros = begun.elapsed().as_micros(), "answered");
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
    response
}

async fn guarded(request: Request, next: Next) -> Response {
    let deadline = deadline(&request);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout(deadline, answer).await,
        None => Ok(answer.await),
    };
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a handler panicked");
            Problem::new(Code::Internal, "the server failed to answer").into_response()
        }
        Err(_) => Problem::new(Code::Timeout, "the request took too long").into_response(),
    }
}

fn deadline(request: &Request) -> Option<Duration> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    match route {
        Some(FILES) if request.method() == Method::POST => None,
        Some(PLUGINS) if request.method() == Method::POST => Some(INSTALL_DEADLINE),
        Some(COMPLETIONS) => Some(COMPLETION_DEADLINE),
        _ => Some(DEADLINE),
    }
}

/// The caller's own id where it is a harmless one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(REQUEST_ID).filter(|id| {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(harmless)
    });
    own.cloned().unwrap_or_else(|| {
        let id = ulid::Ulid::generate().to_string().to_ascii_lowercase();
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// The answer to a path that does not exist.
pub(super) async fn no_such_path() -> Problem {
    Problem::not_found()
}

/// The answer to a path that exists, but not with this method.
pub(super) async fn no_such_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the path does not know this method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_request_id_is_echoed_if_it_is_harmless() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("trace-1.a_B"));
        assert_eq!(request_id(&headers), "trace-1.a_B");
        for bad in ["", "has space", "quote\"", &"x".repeat(129)] {
            headers.insert(REQUEST_ID, HeaderValue::from_str(bad).unwrap());
            assert_ne!(request_id(&headers), bad);
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
