//! The policies of an agent.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::guard::{TheAgent, TheCaller};
use super::problem::Problem;
use crate::agent::AgentPolicy;
use crate::object::all_objects;
use crate::schema;

/// The policies of an agent, the operator's first.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentPolicies, examples(json!({"policies": [
    {"policy": "secrets", "config": {}, "enforcement": "enforce", "on_error": "block", "release": "stream",
        "mandatory": true, "version": "0.1.0",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "error": null},
    {"policy": "pii@9.0.0", "config": {}, "enforcement": "observe", "on_error": "block", "release": "stream",
        "version": null, "digest": null, "error": "there is no policy pii@9.0.0"},
]})))]
pub(super) struct PolicyList {
    policies: Vec<AgentPolicy>,
}

/// What an agent is to have of its own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAgentPolicies, examples(json!({"policies": [{"policy": "pii", "config": {"action": "block"}}]})))]
pub(super) struct NewPolicies {
    /// In place of all that it has. Mandatory ones may be listed as they are shown, or left out.
    #[serde(deserialize_with = "all_objects")]
    #[schema(max_items = 16)]
    policies: Vec<AgentPolicy>,
}

/// Show an agent's policies.
///
/// Those that the operator binds to every agent come first, with `mandatory`. Each says what it is bound to now: its
/// `version` and `digest`, or both null and an `error`.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/policies",
    tag = "Policies",
    operation_id = "list_agent_policies",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "The agent's policies.", body = PolicyList)),
)]
pub(super) async fn list(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    TheAgent(agent): TheAgent,
) -> Answer<PolicyList> {
    Answer(PolicyList { policies: app.agents.policies(&agent, caller.owns(&agent)).await })
}

/// Replace an agent's own policies.
///
/// It holds from the next turn on: one under way keeps the set that it began with. What `version`, `digest` and `error`
/// say is not taken, so that a list can be read, edited and sent back.
#[utoipa::path(
    put,
    path = "/v1/agents/{id}/policies",
    tag = "Policies",
    operation_id = "replace_agent_policies",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = NewPolicies,
    responses(
        (status = 200, description = "The agent's policies as they are now.", body = PolicyList),
        (status = 403, description = "The token is an API key, or the list changes a mandatory policy."),
        (status = 422, description = "A policy refuses its configuration, or cannot judge a stage."),
    ),
)]
pub(super) async fn replace(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    TheAgent(agent): TheAgent,
    Json(new): Json<NewPolicies>,
) -> Result<Answer<PolicyList>, Problem> {
    let agent = app.agents.bind(&agent, new.policies).await?;
    Ok(Answer(PolicyList { policies: app.agents.policies(&agent, caller.owns(&agent)).await }))
}
