//! What a candidate policy would have decided on what was said before: `POST /v1/policies/{name}/backtest`.

use std::time::{Duration, Instant};

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use gavel_store::AgentId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::cursor;
use super::guard::TheCaller;
use super::problem::{Code, Problem};
use super::verdicts::{NDJSON, accepts_ndjson, moment};
use crate::agent::FieldError;
use crate::auth::Caller;
use crate::backtest::{Backtest, BacktestError, Bounds, Candidate, Judge, Question, Report, Tally};
use crate::schema;

/// Most results of an answer that is no stream, and how many it has where nothing is said.
const MAX_LIMIT: u64 = 100_000;
const DEFAULT_LIMIT: u64 = 10_000;
/// How long an answer that is no stream may take: less than any request's whole time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a stream says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What is to be judged again, and by what.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = BacktestQuestion, examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "since": "2026-01-01T00:00:00Z", "config": {"action": "block"},
})))]
pub(super) struct Wish {
    /// The agent whose history is judged; without it every agent's, for administrators.
    #[schema(value_type = Option<schema::AgentId>)]
    agent_id: Option<String>,
    /// The earliest time.
    #[schema(value_type = Option<schema::Time>)]
    since: Option<String>,
    /// The time before which it was.
    #[schema(value_type = Option<schema::Time>)]
    until: Option<String>,
    /// The candidate's configuration.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// The candidate, named as bindings name it; without it the path's, the newest of its name.
    #[schema(example = "pii@0.1.0")]
    policy: Option<String>,
    /// Most results that are looked at; 10,000 without it, and in a stream all.
    #[schema(minimum = 1, maximum = 100_000)]
    limit: Option<u64>,
    /// The answer before this one's `next_cursor`.
    cursor: Option<String>,
}

/// What the candidate would have changed.
#[derive(Serialize, ToSchema)]
#[schema(as = BacktestReport, examples(json!(example())))]
struct ReportView {
    /// The policy whose recorded verdicts were compared with.
    policy: String,
    candidate: Judge,
    #[serde(flatten)]
    tally: Tally,
    /// How long it took, in milliseconds.
    elapsed_ms: u64,
    /// Texts judged in a second.
    per_second: u64,
    /// Where it goes on; null when all was looked at.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn example() -> Value {
    let hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    json!({
        "policy": "pii", "candidate": {"policy": "pii", "version": "0.1.0", "digest": hash, "config": hash},
        "looked_at": 1200, "judged": 1180, "cut_off": 3, "skipped": {"no_opening": 12, "other_stage": 8},
        "compared_with": {"policy": 1180, "decision": 0},
        "newly_blocked": 4, "newly_redacted": 0, "newly_let_through": 0, "unchanged": 1176, "errors": {},
        "rules": {"card": {"newly_blocked": 4, "newly_redacted": 0, "newly_let_through": 0}},
        "examples": [{
            "change": "newly_blocked", "leaf_index": 69, "leaf_hash": hash, "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
            "stage": "input", "time": "2026-01-31T12:00:00.000Z", "recorded": "redact", "candidate": "block",
            "rules": ["card"], "text": "My card is 4111 1111 1111 1111",
        }],
        "elapsed_ms": 130, "per_second": 9076, "next_cursor": null,
    })
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let Report { policy, candidate, tally, elapsed_ms, per_second, below } = report;
        Self { policy, candidate, tally, elapsed_ms, per_second, next_cursor: below.map(cursor::at) }
    }
}

/// Tell what a policy would have decided on what was said before.
///
/// The stored history is judged again, newest first, by a policy, a version or a configuration that need not be bound to
/// anything, and compared with what was recorded. Nothing is changed or logged. With `Accept: application/x-ndjson` the
/// answer is a stream: a line `{"progress": …}` each second, and at the end `{"result": …}` or `{"error": …}`. Examples
/// carry texts for the agent's owner alone.
#[utoipa::path(
    post,
    path = "/v1/policies/{name}/backtest",
    tag = "Policies",
    operation_id = "backtest_policy",
    params(("name" = String, Path, description = "The policy's name.", example = "pii")),
    request_body = Option<Wish>,
    responses(
        (status = 200, description = "What would change.", content(
            (ReportView = "application/json"),
            (String = "application/x-ndjson", example = "{\"progress\": …}\n{\"result\": …}\n"),
        )),
        (status = 403, description = "Every agent's history is for administrators."),
        (status = 404, description = "There is no such policy or agent."),
        (status = 422, description = "The policy refuses the configuration."),
        (status = 429, description = "A backtest of the caller's is under way."),
    ),
)]
pub(super) async fn run(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<Response, Problem> {
    if !app.plugins.policy_exists(&name) {
        return Err(Problem::not_found());
    }
    let streams = accepts_ndjson(&headers);
    let question = question(&app, &caller, name, wish, streams)?;
    let mut backtest = app.backtests.begin(question).await?;
    if streams {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))];
        return Ok((content_type, Body::from_stream(lines(backtest))).into_response());
    }
    Ok(Answer(ReportView::from(backtest.report().await?)).into_response())
}

