//! What is counted and measured while the server works. The table of all figures is in `docs/operations.md`.
//!
//! Recording one costs a look-up and an atomic addition, and never waits for a scrape. Labels are bounded: policies and
//! providers by what is installed and configured, routes by the router's table, everything else by the program.

use std::time::Duration;

use gavel_store::{Commit, CommitObserver};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds of what computes: from 10 µs to a second.
const COMPUTING: &[f64] =
    &[1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0];
/// Seconds of what waits for disks, networks and people: from half a millisecond to a minute.
const WAITING: &[f64] =
    &[5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Operations of one commit.
const OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A histogram of one of these sets of buckets.
#[derive(Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Histograms<L> = Family<L, Histogram, Buckets>;

fn histograms<L: Clone + std::hash::Hash + Eq>(buckets: &'static [f64]) -> Histograms<L> {
    Family::new_with_constructor(Buckets(buckets))
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TurnLabels {
    /// `transparent` or `enforcing`.
    pub mode: &'static str,
    /// As `stream_end` says it.
    pub finish_reason: &'static str,
}

/// A stage's combined decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// What was judged.
    pub stage: &'static str,
    /// `transparent` or `enforcing`.
    pub mode: &'static str,
    /// What the enforcing bindings decided together.
    pub decision: &'static str,
    /// Whether it changed or stopped something.
    pub enforced: bool,
}

/// One policy's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerdictLabels {
    /// The policy's name.
    pub policy: String,
    /// What was judged.
    pub stage: &'static str,
    /// Its decision; `error` where it gave none.
    pub decision: &'static str,
}

/// One policy that gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PolicyErrorLabels {
    /// The policy's name.
    pub policy: String,
    /// As the record says it.
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabel {
    pool: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabel {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderStatus {
    provider: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderCode {
    provider: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstallLabels {
    source: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The sandbox's pools of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolName {
    /// Of policies.
    Policies,
    /// Of providers.
    Providers,
}

impl PoolName {
    /// Its name in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policies => "policies",
            Self::Providers => "providers",
        }
    }
}

/// Everything that is counted and measured. Cheap to share; recording never blocks a turn.
pub struct Metrics {
    turns: Family<TurnLabels, Counter>,
    turn_seconds: Histograms<ModeLabel>,
    first_chunk_seconds: Histograms<ModeLabel>,
    refused: Family<CodeLabel, Counter>,
    results: Family<ResultLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    policy_errors: Family<PolicyErrorLabels, Counter>,
    evaluation_seconds: Histograms<PolicyLabel>,
    permits_refused: Family<PoolLabel, Counter>,
    plugin_installs: Family<InstallLabels, Counter>,
    upstream_requests: Family<ProviderStatus, Counter>,
    first_byte_seconds: Histograms<ProviderLabel>,
    provider_errors: Family<ProviderCode, Counter>,
    tokens: Family<TokenLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histograms<RouteLabels>,
    commits: Family<OutcomeLabel, Counter>,
    commit_seconds: Histogram,
    commit_operations: Histogram,
    sockets: Gauge,
    spans: SpanCounters,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            turns: Family::default(),
            turn_seconds: histograms(WAITING),
            first_chunk_seconds: histograms(WAITING),
            refused: Family::default(),
            results: Family::default(),
            verdicts: Family::default(),
            policy_errors: Family::default(),
            evaluation_seconds: histograms(COMPUTING),
            permits_refused: Family::default(),
            plugin_installs: Family::default(),
            upstream_requests: Family::default(),
            first_byte_seconds: histograms(WAITING),
            provider_errors: Family::default(),
            tokens: Family::default(),
            requests: Family::default(),
            request_seconds: histograms(WAITING),
            commits: Family::default(),
            commit_seconds: Histogram::new(COMPUTING.iter().copied()),
            commit_operations: Histogram::new(OPERATIONS.iter().copied()),
            sockets: Gauge::default(),
            spans: SpanCounters::default(),
        }
    }
}

