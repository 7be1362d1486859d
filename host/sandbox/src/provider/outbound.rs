//! HTTP on a guest's behalf: the origin is checked, the credential added, everything bounded.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::SetOnce;
use url::Url;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::ResponseBody;
use super::clients::Clients;
use super::grant::{Grant, is_hop_by_hop};
use super::ledger::{Ledger, Stop};
use super::limits::{HEADER_BYTES, ProviderLimits};
use super::observe::UpstreamObserver;
use super::origin::Origin;
use super::reach::{Prohibited, Reach};

/// Most bytes of one write to a request's body.
const BODY_WRITE_BYTES: usize = 256 << 10;
/// W3C Trace Context.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
/// What stands in a response's header for the key.
const MASK: HeaderValue = HeaderValue::from_static("***");

/// What one attempt sends with.
pub(super) struct Outbound {
    pub(super) clients: Arc<Clients>,
    pub(super) limits: Arc<ProviderLimits>,
    pub(super) grant: Arc<Grant>,
    /// An instance may be made before anyone may hear of its chat: what it sends by then waits for this.
    pub(super) caller: Arc<SetOnce<Caller>>,
    pub(super) ledger: Arc<Ledger>,
}

/// On whose behalf requests are sent.
pub(super) struct Caller {
    pub(super) key: Option<Arc<SecretString>>,
    pub(super) observer: Option<Arc<dyn UpstreamObserver>>,
}

/// What `wasi:http` wants back: the response, and a future that drives its connection (reqwest drives its own).
type Answer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outbound {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| is_hop_by_hop(name) || *name == header::HOST || *name == header::EXPECT)
    }

    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_hop_by_hop(name) || *name == header::HOST || *name == header::EXPECT
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_WRITE_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        match self.prepare(request) {
            Ok(request) => Box::new(self.exchange(request, options.unwrap_or_default())),
            Err(error) => Box::new(std::future::ready(Err(error))),
        }
    }
}

impl Outbound {
    fn prepare(&self, request: http::Request<WasiBody>) -> Result<reqwest::Request, Error> {
        if !self.ledger.begin_request() {
            self.ledger.note(Stop::TooLarge("too many requests in one chat"));
            return Err(Error::ConnectionLimitReached);
        }
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
        self.check_destination(&url)?;
        if header_bytes(&parts.headers) > HEADER_BYTES {
            return Err(Error::HttpRequestHeaderSectionSize(None));
        }
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        if !body.is_end_stream() {
            let bounded = Limited::new(body, self.limits.request_bytes);
            *outgoing.body_mut() = Some(reqwest::Body::wrap_stream(bounded.into_data_stream()));
        }
        Ok(outgoing)
    }

    fn check_destination(&self, url: &Url) -> Result<(), Error> {
        let origin = Origin::of(url).map_err(|_| Error::HttpRequestUriInvalid)?;
        if !self.grant.origins.contains(&origin) {
            self.ledger.note(Stop::NotGranted(origin.to_string()));
            return Err(Error::HttpRequestDenied);
        }
        if !(Reach { allow_private: self.grant.allow_private }).admits(url) {
            self.ledger.note(Stop::Private(origin.to_string()));
            return Err(Error::DestinationIpProhibited);
        }
        Ok(())
    }

    fn exchange(
        &self,
        mut request: reqwest::Request,
        options: RequestOptions,
    ) -> impl Future<Output = Result<Answer, Error>> + use<> {
        let client = self.clients.get(self.grant.allow_private).clone();
        let (ledger, grant, caller) = (self.ledger.clone(), self.grant.clone(), self.caller.clone());
        let first_byte = shorter(self.limits.first_byte, options.first_byte_timeout);
        let idle = shorter(self.limits.idle, options.between_bytes_timeout);
        async move {
            let Caller { key, observer } = caller.wait().await;
            sign(request.headers_mut(), &grant, key.as_deref(), observer.as_deref())?;
            let origin = Origin::of(request.url()).map(|origin| origin.to_string()).unwrap_or_default();
            let sent = Instant::now();
            let answered = tokio::time::timeout(first_byte, client.execute(request)).await;
            if let Some(observer) = observer {
                let status = answered.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.status()));
                observer.answered(sent.elapsed(), status);
            }
            let response = match answered {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(refusal(&error, origin, &ledger)),
                Err(_) => {
                    ledger.note(Stop::Timeout("the upstream did not answer"));
                    return Err(Error::HttpResponseTimeout);
                }
            };
            let (mut parts, body) = http::Response::from(response).into_parts();
            if header_bytes(&parts.headers) > HEADER_BYTES {
                ledger.note(Stop::TooLarge("the response's header is too large"));
                return Err(Error::HttpResponseHeaderSectionSize(None));
            }
            if let Some(key) = key {
                mask(&mut parts.headers, key);
            }
            let body = ResponseBody::new(body, ledger, idle).boxed_unsync();
            let driven = Box::new(std::future::ready(Ok(()))) as Box<dyn Future<Output = _> + Send>;
            Ok((http::Response::from_parts(parts, body), driven))
        }
    }
}

/// Gives the guest's headers the credential and the host's trace; only ever called for a granted origin.
fn sign(
    headers: &mut HeaderMap,
    grant: &Grant,
    key: Option<&SecretString>,
    observer: Option<&dyn UpstreamObserver>,
) -> Result<(), Error> {
    if let Some(credential) = &grant.credential {
        headers.remove(&credential.header);
        if let Some(key) = key {
            let value = credential.value(key).ok_or(Error::ConfigurationError)?;
            headers.insert(credential.header.clone(), value);
        }
    }
    // Of the trace the guest knows nothing: a value of its own would tie strangers' traces together.
    headers.remove(TRACE_PARENT);
    headers.remove(TRACE_STATE);
    if let Some(parent) = observer.and_then(UpstreamObserver::traceparent) {
        headers.insert(TRACE_PARENT, parent);
    }
    Ok(())
}

fn shorter(ours: Duration, theirs: Option<Duration>) -> Duration {
    theirs.map_or(ours, |theirs| theirs.min(ours))
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// A courtesy, not a wall: an upstream that echoes the key in a header is masked; one that encodes it is not.
fn mask(headers: &mut HeaderMap, key: &SecretString) {
    let key = key.expose_secret().as_bytes();
    if key.is_empty() {
        return;
    }
    for value in headers.values_mut() {
        if value.as_bytes().windows(key.len()).any(|window| window == key) {
            *value = MASK;
        }
    }
}

/// What a failed exchange is to the guest and to the ledger.
fn refusal(error: &reqwest::Error, origin: String, ledger: &Ledger) -> Error {
    let (stop, code) = if caused_by::<Prohibited>(error) {
        (Stop::Private(origin), Error::DestinationIpProhibited)
    } else if error.is_timeout() {
        (Stop::Timeout("no connection in time"), Error::ConnectionTimeout)
    } else if caused_by::<http_body_util::LengthLimitError>(error) {
        (Stop::TooLarge("the request's body is too large"), Error::HttpRequestBodySize(None))
    } else if error.is_connect() {
        (Stop::Broken("no connection to the upstream"), Error::ConnectionRefused)
    } else {
        (Stop::Broken("the upstream broke the exchange off"), Error::ConnectionTerminated)
    };
    ledger.note(stop);
    code
}

fn caused_by<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_echoes_the_key_is_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer sk-1234 yes"));
        headers.insert("x-other", HeaderValue::from_static("sk-123"));
        mask(&mut headers, &SecretString::from("sk-1234"));
        assert_eq!(headers["x-echo"], "***");
        assert_eq!(headers["x-other"], "sk-123");
    }
}
