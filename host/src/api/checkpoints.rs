//! Checkpoints of an agent's sessions: listed, made, shown, gone back to.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use gavel_store::{AgentId, CheckpointId, CheckpointKind, SessionCheckpoint, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::cursor::{self, PageParams};
use super::guard::TheAgent;
use super::idempotency::TheSeed;
use super::params::Params;
use super::problem::Problem;
use crate::clock::rfc3339_ms;
use crate::schema;

/// A checkpoint of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint, examples(json!({
    "checkpoint_id": "ckp_01k6zv3mfe5x8q2r7t9w4y6b0n", "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
    "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n", "kind": "manual", "messages": 4,
    "created_at": "2026-01-31T12:00:00.000Z",
})))]
pub(super) struct CheckpointView {
    #[schema(value_type = schema::CheckpointId)]
    checkpoint_id: CheckpointId,
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = schema::SessionId)]
    session_id: SessionId,
    #[schema(value_type = schema::CheckpointKind)]
    kind: CheckpointKind,
    /// Messages in the session when it was made.
    messages: u64,
    #[schema(value_type = schema::Time)]
    created_at: String,
}

impl From<SessionCheckpoint> for CheckpointView {
    fn from(checkpoint: SessionCheckpoint) -> Self {
        Self {
            checkpoint_id: checkpoint.id,
            agent_id: checkpoint.agent_id,
            session_id: checkpoint.session_id,
            kind: checkpoint.kind,
            messages: checkpoint.messages,
            created_at: rfc3339_ms(checkpoint.created_at),
        }
    }
}

/// A page of checkpoints, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "checkpoints": [{
        "checkpoint_id": "ckp_01k6zv3mfe5x8q2r7t9w4y6b0n", "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
        "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n", "kind": "automatic", "messages": 4,
        "created_at": "2026-01-31T12:00:00.000Z",
    }],
    "next_cursor": null,
})))]
pub(super) struct CheckpointList {
    checkpoints: Vec<CheckpointView>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List an agent's checkpoints, the newest last.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/checkpoints",
    tag = "Checkpoints",
    operation_id = "list_checkpoints",
    params(("id" = schema::AgentId, Path, description = "The agent's id."), PageParams),
    responses((status = 200, description = "A page of checkpoints.", body = CheckpointList)),
)]
pub(super) async fn list(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Params(params): Params<PageParams>,
) -> Result<Answer<CheckpointList>, Problem> {
    let limit = params.limit()?;
    let after = params.after::<CheckpointId>()?;
    let checkpoints = app.agents.checkpoints(&agent.id, after.as_ref(), limit + 1)?;
    let (checkpoints, next_cursor) = cursor::page(checkpoints, limit, |checkpoint| checkpoint.id);
    Ok(Answer(CheckpointList { checkpoints: checkpoints.into_iter().map(CheckpointView::from).collect(), next_cursor }))
}

/// What making a checkpoint and going back to one take: nothing.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Nothing, examples(json!({})))]
pub(super) struct NoBody {}

/// Make a checkpoint of an agent's session as it stands.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/checkpoints",
    tag = "Checkpoints",
    operation_id = "create_checkpoint",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Asked for again within a day under the same key, it is done once and answered alike.", min_length = 1, max_length = 255),
    ),
    request_body = Option<NoBody>,
    responses(
        (status = 201, description = "The checkpoint.", body = CheckpointView,
            headers(("location" = String, description = "The checkpoint's path."))),
        (status = 409, description = "The agent was never started."),
        (status = 422, description = "The key was used for another request."),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    TheSeed(seed): TheSeed,
    Json(NoBody {}): Json<NoBody>,
) -> Result<impl IntoResponse, Problem> {
    let checkpoint = app.agents.make_checkpoint(&agent.id, seed).await?;
    let location: [(HeaderName, String); 1] =
        [(header::LOCATION, format!("/v1/agents/{}/checkpoints/{}", agent.id, checkpoint.id))];
    Ok((StatusCode::CREATED, location, Answer(CheckpointView::from(checkpoint))))
}

/// Show a checkpoint.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/checkpoints/{checkpoint_id}",
    tag = "Checkpoints",
    operation_id = "show_checkpoint",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("checkpoint_id" = schema::CheckpointId, Path, description = "The checkpoint's id."),
    ),
    responses((status = 200, description = "The checkpoint.", body = CheckpointView)),
)]
pub(super) async fn show(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer<CheckpointView>, Problem> {
    let checkpoint = app.agents.checkpoint(&agent.id, &checkpoint_id(&id)?)?;
    checkpoint.map(|checkpoint| Answer(checkpoint.into())).ok_or_else(Problem::not_found)
}

/// Take a stopped agent back to a checkpoint.
///
/// The next start goes on from there. What was said later is history no more, but not lost: a later checkpoint has it. What was
/// deleted stays deleted.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/checkpoints/{checkpoint_id}/restore",
    tag = "Checkpoints",
    operation_id = "restore_checkpoint",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("checkpoint_id" = schema::CheckpointId, Path, description = "The checkpoint's id."),
    ),
    request_body = Option<NoBody>,
    responses(
        (status = 200, description = "The checkpoint that the agent goes on from.", body = CheckpointView),
        (status = 409, description = "The agent runs, or its session has been restored too often."),
        (status = 503, description = "A turn of the agent does not end."),
    ),
)]
pub(super) async fn restore(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, id)): Path<(String, String)>,
    Json(NoBody {}): Json<NoBody>,
) -> Result<Answer<CheckpointView>, Problem> {
    let checkpoint = app.agents.restore(&agent.id, &checkpoint_id(&id)?).await?;
    Ok(Answer(checkpoint.into()))
}

/// A checkpoint's id as a path names it.
fn checkpoint_id(text: &str) -> Result<CheckpointId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}
