//! Traces: what a collector of OpenTelemetry learns of a turn, and what a request's trace id is good for besides.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gavel_tests::{GavelServer, MOCK_KEY, Script, Setup, Upstream, gavel};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that takes spans over HTTP.
#[derive(Clone, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let take = async |State(collector): State<Self>, headers: HeaderMap, body: Bytes| {
            collector.taken.lock().unwrap().push((headers, body));
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let requests = taken.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let scopes = requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn shows(&self, needle: &str) -> bool {
        let taken = self.taken.lock().unwrap();
        taken.iter().any(|(_, body)| body.windows(needle.len()).any(|window| window == needle.as_bytes()))
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        Any::ArrayValue(values) => format!("{:?}", values.values),
        other => format!("{other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The one span of this name in the trace.
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name && hex(&span.trace_id) == TRACE).collect();
    assert_eq!(found.len(), 1, "{name} in {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

async fn traced(collector: &str) -> (GavelServer, Upstream) {
    let upstream = Upstream::start().await;
    let setup = Setup::with(&upstream)
        .toml(&format!("[telemetry]\notlp_endpoint = \"{collector}\"\n"))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue");
    (GavelServer::start(setup).await, upstream)
}

#[tokio::test]
async fn a_turn_is_traced_from_its_caller_to_its_provider() {
    let (collector, address) = Collector::start().await;
    let (mut server, upstream) = traced(&address).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"model": "m-1", "governance_mode": "enforcing"})).await;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let mut chat = alice.try_chat_in_trace(&agent, &traceparent).await.unwrap();
    upstream.will_say(["Only the walrus", " knows."]);
    chat.say("Who knows the combination?").await.ended("stop");
    server.ask_to_stop();
    assert!(server.ended().await.success(), "what was traced is sent before the end");

    let spans = collector.spans();
    let request = named(&spans, "GET /v1/agents/{id}/chat");
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("101"));
    let turn = named(&spans, "chat m-1");
    assert_eq!(turn.parent_span_id, request.span_id);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "mock"),
        ("gen_ai.request.model", "m-1"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "7"),
    ] {
        assert_eq!(attribute(turn, name).as_deref(), Some(value), "{name}");
    }
    assert!(attribute(turn, "gen_ai.response.finish_reasons").unwrap().contains("\"stop\""));
    for step in ["review input", "seal input", "provider", "review output", "seal output"] {
        let span = named(&spans, step);
        assert_eq!(span.parent_span_id, turn.span_id, "{step}");
        assert!(span.start_time_unix_nano >= turn.start_time_unix_nano, "{step}");
        assert!(span.end_time_unix_nano <= turn.end_time_unix_nano, "{step}");
    }
    let received = upstream.received();
    let sent = received[0].headers["traceparent"].to_str().unwrap();
    assert_eq!(sent, format!("00-{TRACE}-{}-01", hex(&named(&spans, "provider").span_id)));
    assert_eq!(collector.taken.lock().unwrap()[0].0["x-tenant"], "blue");
    for secret in ["walrus", "combination", MOCK_KEY, alice.token().unwrap(), "admin"] {
        assert!(!collector.shows(secret), "{secret} reached the collector");
    }
}

#[tokio::test]
async fn a_failed_turn_says_by_which_code() {
    let (collector, address) = Collector::start().await;
    let (mut server, upstream) = traced(&address).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"model": "m-1"})).await;
    upstream.will(Script::refuses(401));
    let mut chat = alice.try_chat_in_trace(&agent, &format!("00-{TRACE}-{CALLER}-01")).await.unwrap();
    chat.say("Hello").await.ended("error");
    server.ask_to_stop();
    server.ended().await;
    let spans = collector.spans();
    for name in ["chat m-1", "provider"] {
        let code = attribute(named(&spans, name), "error.type");
        assert_eq!(code.as_deref(), Some("provider_unauthorized"), "{name}");
    }
}

#[tokio::test]
async fn what_a_caller_does_not_want_sampled_is_not_sent() {
    let (collector, address) = Collector::start().await;
    let (mut server, upstream) = traced(&address).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    let traceparent = format!("00-{TRACE}-{CALLER}-00");
    alice.try_chat_in_trace(&agent, &traceparent).await.unwrap().say("Hello").await.ended("stop");
    server.ask_to_stop();
    server.ended().await;
    assert!(collector.spans().iter().all(|span| hex(&span.trace_id) != TRACE));
    let sent = upstream.received()[0].headers["traceparent"].to_str().unwrap().to_owned();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nobody_anything() {
    // A port that was free a moment ago.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (mut server, _upstream) = traced(&format!("http://{nowhere}")).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.chat(&agent).await;
    for _ in 0..20 {
        chat.say("Hello").await.ended("stop");
    }
    server.ask_to_stop();
    assert!(server.ended().await.success());
    let complaints = server.said().matches("traces cannot be sent").count();
    assert_eq!(complaints, 1, "once in a while: {}", server.said());
}

#[tokio::test]
async fn without_a_collector_a_trace_goes_through_and_stands_in_the_log() {
    let upstream = Upstream::start().await;
    let setup = Setup::with(&upstream).log_level("debug").env("GAVEL_LOG_FORMAT", "json");
    let server = GavelServer::start(setup).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    alice.try_chat_in_trace(&agent, &traceparent).await.unwrap().say("Hello").await.ended("stop");
    assert_eq!(upstream.received()[0].headers["traceparent"], traceparent);
    let (plain, untraced, _alice) = gavel().await;
    let other = plain.admin().starts(json!({})).await;
    plain.admin().chat(&other).await.say("Hello").await.ended("stop");
    assert!(!untraced.received()[0].headers.contains_key("traceparent"));

    let said = server.said();
    let lines: Vec<serde_json::Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let turn = lines.iter().find(|line| line["target"] == "gavel::turn::timing").expect("a line for the turn");
    assert_eq!(turn["fields"]["finish_reason"], "stop", "{turn}");
    assert_eq!((&turn["span"]["name"], &turn["span"]["trace_id"]), (&json!("request"), &json!(TRACE)), "{turn}");
    assert!(turn["span"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{turn}");
}

#[tokio::test]
async fn nothing_that_was_said_or_shown_stands_in_the_log_at_any_level() {
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream).log_level("trace")).await;
    let alice = server.admin();
    let agent = alice.starts(json!({"governance_mode": "enforcing", "system_prompt": "Be a zebra."})).await;
    let mut chat = alice.chat(&agent).await;
    upstream.will_say(["The walrus", " knows jane.doe@example.org."]);
    chat.say("Who knows the combination?").await.ended("stop");
    upstream.will(Script::refuses(400));
    chat.say("And the gardener?").await.ended("error");
    let answers = [alice.get("/v1/agents?cursor=flamingo").await, alice.get("/flamingo?flamingo=1").await];
    assert!(answers.iter().all(|answer| answer.status >= 400));
    let said = server.said();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "there is something to read");
    let token = alice.token().unwrap();
    for secret in ["walrus", "jane.doe", "combination", "gardener", "zebra", "cursor=", "flamingo=1", MOCK_KEY] {
        assert!(!said.contains(secret), "{secret} stands in the log");
    }
    // The first start shows the token, this once.
    assert_eq!(said.matches(token).count(), 1);
}
