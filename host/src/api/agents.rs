//! Agents: made, listed, shown, started, stopped.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use gavel_log::record::Mode;
use gavel_store::{Agent, AgentId, AgentState, CheckpointId, CheckpointKind, SessionCheckpoint, SessionId, Started};
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Json;
use super::cursor;
use super::guard::{TheAgent, TheCaller};
use super::params::Params;
use super::problem::Problem;
use crate::agent::{ChangedAgent, NewAgent};
use crate::clock::rfc3339_ms;
use crate::config::BindingSpec;

/// An agent as its owner sees it.
#[derive(Serialize)]
pub(super) struct AgentView {
    agent_id: AgentId,
    agent_name: String,
    model: String,
    model_provider: String,
    governance_mode: Mode,
    state: AgentState,
    session_id: Option<SessionId>,
    system_prompt: Option<String>,
    labels: BTreeMap<String, String>,
    policies: Vec<BindingSpec>,
    created_at: String,
    updated_at: String,
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> Self {
        Self {
            agent_id: agent.id,
            agent_name: agent.name,
            model: agent.model,
            model_provider: agent.provider,
            governance_mode: agent.mode,
            state: agent.state,
            session_id: agent.session,
            system_prompt: agent.system_prompt,
            labels: agent.labels,
            policies: agent.policies.iter().map(BindingSpec::from).collect(),
            created_at: rfc3339_ms(agent.created_at),
            updated_at: rfc3339_ms(agent.updated_at),
        }
    }
}

/// `POST /v1/agents`
pub(super) async fn create(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    Json(new): Json<NewAgent>,
) -> Result<impl IntoResponse, Problem> {
    let agent = app.agents.create(caller.user(), new).await?;
    let location: [(HeaderName, String); 1] = [(header::LOCATION, format!("/v1/agents/{}", agent.id))];
    Ok((StatusCode::CREATED, location, Answer(AgentView::from(agent))))
}

/// What a list of agents takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of agents.
#[derive(Serialize)]
pub(super) struct AgentList {
    agents: Vec<AgentView>,
    next_cursor: Option<String>,
}

/// `GET /v1/agents`
pub(super) async fn list(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    Params(params): Params<ListParams>,
) -> Result<Answer<AgentList>, Problem> {
    let limit = cursor::limit(params.limit)?;
    let after = cursor::after::<AgentId>(params.cursor.as_deref())?;
    let agents = app.agents.list(caller.user(), after.as_ref(), limit + 1)?;
    let (agents, next_cursor) = cursor::page(agents, limit, |agent| agent.id);
    Ok(Answer(AgentList { agents: agents.into_iter().map(AgentView::from).collect(), next_cursor }))
}

/// `GET /v1/agents/{id}`
pub(super) async fn show(TheAgent(agent): TheAgent) -> Answer<AgentView> {
    Answer(agent.into())
}

/// `PATCH /v1/agents/{id}`
pub(super) async fn change(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(changed): Json<ChangedAgent>,
) -> Result<Answer<AgentView>, Problem> {
    Ok(Answer(app.agents.change(&agent.id, changed).await?.into()))
}

/// What a start takes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StartBody {
    new_session: bool,
}

/// A running agent.
#[derive(Serialize)]
pub(super) struct StartedView {
    agent_id: AgentId,
    state: AgentState,
    session_id: SessionId,
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

/// `POST /v1/agents/{id}/start`
pub(super) async fn start(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(body): Json<StartBody>,
) -> Result<Answer<StartedView>, Problem> {
    Ok(Answer(app.agents.start(&agent, body.new_session).await?.into()))
}

/// What a stop takes: nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StopBody {}

/// A stopped agent.
#[derive(Serialize)]
pub(super) struct StoppedView {
    agent_id: AgentId,
    state: AgentState,
    checkpoint: CheckpointView,
}

/// A checkpoint of a session.
#[derive(Serialize)]
pub(super) struct CheckpointView {
    checkpoint_id: CheckpointId,
    agent_id: AgentId,
    session_id: SessionId,
    kind: CheckpointKind,
    messages: u64,
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

/// `POST /v1/agents/{id}/stop`
pub(super) async fn stop(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(StopBody {}): Json<StopBody>,
) -> Result<Answer<StoppedView>, Problem> {
    let checkpoint = app.agents.stop(&agent.id).await?.into();
    Ok(Answer(StoppedView { agent_id: agent.id, state: AgentState::Stopped, checkpoint }))
}
