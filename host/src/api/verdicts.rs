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

use super::App;
use super::cursor;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::agent::FieldError;
use crate::verdicts::VerdictsError;

/// The media type of one JSON object for each line.
const NDJSON: &str = "application/x-ndjson";

/// What a question takes: results of which all of it is true.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictParams {
    decision: Option<Decided>,
    stage: Option<Stage>,
    policy: Option<String>,
    rule: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// What may have been decided.
#[derive(Clone, Copy, Deserialize)]
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
#[derive(Serialize)]
struct VerdictList {
    verdicts: Vec<VerdictView>,
    next_cursor: Option<String>,
}

/// A governance result, without any text.
#[derive(Serialize)]
struct VerdictView {
    leaf_hash: String,
    leaf_index: u64,
    seq: u64,
    agent_id: AgentId,
    session_id: SessionId,
    message_id: Option<String>,
    stage: Stage,
    mode: Mode,
    decision: DecisionKind,
    would: DecisionKind,
    enforced: bool,
    outcome: Outcome,
    verdicts: Vec<PolicyVerdictView>,
    model: String,
    provider: String,
    time: String,
}

/// One policy's verdict, as its record has it.
#[derive(Serialize)]
struct PolicyVerdictView {
    policy: String,
    version: String,
    digest: String,
    enforcement: Enforcement,
    decision: DecisionKind,
    findings: Vec<FindingCount>,
    more: u64,
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

/// `GET /v1/agents/{id}/verdicts`
pub(super) async fn of_agent(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    headers: HeaderMap,
    Params(params): Params<VerdictParams>,
) -> Result<Response, Problem> {
    answer(&app, &headers, params, Some(agent.id)).await
}

/// `GET /v1/verdicts`
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
fn accepts_ndjson(headers: &HeaderMap) -> bool {
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
fn moment(pointer: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
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