impl Metrics {
    /// A registry that shows all of them under their names.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut all = Registry::default();
        all.register("gavel_turns", "Turns that have ended", self.turns.clone());
        all.register("gavel_turn_seconds", "A turn from its beginning to its end", self.turn_seconds.clone());
        all.register(
            "gavel_turn_first_chunk_seconds",
            "A turn from its beginning to the first text that is sent",
            self.first_chunk_seconds.clone(),
        );
        all.register("gavel_turns_refused", "Messages that were refused as their turn began", self.refused.clone());
        all.register("gavel_governance_results", "Stages judged, by their combined decision", self.results.clone());
        all.register("gavel_policy_verdicts", "Verdicts of single policies", self.verdicts.clone());
        all.register("gavel_policy_errors", "Policies that gave no verdict", self.policy_errors.clone());
        all.register(
            "gavel_policy_evaluation_seconds",
            "Time in a policy for one stage of one message",
            self.evaluation_seconds.clone(),
        );
        all.register(
            "gavel_sandbox_permits_refused",
            "Turns and uploads that found a pool of instances too full",
            self.permits_refused.clone(),
        );
        all.register(
            "gavel_plugin_installs",
            "Plugins that were to be installed, by outcome",
            self.plugin_installs.clone(),
        );
        self.register_edges(&mut all);
        all
    }

    fn register_edges(&self, all: &mut Registry) {
        all.register(
            "gavel_upstream_requests",
            "Requests sent to providers, by the class of the answer's status",
            self.upstream_requests.clone(),
        );
        all.register(
            "gavel_upstream_first_byte_seconds",
            "From a request to a provider to its response's header",
            self.first_byte_seconds.clone(),
        );
        all.register("gavel_provider_errors", "Turns whose provider failed", self.provider_errors.clone());
        all.register("gavel_provider_tokens", "Tokens, as providers count them", self.tokens.clone());
        all.register("gavel_http_requests", "Requests answered, by route and class of status", self.requests.clone());
        all.register(
            "gavel_http_request_seconds",
            "From a request's head to its answer's head",
            self.request_seconds.clone(),
        );
        all.register("gavel_sockets_open", "WebSockets that are open", self.sockets.clone());
        all.register("gavel_trace_spans", "Spans, by what became of them", self.spans.0.clone());
        all.register("gavel_store_commits", "Batches of the store's writer", self.commits.clone());
        all.register("gavel_store_commit_seconds", "One batch, until it is durable", self.commit_seconds.clone());
        all.register("gavel_store_commit_operations", "Operations of one batch", self.commit_operations.clone());
    }

    /// A turn has ended, so long after its beginning; and so long after it, where any was sent, its first text.
    pub fn turn_ended(&self, labels: &TurnLabels, took: Duration, first_chunk: Option<Duration>) {
        let mode = ModeLabel { mode: labels.mode };
        self.turns.get_or_create(labels).inc();
        self.turn_seconds.get_or_create(&mode).observe(took.as_secs_f64());
        if let Some(first) = first_chunk {
            self.first_chunk_seconds.get_or_create(&mode).observe(first.as_secs_f64());
        }
    }

    /// A message was refused as its turn began, with this code.
    pub fn turn_refused(&self, code: &'static str) {
        self.refused.get_or_create(&CodeLabel { code }).inc();
    }

    /// A pool had too few instances left.
    pub fn permit_refused(&self, pool: PoolName) {
        self.permits_refused.get_or_create(&PoolLabel { pool: pool.as_str() }).inc();
    }

    /// Somebody wanted a plugin installed; the outcome is `installed`, `unchanged` or the code of what was wrong.
    pub fn plugin_install(&self, source: &'static str, outcome: &'static str) {
        self.plugin_installs.get_or_create(&InstallLabels { source, outcome }).inc();
    }

    /// A stage was judged.
    pub fn judged(&self, labels: &ResultLabels) {
        self.results.get_or_create(labels).inc();
    }

    /// A policy was asked, and took so long; `error` where it gave no verdict.
    pub fn verdict(&self, labels: &VerdictLabels, error: Option<&'static str>, took: Duration) {
        self.verdicts.get_or_create(labels).inc();
        self.evaluation_seconds
            .get_or_create(&PolicyLabel { policy: labels.policy.clone() })
            .observe(took.as_secs_f64());
        if let Some(kind) = error {
            self.policy_errors.get_or_create(&PolicyErrorLabels { policy: labels.policy.clone(), kind }).inc();
        }
    }

    /// A provider's upstream answered a request with this status after so long, or, without one, not at all.
    pub fn upstream_answered(&self, provider: &str, status: Option<u16>, after: Duration) {
        let label = ProviderStatus { provider: provider.to_owned(), status: status.map_or("none", status_class) };
        self.upstream_requests.get_or_create(&label).inc();
        if status.is_some() {
            let label = ProviderLabel { provider: provider.to_owned() };
            self.first_byte_seconds.get_or_create(&label).observe(after.as_secs_f64());
        }
    }

    /// A turn's provider failed, with this code.
    pub fn provider_failed(&self, provider: &str, code: &'static str) {
        self.provider_errors.get_or_create(&ProviderCode { provider: provider.to_owned(), code }).inc();
    }

    /// What a provider says that a turn cost.
    pub fn tokens_used(&self, provider: &str, input: u64, output: u64) {
        for (direction, tokens) in [("input", input), ("output", output)] {
            let label = TokenLabels { provider: provider.to_owned(), direction };
            self.tokens.get_or_create(&label).inc_by(tokens);
        }
    }

    /// Counts spans on their way to the collector.
    #[must_use]
    pub(super) fn spans(&self) -> SpanCounters {
        self.spans.clone()
    }

    /// A WebSocket is open until this is dropped.
    #[must_use]
    pub fn socket_opened(&self) -> OpenSocket {
        self.sockets.inc();
        OpenSocket(self.sockets.clone())
    }

    /// A request was answered. `route` is the router's template; none for a path that does not exist.
    pub fn request_answered(&self, method: &http::Method, route: Option<&str>, status: u16, took: Duration) {
        let (method, route) = (method_label(method), route.unwrap_or("none").to_owned());
        let labels = RouteLabels { method, route: route.clone() };
        self.request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { method, route, status: status_class(status) }).inc();
    }
}

/// Counts what becomes of spans.
#[derive(Clone, Debug, Default)]
pub(super) struct SpanCounters(Family<OutcomeLabel, Counter>);

impl SpanCounters {
    pub(super) fn sent(&self, spans: usize) {
        self.count("sent", spans);
    }

    pub(super) fn dropped(&self, spans: usize) {
        self.count("dropped", spans);
    }

    fn count(&self, outcome: &'static str, spans: usize) {
        self.0.get_or_create(&OutcomeLabel { outcome }).inc_by(spans as u64);
    }
}

/// Counts one WebSocket as open.
pub struct OpenSocket(Gauge);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl CommitObserver for Metrics {
    fn committed(&self, commit: &Commit) {
        let outcome = if commit.written { "written" } else { "failed" };
        self.commits.get_or_create(&OutcomeLabel { outcome }).inc();
        self.commit_seconds.observe(commit.elapsed.as_secs_f64());
        self.commit_operations.observe(f64::from(u32::try_from(commit.operations).unwrap_or(u32::MAX)));
    }
}

/// Methods may be of any name, labels may not.
pub(crate) fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
