//! OpenTelemetry traces, when a collector is configured: spans of requests and turns, sent in batches over OTLP.
//!
//! A span holds what this program puts into it by name and nothing else: codes, counts, times, and the model's name. Log
//! events and other libraries' spans do not reach the collector.
//!
//! A W3C `traceparent` that a request brings is carried on to the provider whether or not anything is exported.

use std::borrow::Cow;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter as _};
use tracing::Instrument as _;
use url::Url;

use super::export::{Export, Queue};
use super::metrics::Metrics;

/// What the standard has for programs without a configuration of their own.
const ENDPOINT_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The path of traces below a collector's address (OTLP/HTTP).
const TRACES_PATH: &str = "v1/traces";
/// Longest time for one batch to be taken.
const EXPORT_DEADLINE: Duration = Duration::from_secs(10);

/// Set once, by the process's server: what makes spans. Without it there are none.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The collector's address or headers are at fault.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The address has no path below it.
    #[error("telemetry.otlp_endpoint: {0}")]
    Endpoint(#[from] url::ParseError),
    /// Another server of this process sends traces already.
    #[error("this process sends traces already")]
    Twice,
}

/// The sending of traces. Without a collector it does nothing.
pub struct Traces(Option<(SdkTracerProvider, Export)>);

impl Traces {
    /// Begins to send this share of all traces that a caller has not decided upon, if there is a collector: here, or named by the
    /// standard `OTEL_EXPORTER_OTLP_ENDPOINT`. `OTEL_EXPORTER_OTLP_HEADERS` is respected.
    ///
    /// # Errors
    /// When the collector's address or headers are none.
    pub fn start(endpoint: Option<&Url>, share: f64, metrics: &Metrics) -> Result<Self, TracesError> {
        let named = ENDPOINT_VARIABLES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if endpoint.is_none() && !named {
            return Ok(Self(None));
        }
        let mut builder = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_DEADLINE);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(traces_url(endpoint)?);
        }
        let mut exporter = builder.build()?;
        let resource = Resource::builder()
            .with_service_name("gavel")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        exporter.set_resource(&resource);
        let (queue, export) = Queue::start(exporter, metrics.spans());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
            .with_resource(resource)
            .build();
        TRACER.set(provider.tracer("gavel")).map_err(|_| TracesError::Twice)?;
        Ok(Self(Some((provider, export))))
    }

    /// Sends what is waiting, as far as the collector takes it in time.
    pub async fn flush(self) {
        if let Some((provider, export)) = self.0 {
            export.finish().await;
            drop(provider);
        }
    }
}

fn traces_url(endpoint: &Url) -> Result<String, url::ParseError> {
    let mut base = endpoint.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", endpoint.path()));
    }
    Ok(base.join(TRACES_PATH)?.into())
}

/// Whether any spans are made.
pub(crate) fn are_on() -> bool {
    TRACER.get().is_some()
}

/// A span that has begun below this context, and the context that it makes; none if nothing is traced.
pub(crate) fn begin(
    name: impl Into<Cow<'static, str>>,
    build: impl FnOnce(SpanBuilder) -> SpanBuilder,
    parent: &Context,
) -> Option<Context> {
    let tracer = TRACER.get()?;
    let span = tracer.build_with_context(build(SpanBuilder::from_name(name)), parent);
    Some(parent.with_span(span))
}

/// The context of a request: its own span's where requests are traced, else that of its caller.
pub(crate) fn of_request(method: &'static str, route: Option<&str>, headers: &HeaderMap) -> Context {
    let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let attributes = [
        Some(KeyValue::new("http.request.method", method)),
        route.map(|route| KeyValue::new("http.route", route.to_owned())),
    ];
    let describe = |span: SpanBuilder| {
        span.with_kind(SpanKind::Server).with_attributes(attributes.into_iter().flatten().collect::<Vec<_>>())
    };
    begin(name, describe, &caller).unwrap_or(caller)
}

/// Ends a request's span.
pub(crate) fn answered(request: &Context, status: u16) {
    let span = request.span();
    if !span.is_recording() {
        return;
    }
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if status >= 500 {
        span.set_attribute(KeyValue::new("error.type", status.to_string()));
        span.set_status(Status::error(""));
    }
    span.end();
}

/// The id of the trace that a context belongs to, for the log; empty where there is none.
pub(crate) fn trace_id(context: &Context) -> String {
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() { span.trace_id().to_string() } else { String::new() }
}

/// The W3C `traceparent` that requests of this context bring to others.
pub(crate) fn traceparent(context: &Context) -> Option<HeaderValue> {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    let flags = u8::from(span.is_sampled());
    HeaderValue::try_from(format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())).ok()
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The request that a piece of work belongs to, for its lines in the log and its place in the trace.
pub struct Origin {
    context: Context,
    span: tracing::Span,
}

impl Origin {
    /// That of the work that asks.
    #[must_use]
    pub fn here() -> Self {
        Self { context: Context::current(), span: tracing::Span::current() }
    }

    /// Makes a future, wherever it runs, a part of the same request.
    pub fn follow<F: Future>(self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.instrument(self.span).with_context(self.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_address_may_have_a_path() {
        let url = |endpoint: &str| traces_url(&endpoint.parse().unwrap()).unwrap();
        assert_eq!(url("http://localhost:4318"), "http://localhost:4318/v1/traces");
        assert_eq!(url("https://example.org/otlp"), "https://example.org/otlp/v1/traces");
        assert_eq!(url("https://example.org/otlp/"), "https://example.org/otlp/v1/traces");
    }

    #[test]
    fn a_callers_trace_is_carried_on_even_if_nothing_is_exported() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(parent));
        let context = of_request("GET", Some("/health"), &headers);
        assert_eq!(trace_id(&context), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(traceparent(&context).unwrap(), parent);
    }

    #[test]
    fn rubbish_is_no_trace() {
        for rubbish in ["", "00-0-0-00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-é"] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_bytes(rubbish.as_bytes()).unwrap());
            let context = of_request("GET", None, &headers);
            assert_eq!((trace_id(&context).as_str(), traceparent(&context)), ("", None), "{rubbish}");
        }
    }
}
