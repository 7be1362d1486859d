//! The agent's own keys for providers: put, listed by their first characters, removed. No answer holds a key.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use gavel_store::VaultKey;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::body::Json;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::agent::{FieldError, NewVaultKey};
use crate::clock::rfc3339_ms;
use crate::schema;

/// A key as its owner sees it again.
#[derive(Serialize, ToSchema)]
#[schema(as = VaultKey, examples(json!({
    "provider": "openai", "key_prefix": "sk-0", "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
})))]
pub(super) struct VaultKeyView {
    provider: String,
    /// At most its first 8 characters, and at most a quarter of it.
    #[schema(max_length = 8)]
    key_prefix: String,
    #[schema(value_type = schema::Time)]
    created_at: String,
    #[schema(value_type = schema::Time)]
    updated_at: String,
}

impl From<VaultKey> for VaultKeyView {
    fn from(key: VaultKey) -> Self {
        Self {
            provider: key.provider,
            key_prefix: key.prefix,
            created_at: rfc3339_ms(key.created_at),
            updated_at: rfc3339_ms(key.updated_at),
        }
    }
}

/// Put a provider's key into an agent's vault.
///
/// The agent's turns use it ahead of the operator's own. A key for the same provider is replaced.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/vault",
    tag = "Vault",
    operation_id = "put_vault_key",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = NewVaultKey,
    responses(
        (status = 200, description = "The key took another's place.", body = VaultKeyView),
        (status = 201, description = "The key is there.", body = VaultKeyView),
    ),
)]
pub(super) async fn put(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(new): Json<NewVaultKey>,
) -> Result<(StatusCode, Answer<VaultKeyView>), Problem> {
    let put = app.agents.put_vault_key(&agent, new).await?;
    let status = if put.replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Answer(put.key.into())))
}

/// All keys of an agent.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"keys": [{
    "provider": "openai", "key_prefix": "sk-0", "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
}]})))]
pub(super) struct VaultKeyList {
    keys: Vec<VaultKeyView>,
}

/// List the keys of an agent's vault by their first characters.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/vault",
    tag = "Vault",
    operation_id = "list_vault_keys",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "The keys.", body = VaultKeyList)),
)]
pub(super) async fn list(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<Answer<VaultKeyList>, Problem> {
    let keys = app.agents.vault_keys(&agent)?;
    Ok(Answer(VaultKeyList { keys: keys.into_iter().map(VaultKeyView::from).collect() }))
}

/// Which key is to be removed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveParams {
    /// The provider whose key is removed.
    #[param(required, value_type = String, min_length = 1, example = "openai")]
    provider: Option<String>,
}

/// Remove a key from an agent's vault.
#[utoipa::path(
    delete,
    path = "/v1/agents/{id}/vault",
    tag = "Vault",
    operation_id = "remove_vault_key",
    params(("id" = schema::AgentId, Path, description = "The agent's id."), RemoveParams),
    responses(
        (status = 204, description = "The key is gone."),
        (status = 404, description = "There is no such key, or no such agent."),
    ),
)]
pub(super) async fn remove(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Params(params): Params<RemoveParams>,
) -> Result<StatusCode, Problem> {
    let provider = params.provider.filter(|provider| !provider.is_empty()).ok_or_else(|| {
        let detail = "name the provider whose key is to be removed".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/provider".to_owned(), detail }])
    })?;
    if app.agents.remove_vault_key(&agent, &provider).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
