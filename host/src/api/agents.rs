//! Agents: made, listed, shown, started, stopped.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use gavel_log::record::Mode;
use gavel_store::{Agent, AgentId, AgentState, CheckpointId, SessionId, Started};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::checkpoints::CheckpointView;
use super::cursor::{self, PageParams};
use super::guard::{TheAgent, TheCaller};
use super::idempotency::TheSeed;
use super::params::Params;
use super::problem::Problem;
use crate::agent::{AgentPolicy, ChangedAgent, NewAgent};
use crate::clock::rfc3339_ms;
use crate::config::Config;
use crate::schema;

/// An agent as its owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent, examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "agent_name": "Clerk", "model": "demo", "model_provider": "demo",
    "governance_mode": "enforcing", "state": "running", "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n",
    "system_prompt": null, "labels": {"team": "billing"},
    "policies": [
        {"policy": "pii", "config": {}, "enforcement": "enforce", "on_error": "block", "release": "stream"},
    ],
    "created_at": "2026-01-31T12:00:00.000Z", "updated_at": "2026-01-31T12:00:00.000Z",
})))]
pub(super) struct AgentView {
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    agent_name: String,
    model: String,
    model_provider: String,
    #[schema(value_type = schema::Mode)]
    governance_mode: Mode,
    #[schema(value_type = schema::AgentState)]
    state: AgentState,
    /// The current session; null before the first start.
    #[schema(required, value_type = Option<schema::SessionId>)]
    session_id: Option<SessionId>,
    #[schema(required)]
    system_prompt: Option<String>,
    labels: BTreeMap<String, String>,
    /// The operator's, and the agent's own.
    policies: Vec<AgentPolicy>,
    #[schema(value_type = schema::Time)]
    created_at: String,
    #[schema(value_type = schema::Time)]
    updated_at: String,
}

impl AgentView {
    fn of(agent: Agent, config: &Config) -> Self {
        Self {
            policies: AgentPolicy::of(&agent, &config.governance.mandatory_policies),
            agent_id: agent.id,
            agent_name: agent.name,
            model: agent.model,
            model_provider: agent.provider,
            governance_mode: agent.mode.max(config.governance.minimum_mode),
            state: agent.state,
            session_id: agent.session,
            system_prompt: agent.system_prompt,
            labels: agent.labels,
            created_at: rfc3339_ms(agent.created_at),
            updated_at: rfc3339_ms(agent.updated_at),
        }
    }
}

/// Make an agent.
///
/// Everything has a default. The new agent is stopped.
#[utoipa::path(
    post,
    path = "/v1/agents",
    tag = "Agents",
    operation_id = "create_agent",
    params(("Idempotency-Key" = Option<String>, Header, description = "Asked for again within a day under the same key, it is done once and answered alike.", min_length = 1, max_length = 255)),
    request_body = Option<NewAgent>,
    responses(
        (status = 201, description = "The agent.", body = AgentView,
            headers(("location" = String, description = "The agent's path."))),
        (status = 403, description = "The token is an API key, or the mode is laxer than the installation allows."),
        (status = 422, description = "A policy refuses its configuration, or the key was used for another request."),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    TheSeed(seed): TheSeed,
    Json(new): Json<NewAgent>,
) -> Result<impl IntoResponse, Problem> {
    let agent = app.agents.create(caller.user(), new, seed).await?;
    let location: [(HeaderName, String); 1] = [(header::LOCATION, format!("/v1/agents/{}", agent.id))];
    Ok((StatusCode::CREATED, location, Answer(AgentView::of(agent, &app.config))))
}

/// A page of agents.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "agents": [{
        "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "agent_name": "My Agent",
        "model": "@cf/meta/llama-3.1-8b-instruct", "model_provider": "workers-ai", "governance_mode": "transparent",
        "state": "stopped", "session_id": null, "system_prompt": null, "labels": {}, "policies": [],
        "created_at": "2026-01-31T12:00:00.000Z", "updated_at": "2026-01-31T12:00:00.000Z",
    }],
    "next_cursor": null,
})))]
pub(super) struct AgentList {
    agents: Vec<AgentView>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List the caller's agents.
#[utoipa::path(
    get,
    path = "/v1/agents",
    tag = "Agents",
    operation_id = "list_agents",
    params(PageParams),
    responses((status = 200, description = "A page of agents.", body = AgentList)),
)]
pub(super) async fn list(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    Params(params): Params<PageParams>,
) -> Result<Answer<AgentList>, Problem> {
    let limit = params.limit()?;
    let after = params.after::<AgentId>()?;
    let agents = app.agents.list(caller.user(), after.as_ref(), limit + 1)?;
    let (agents, next_cursor) = cursor::page(agents, limit, |agent| agent.id);
    Ok(Answer(AgentList {
        agents: agents.into_iter().map(|agent| AgentView::of(agent, &app.config)).collect(),
        next_cursor,
    }))
}

