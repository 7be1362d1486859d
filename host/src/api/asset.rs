//! Pages and what they load, from the binary: nothing of them is from elsewhere, and their content security policy would
//! not let it be.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// Nothing from elsewhere; style sheets have their icons in themselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The files change with the server's version alone.
const FOR_AN_HOUR: &str = "public, max-age=3600";

/// A page.
pub(super) fn page(html: &'static str) -> Response {
    asset("text/html; charset=utf-8", html.as_bytes())
}

/// A file of this media type that a page loads.
pub(super) fn asset(kind: &str, bytes: impl IntoResponse) -> Response {
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOR_AN_HOUR)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, bytes).into_response()
}
