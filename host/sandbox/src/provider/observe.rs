//! What a chat's HTTP tells whoever follows it.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

/// Follows the requests that one chat sends upstream. It is asked on the chat's path, so it has to be quick, and must
/// not block or panic.
pub trait UpstreamObserver: Send + Sync {
    /// The W3C trace context that the host adds to each request; the guest's own is dropped.
    fn traceparent(&self) -> Option<HeaderValue>;

    /// A response's header is there, so long after its request was sent; without a status, none came.
    fn answered(&self, after: Duration, status: Option<StatusCode>);
}