/// Show an agent.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}",
    tag = "Agents",
    operation_id = "show_agent",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "The agent.", body = AgentView)),
)]
pub(super) async fn show(State(app): State<App>, TheAgent(agent): TheAgent) -> Answer<AgentView> {
    Answer(AgentView::of(agent, &app.config))
}

/// Change an agent.
///
/// What is absent stays as it is.
#[utoipa::path(
    patch,
    path = "/v1/agents/{id}",
    tag = "Agents",
    operation_id = "change_agent",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = Option<ChangedAgent>,
    responses(
        (status = 200, description = "The agent as it is now.", body = AgentView),
        (status = 403, description = "The token is an API key, or the mode is laxer than the installation allows."),
    ),
)]
pub(super) async fn change(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(changed): Json<ChangedAgent>,
) -> Result<Answer<AgentView>, Problem> {
    let agent = app.agents.change(&agent.id, changed).await?;
    Ok(Answer(AgentView::of(agent, &app.config)))
}

/// Delete an agent.
///
/// New turns are refused at once, open ones get 10 s, its sockets close with 4404, and its keys are destroyed. Its entries stay
/// in the log, and say nothing without the keys.
#[utoipa::path(
    delete,
    path = "/v1/agents/{id}",
    tag = "Agents",
    operation_id = "delete_agent",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses(
        (status = 204, description = "The agent is gone with all it had."),
        (status = 503, description = "A turn of the agent does not end."),
    ),
)]
pub(super) async fn delete(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<StatusCode, Problem> {
    app.agents.delete(&agent.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a start takes.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Start, examples(json!({"new_session": true})))]
pub(super) struct StartBody {
    /// Open another session instead of going on with the last one.
    new_session: bool,
}

/// A running agent.
#[derive(Serialize, ToSchema)]
#[schema(as = Started, examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "state": "running",
    "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n", "resumed_from": "ckp_01k6zv3mfe5x8q2r7t9w4y6b0n",
})))]
pub(super) struct StartedView {
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = schema::AgentState)]
    state: AgentState,
    #[schema(value_type = schema::SessionId)]
    session_id: SessionId,
    /// The checkpoint that the session goes on from; null for a new session.
    #[schema(required, value_type = Option<schema::CheckpointId>)]
    resumed_from: Option<CheckpointId>,
}

impl From<Started> for StartedView {
    fn from(started: Started) -> Self {
        Self {
            agent_id: started.agent.id,
            state: started.agent.state,
            session_id: started.session_id,
            resumed_from: started.resumed_from,
        }
    }
}

/// Start an agent.
///
/// The first start opens a session, later ones resume it. A running agent answers the same again, unchanged.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/start",
    tag = "Agents",
    operation_id = "start_agent",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = Option<StartBody>,
    responses((status = 200, description = "The agent runs.", body = StartedView)),
)]
pub(super) async fn start(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(body): Json<StartBody>,
) -> Result<Answer<StartedView>, Problem> {
    Ok(Answer(app.agents.start(&agent, body.new_session).await?.into()))
}

/// What a stop takes: nothing.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Stop, examples(json!({})))]
pub(super) struct StopBody {}

/// A stopped agent.
#[derive(Serialize, ToSchema)]
#[schema(as = Stopped, examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "state": "stopped",
    "checkpoint": {
        "checkpoint_id": "ckp_01k6zv3mfe5x8q2r7t9w4y6b0n", "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
        "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n", "kind": "automatic", "messages": 4,
        "created_at": "2026-01-31T12:00:00.000Z",
    },
})))]
pub(super) struct StoppedView {
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = schema::AgentState)]
    state: AgentState,
    checkpoint: CheckpointView,
}

/// Stop an agent.
///
/// New turns are refused at once, open ones get 10 s, then a checkpoint is made. A stopped agent answers its last
/// checkpoint.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/stop",
    tag = "Agents",
    operation_id = "stop_agent",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = Option<StopBody>,
    responses(
        (status = 200, description = "The agent is stopped.", body = StoppedView),
        (status = 409, description = "The agent was never started."),
    ),
)]
pub(super) async fn stop(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(StopBody {}): Json<StopBody>,
) -> Result<Answer<StoppedView>, Problem> {
    let checkpoint = app.agents.stop(&agent.id).await?.into();
    Ok(Answer(StoppedView { agent_id: agent.id, state: AgentState::Stopped, checkpoint }))
}
