//! `GET /v1/agents/{id}/files/{file_id}`

use std::fmt::Write as _;
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gavel_store::StoredFile;

use super::super::App;
use super::super::guard::TheAgent;
use super::super::problem::{Code, Problem};
use super::file_id;
use super::range::{Wanted, wanted};
use crate::schema;

/// Whatever a file holds: shown by a browser after all, it can do nothing.
const HARMLESS: HeaderValue = HeaderValue::from_static("sandbox");

/// Give a file's bytes.
///
/// Under the content type of its upload, for saving and not for showing.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/files/{file_id}",
    tag = "Files",
    operation_id = "download_file",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("file_id" = schema::FileId, Path, description = "The file's id."),
        ("range" = Option<String>, Header, description = "One range of bytes (RFC 9110).", example = "bytes=0-1023"),
        ("if-none-match" = Option<String>, Header, description = "ETags that the caller has."),
        ("if-range" = Option<String>, Header, description = "The ETag of the file that the range is of."),
    ),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*", headers(
            ("etag" = String, description = "The SHA-256 of the file, in quotes."),
            ("content-disposition" = String, description = "`attachment`, with the file's name."),
            ("accept-ranges" = String, description = "`bytes`."),
        )),
        (status = 206, description = "The range.", body = Vec<u8>, content_type = "*/*", headers(
            ("content-range" = String, description = "Which bytes of how many."),
        )),
        (status = 304, description = "The caller has the file already."),
        (status = 416, description = "The file has no such range.", headers(
            ("content-range" = String, description = "Of how many bytes it is."),
        )),
    ),
)]
pub(in super::super) async fn show(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, file)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = app.files.find(&agent.id, &file_id(&file)?)?;
    let etag = format!("\"{}\"", file.sha256);
    let is_head = method == Method::HEAD;
    // RFC 9110 §14.2: ranges are for GET.
    let (status, range) = match wanted(&headers, &etag, file.size) {
        Wanted::Known => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Unsatisfiable if !is_head => return Ok(unsatisfiable(file.size)),
        Wanted::Part(range) if !is_head => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Whole | Wanted::Part(_) | Wanted::Unsatisfiable => (StatusCode::OK, 0..file.size),
    };
    let length = range.end - range.start;
    let mut answer = if is_head || status == StatusCode::NOT_MODIFIED {
        status.into_response()
    } else {
        let bytes = app.files.read(&agent, &file, range.clone()).await?;
        (status, Body::from_stream(bytes)).into_response()
    };
    describe(answer.headers_mut(), &file, &etag)?;
    if status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if status == StatusCode::PARTIAL_CONTENT {
        answer.headers_mut().insert(header::CONTENT_RANGE, content_range(&range, file.size)?);
    }
    Ok(answer)
}

fn describe(headers: &mut HeaderMap, file: &StoredFile, etag: &str) -> Result<(), Problem> {
    let lines: [(HeaderName, HeaderValue); 5] = [
        (header::ETAG, value(etag)?),
        (header::CONTENT_TYPE, value(&file.content_type)?),
        (header::CONTENT_DISPOSITION, value(&disposition(&file.name))?),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CONTENT_SECURITY_POLICY, HARMLESS),
    ];
    headers.extend(lines);
    Ok(())
}

fn unsatisfiable(size: u64) -> Response {
    let mut answer = Problem::new(Code::RangeNotSatisfiable, "the file has no such range").into_response();
    if let Ok(range) = value(&format!("bytes */{size}")) {
        answer.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    answer
}

fn content_range(range: &Range<u64>, size: u64) -> Result<HeaderValue, Problem> {
    value(&format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)))
}

/// RFC 6266: a name in ASCII for old readers, and the name itself as RFC 8187 writes it.
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    let mut line = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            line.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(line, "%{byte:02X}");
        }
    }
    line
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_twice_and_breaks_no_header() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        let strange = disposition("a\"b\\%41é;€.txt");
        assert_eq!(
            strange,
            "attachment; filename=\"a_b__41_;_.txt\"; filename*=UTF-8''a%22b%5C%2541%C3%A9%3B%E2%82%AC.txt"
        );
        assert!(value(&strange).is_ok());
    }
}
