//! Governance results that can be asked for: an agent's own, and for auditors everyone's.

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gavel_log::judged::Stage;
use gavel_log::record::{DecisionKind, Enforcement, FindingCount, Mode, Outcome, PolicyError, VerdictRecord};
use gavel_store::{AgentId, SessionId, VerdictFilter, VerdictRow};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::cursor;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::agent::FieldError;
use crate::schema;
use crate::verdicts::VerdictsError;

/// The media type of one JSON object for each line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// What a question takes: results of which all of it is true.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictParams {
    /// What the enforcing bindings decided together.
    #[param(inline)]
    decision: Option<Decided>,
    /// What was judged.
    #[param(value_type = Option<schema::Stage>)]
    stage: Option<Stage>,
    /// A policy that was asked, by its name.
    #[param(example = "pii")]
    policy: Option<String>,
    /// A rule that found something.
    #[param(example = "card")]
    rule: Option<String>,
    /// The earliest time.
    #[param(value_type = Option<schema::Time>)]
    from: Option<String>,
    /// The time before which it was.
    #[param(value_type = Option<schema::Time>)]
    to: Option<String>,
    /// Most elements of the page; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The page before this one's `next_cursor`.
    cursor: Option<String>,
}

/// What may have been decided.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decided {
    Allow,
    Flag,
    Redact,
    Block,
}

impl From<Decided> for DecisionKind {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Allow => Self::Allow,
            Decided::Flag => Self::Flag,
            Decided::Redact => Self::Redact,
            Decided::Block => Self::Block,
        }
    }
}

/// A page of governance results, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordList, examples(json!({"verdicts": [verdict_example()], "next_cursor": null})))]
struct VerdictList {
    verdicts: Vec<VerdictView>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn verdict_example() -> serde_json::Value {
    let hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    serde_json::json!({
        "leaf_hash": hash, "leaf_index": 69, "seq": 3, "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
        "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n", "message_id": "msg_01k6zv3mfe5x8q2r7t9w4y6b0n",
        "stage": "input", "mode": "enforcing", "decision": "block", "would": "block", "enforced": true,
        "outcome": "blocked",
        "verdicts": [{
            "policy": "secrets", "version": "0.1.0", "digest": hash, "enforcement": "enforce", "decision": "block",
            "findings": [{"rule": "aws-access-key", "count": 1, "severity": "high"}], "more": 0, "error": null,
        }],
        "model": "demo", "provider": "demo", "time": "2026-01-31T12:00:00.000Z",
    })
}

/// A governance result, without any text.
#[derive(Serialize, ToSchema)]
#[schema(as = Record)]
struct VerdictView {
    #[schema(value_type = schema::LeafHash)]
    leaf_hash: String,
    leaf_index: u64,
    seq: u64,
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = schema::SessionId)]
    session_id: SessionId,
    #[schema(required, value_type = Option<schema::MessageId>)]
    message_id: Option<String>,
    #[schema(value_type = schema::Stage)]
    stage: Stage,
    #[schema(value_type = schema::Mode)]
    mode: Mode,
    #[schema(value_type = schema::Decision)]
    decision: DecisionKind,
    #[schema(value_type = schema::Decision)]
    would: DecisionKind,
    enforced: bool,
    #[schema(value_type = schema::Outcome)]
    outcome: Outcome,
    verdicts: Vec<PolicyVerdictView>,
    model: String,
    provider: String,
    #[schema(value_type = schema::Time)]
    time: String,
}

/// One policy's verdict, as its record has it.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordedVerdict)]
struct PolicyVerdictView {
    policy: String,
    version: String,
    digest: String,
    #[schema(value_type = schema::Enforcement)]
    enforcement: Enforcement,
    #[schema(value_type = schema::Decision)]
    decision: DecisionKind,
    #[schema(value_type = Vec<schema::FindingCount>)]
    findings: Vec<FindingCount>,
    more: u64,
    #[schema(required, value_type = Option<schema::PolicyError>)]
    error: Option<PolicyError>,
}

impl From<VerdictRow> for VerdictView {
    fn from(row: VerdictRow) -> Self {
        let VerdictRow { index, leaf_hash, seq, agent, session, record } = row;
        Self {
            leaf_hash: leaf_hash.tagged(),
            leaf_index: index,
            seq,
            agent_id: agent,
            session_id: session,
            message_id: record.message,
            stage: record.stage,
            mode: record.mode,
            decision: record.decision,
            would: record.would,
            enforced: record.enforced,
            outcome: record.outcome,
            verdicts: record.verdicts.into_iter().map(PolicyVerdictView::from).collect(),
            model: record.model,
            provider: record.provider,
            time: record.time,
        }
    }
}

