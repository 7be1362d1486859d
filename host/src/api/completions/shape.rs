//! Errors in OpenAI's shape, for the paths that its clients call.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::problem::{Code, Problem};
use super::wire::{ErrorBody, ErrorObject, Results};
use crate::turn::GovernanceResult;

/// Tells OpenAI's clients whether another try is worth it: by themselves they try a 409 again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Gives whatever refuses a request to these paths the shape that their clients read: the guard, the body's reader, a
/// handler, the deadline.
pub(in crate::api) async fn in_openai_shape(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let ours = path == "/v1/chat/completions" || path == "/v1/models" || path.starts_with("/v1/models/");
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if ours => reshaped(response, body(&problem, &[])),
        _ => response,
    }
}

/// A problem's answer, with the verdicts that were given by then.
pub(super) fn answer(problem: &Problem, results: &[GovernanceResult]) -> Response {
    let mut response = problem.clone().into_response();
    response.extensions_mut().remove::<Problem>();
    reshaped(response, body(problem, results))
}

fn reshaped(mut response: Response, body: String) -> Response {
    *response.body_mut() = Body::from(body);
    let conflict = response.status() == StatusCode::CONFLICT;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if conflict {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}

/// The text of the error.
pub(super) fn body(problem: &Problem, results: &[GovernanceResult]) -> String {
    let (code, status) = problem.code().entry();
    let kind = match (problem.code(), status.as_u16()) {
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (Code::QuotaExceeded, _) => "insufficient_quota",
        (_, 429) => "rate_limit_error",
        (_, 500..) => "server_error",
        _ => "invalid_request_error",
    };
    let param = match problem.code() {
        Code::ModelNotFound => Some("model".to_owned()),
        _ => problem.pointer().filter(|pointer| !pointer.is_empty()).map(param),
    };
    let governance = (!results.is_empty()).then_some(Results { results });
    let error = ErrorObject { message: problem.detail(), kind, param, code, governance };
    serde_json::to_string(&ErrorBody { error }).unwrap_or_default()
}

/// A JSON pointer as OpenAI names parameters: `messages[0].content`.
fn param(pointer: &str) -> String {
    let mut param = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            param.extend(["[", &step, "]"]);
        } else {
            if !param.is_empty() {
                param.push('.');
            }
            param.push_str(&step);
        }
    }
    param
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_as_openai_names_them() {
        assert_eq!(param("/messages/0/content/1/text"), "messages[0].content[1].text");
        assert_eq!(param("/n"), "n");
        assert_eq!(param("/a~1b"), "a/b");
    }
}