fn question(app: &App, caller: &Caller, name: String, wish: Wish, streams: bool) -> Result<Question, Problem> {
    let agent = match wish.agent_id {
        Some(id) => Some(agent(app, caller, &id)?),
        None if caller.is_admin() => None,
        None => {
            let detail = "every agent's history is for administrators: name an agent_id";
            return Err(Problem::new(Code::Forbidden, detail));
        }
    };
    let most = match wish.limit {
        Some(limit) if !(1..=MAX_LIMIT).contains(&limit) => {
            return Err(at("/limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        None if !streams => Some(DEFAULT_LIMIT),
        limit => limit,
    };
    let below = cursor::after::<u64>(wish.cursor.as_deref())?;
    let until = (!streams).then(|| Instant::now() + PATIENCE);
    let policy = name.split_once('@').map_or(name.as_str(), |(policy, _)| policy).to_owned();
    Ok(Question {
        policy,
        candidate: Candidate::Installed(wish.policy.unwrap_or(name)),
        config: Value::Object(wish.config),
        agent,
        since: moment("/since", wish.since.as_deref())?,
        until: moment("/until", wish.until.as_deref())?,
        bounds: Bounds { below, most, until },
        viewer: Some(caller.user().clone()),
    })
}

/// The agent of this id, if the caller may have its history judged. To others it does not exist.
fn agent(app: &App, caller: &Caller, id: &str) -> Result<AgentId, Problem> {
    let id: AgentId = id.parse().map_err(|_| at("/agent_id", "is no agent's id".to_owned()))?;
    let agent = app.agents.find(&id)?;
    if caller.is_admin() {
        return agent.map(|agent| agent.id).ok_or_else(Problem::not_found);
    }
    Ok(caller.reach(agent)?.id)
}

fn at(pointer: &str, detail: String) -> Problem {
    Problem::invalid(vec![FieldError { pointer: pointer.to_owned(), detail }])
}

/// A line each second, and the last one with what came of it. Whoever stops reading stops the backtest.
fn lines(backtest: Backtest) -> impl Stream<Item = Result<Bytes, serde_json::Error>> + Send + 'static {
    stream::try_unfold(Some(backtest), |backtest| async move {
        let Some(mut backtest) = backtest else { return Ok(None) };
        let outcome = tokio::time::timeout(PROGRESS_EVERY, backtest.report()).await;
        let (line, next) = match outcome {
            Err(_) => (line("progress", &backtest.progress())?, Some(backtest)),
            Ok(Ok(report)) => (line("result", &ReportView::from(report))?, None),
            Ok(Err(error)) => (line("error", &Problem::from(error).body())?, None),
        };
        Ok(Some((line, next)))
    })
}

fn line(what: &str, value: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(&json!({ what: serde_json::to_value(value)? }))?;
    line.push(b'\n');
    Ok(line.into())
}

/// Seconds after which a backtest may have ended.
const RETRY_SECONDS: u64 = 10;

impl From<BacktestError> for Problem {
    fn from(error: BacktestError) -> Self {
        use crate::plugins::PluginError;
        let config = |pointer: &str, detail| vec![FieldError { pointer: format!("/config{pointer}"), detail }];
        match error {
            BacktestError::OneAtATime => Self::new(Code::BacktestRunning, error.to_string()).retry_after(RETRY_SECONDS),
            BacktestError::Busy => Self::new(Code::Busy, error.to_string()).retry_after(RETRY_SECONDS),
            BacktestError::Plugin(PluginError::UnknownPolicy { .. }) => {
                at("/policy", "there is no such policy".to_owned())
            }
            BacktestError::Plugin(PluginError::Schema { faults, .. }) => {
                let faults = faults.into_iter().flat_map(|fault| config(&fault.pointer, fault.detail));
                Self::with_fields(Code::InvalidConfiguration, faults.collect())
            }
            BacktestError::Plugin(PluginError::Refused { detail, .. }) => {
                Self::with_fields(Code::InvalidConfiguration, config("", detail))
            }
            BacktestError::Stopped => Self::new(Code::ShuttingDown, "the server is going down"),
            BacktestError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