impl From<VerdictRecord> for PolicyVerdictView {
    fn from(verdict: VerdictRecord) -> Self {
        Self {
            policy: verdict.policy,
            version: verdict.version,
            digest: verdict.component.tagged(),
            enforcement: verdict.enforcement,
            decision: verdict.decision,
            findings: verdict.findings,
            more: verdict.more,
            error: verdict.error,
        }
    }
}

/// List what was decided on an agent's messages, newest first.
///
/// Records, never texts. With `Accept: application/x-ndjson` they come as a stream, one a line.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/verdicts",
    tag = "Verdicts",
    operation_id = "list_agent_verdicts",
    params(("id" = schema::AgentId, Path, description = "The agent's id."), VerdictParams),
    responses((status = 200, description = "The results.", content(
        (VerdictList = "application/json"),
        (String = "application/x-ndjson", example = "{…}\n{…}\n"),
    ))),
)]
pub(super) async fn of_agent(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    headers: HeaderMap,
    Params(params): Params<VerdictParams>,
) -> Result<Response, Problem> {
    answer(&app, &headers, params, Some(agent.id)).await
}

/// List what was decided on every agent's messages, newest first.
///
/// Records, never texts. With `Accept: application/x-ndjson` they come as a stream, one a line.
#[utoipa::path(
    get,
    path = "/v1/verdicts",
    tag = "Verdicts",
    operation_id = "list_verdicts",
    params(VerdictParams),
    responses((status = 200, description = "The results.", content(
        (VerdictList = "application/json"),
        (String = "application/x-ndjson", example = "{…}\n{…}\n"),
    ))),
)]
pub(super) async fn of_all(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<VerdictParams>,
) -> Result<Response, Problem> {
    answer(&app, &headers, params, None).await
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    params: VerdictParams,
    agent: Option<AgentId>,
) -> Result<Response, Problem> {
    let limit = cursor::limit(params.limit)?;
    let below = cursor::after::<u64>(params.cursor.as_deref())?;
    let filter = VerdictFilter {
        agent,
        decision: params.decision.map(DecisionKind::from),
        stage: params.stage,
        policy: params.policy,
        rule: params.rule,
        from: moment("/from", params.from.as_deref())?,
        to: moment("/to", params.to.as_deref())?,
    };
    if accepts_ndjson(headers) {
        let chunks = app.verdicts.clone().stream(filter, below).await?;
        let lines =
            chunks.and_then(async |rows| lines(rows)).inspect_err(|error| tracing::warn!(%error, "a stream broke off"));
        return Ok(
            ([(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))], Body::from_stream(lines)).into_response()
        );
    }
    let rows = app.verdicts.page(filter, below, limit + 1).await?;
    let (rows, next_cursor) = cursor::page(rows, limit, |row| row.index);
    let verdicts = rows.into_iter().map(VerdictView::from).collect();
    Ok(Answer(VerdictList { verdicts, next_cursor }).into_response())
}

/// Whether the caller asks for a stream: it names the media type, as few would by mistake.
pub(super) fn accepts_ndjson(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepted.flat_map(|value| value.split(',')).map(|range| range.split(';').next().unwrap_or_default());
    types.any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}

/// One JSON object for each line.
fn lines(rows: Vec<VerdictRow>) -> Result<Bytes, VerdictsError> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, &VerdictView::from(row))?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// A time as RFC 3339 in milliseconds since the Unix epoch; between two of them, the later one, since records have whole
/// ones.
pub(super) fn moment(pointer: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    let nanos = parsed.map(OffsetDateTime::unix_timestamp_nanos);
    let millis = nanos.and_then(|nanos| i64::try_from(-(-nanos).div_euclid(1_000_000)).ok());
    millis.map(Some).ok_or_else(|| {
        let detail = "must be a time of RFC 3339, such as 2026-01-31T12:00:00Z".to_owned();
        Problem::invalid(vec![FieldError { pointer: pointer.to_owned(), detail }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_for_those_who_name_it() {
        let accepts = |value: &'static str| {
            accepts_ndjson(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("application/x-ndjson"));
        assert!(accepts("application/json;q=0.5, Application/X-NDJSON; q=1"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts_ndjson(&HeaderMap::new()));
    }

    #[test]
    fn a_time_between_two_milliseconds_is_the_later_one() {
        let ms = |text: &str| moment("/from", Some(text)).ok().flatten();
        assert_eq!(ms("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(ms("1970-01-01T01:00:00.0000001+01:00"), Some(1));
        assert_eq!(ms("1969-12-31T23:59:59.9995Z"), Some(0));
        for bad in ["", "yesterday", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T00:00:00"] {
            assert!(moment("/from", Some(bad)).is_err(), "{bad}");
        }
    }
}
