//! JSON bodies: bounded, strict, and with a pointer to what is wrong.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use zeroize::Zeroizing;

use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::object::Object;

/// Most bytes of a JSON body.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;
/// Most bytes that are read of one that is larger, and thrown away: whoever is answered while still writing finds the
/// connection broken and never learns why.
const MAX_READ_BYTES: usize = 8 << 20;

/// A JSON body of at most `MAX` bytes. An empty one reads as `{}`.
pub(super) struct Json<T, const MAX: usize = MAX_BODY_BYTES>(pub(super) T);

impl<T: DeserializeOwned, S: Sync, const MAX: usize> FromRequest<S> for Json<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let bytes = bounded(&head.headers, body, MAX).await?;
        if bytes.is_empty() {
            return parsed(b"{}").map(Self);
        }
        if !is_json(&head.headers) {
            return Err(Problem::new(Code::UnsupportedMediaType, "the body must be application/json"));
        }
        parsed(&bytes).map(Self)
    }
}

/// Reads a body, of which no more is kept than may be. It may hold a secret: the buffer is wiped when it is dropped, and
/// does not grow, leaving copies behind, where the client says how long the body is.
pub(super) async fn bounded(headers: &HeaderMap, mut body: Body, max: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let too_large = || Problem::new(Code::PayloadTooLarge, format!("the body is larger than {max} bytes"));
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // A client that asks first, or that would send without end, is answered at once.
    let most = if headers.contains_key(header::EXPECT) { max } else { MAX_READ_BYTES.max(2 * max) };
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let capacity = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0).min(MAX_BODY_BYTES);
    let (mut kept, mut read) = (Zeroizing::new(Vec::with_capacity(capacity)), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::InvalidRequest, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read > most {
            break;
        }
        if read <= max {
            kept.extend_from_slice(&data);
        }
    }
    if read > max { Err(too_large()) } else { Ok(kept) }
}

fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).eq_ignore_ascii_case("application/json")
}

/// The media type of a body, without its parameters; empty where there is none.
pub(super) fn essence(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::invalid(vec![FieldError { pointer, detail: error.inner().to_string() }])
    })?;
    input
        .end()
        .map_err(|error| Problem::invalid(vec![FieldError { pointer: String::new(), detail: error.to_string() }]))?;
    Ok(value)
}

/// The path as a JSON pointer (RFC 6901); empty for the whole body.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let step = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&step);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NewAgent;

    fn problem(body: &str) -> String {
        format!("{:?}", parsed::<NewAgent>(body.as_bytes()).unwrap_err())
    }

    #[test]
    fn wrong_types_and_unknown_fields_are_pointed_at() {
        assert!(problem(r#"{"agent_name": 7}"#).contains(r#"pointer: "/agent_name""#));
        assert!(problem(r#"{"labels": {"a/b": 7}}"#).contains(r#"pointer: "/labels/a~1b""#));
        assert!(problem(r#"{"policies": [{"policy": "pii"}, {}]}"#).contains(r#"pointer: "/policies/1""#));
        let unknown = problem(r#"{"agent_nam": "x"}"#);
        assert!(unknown.contains("agent_nam") && unknown.contains("unknown field"), "{unknown}");
    }

    #[test]
    fn an_array_is_no_object() {
        assert!(problem("[]").contains("expected an object"));
        assert!(problem(r#"["Clerk"]"#).contains("expected an object"));
        assert!(problem(r#"{"policies": [["pii"]]}"#).contains(r#"pointer: "/policies/0""#));
    }

    #[test]
    fn what_follows_the_body_is_refused() {
        assert!(problem("{} {}").contains("trailing"));
        assert!(problem("{").contains("EOF"));
    }
}
