//! An agent's API keys.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use gavel_store::{ApiKey, KeyId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::guard::TheAgent;
use super::problem::Problem;
use crate::agent::FieldError;
use crate::auth::{NewKey, Scope, Token};
use crate::clock::{parse_rfc3339, rfc3339_ms};
use crate::schema;

/// What a new key takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, examples(json!({"name": "widget", "scopes": ["chat", "messages:read"]})))]
pub(super) struct NewKeyBody {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What the key may do, each once.
    #[schema(min_items = 1, max_items = 9)]
    scopes: Vec<Scope>,
    /// When it ends: a time to come. Without it the key ends when it is revoked.
    #[serde(default)]
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<String>,
}

/// A key as its agent's owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey, examples(json!({
    "key_id": "key_01k6zv3mfe5x8q2r7t9w4y6b0n", "name": "widget", "scopes": ["chat", "messages:read"],
    "prefix": "gvk_0123", "created_at": "2026-01-31T12:00:00.000Z", "expires_at": null, "last_used_at": null,
})))]
pub(super) struct KeyView {
    #[schema(value_type = schema::KeyId)]
    key_id: KeyId,
    name: String,
    #[schema(value_type = Vec<Scope>)]
    scopes: Vec<String>,
    /// What the token begins with.
    prefix: String,
    #[schema(value_type = schema::Time)]
    created_at: String,
    #[schema(required, value_type = Option<schema::Time>)]
    expires_at: Option<String>,
    #[schema(required, value_type = Option<schema::Time>)]
    last_used_at: Option<String>,
    /// The whole token, in the answer to its making alone.
    #[schema(value_type = String)]
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_key: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.id,
            name: key.name,
            scopes: key.scopes,
            prefix: key.prefix,
            created_at: rfc3339_ms(key.created_at),
            expires_at: key.expires_at.map(rfc3339_ms),
            last_used_at: key.last_used_at.map(rfc3339_ms),
            raw_key: None,
        }
    }
}

impl KeyView {
    fn with_token(self, token: &Token) -> Self {
        Self { raw_key: Some(token.expose().to_owned()), ..self }
    }
}

/// Give an agent an API key.
///
/// `raw_key`, the token, is shown this once.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/api-keys",
    tag = "API keys",
    operation_id = "create_api_key",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "The key, with its token.", body = KeyView),
        (status = 409, description = "The agent has as many keys as one may have."),
    ),
)]
pub(super) async fn give(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Json(body): Json<NewKeyBody>,
) -> Result<(StatusCode, Answer<KeyView>), Problem> {
    let expires_at = body.expires_at.as_deref().map(time).transpose()?;
    let new = NewKey { name: body.name, scopes: body.scopes, expires_at };
    let (key, token) = app.access.give_key(agent.id, new).await?;
    Ok((StatusCode::CREATED, Answer(KeyView::from(key).with_token(&token))))
}

fn time(text: &str) -> Result<i64, Problem> {
    parse_rfc3339(text).ok_or_else(|| {
        let detail = "must be a time of RFC 3339, such as 2030-01-31T12:00:00Z".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/expires_at".to_owned(), detail }])
    })
}

/// An agent's keys. There are few, so they are no pages.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyList, examples(json!({"api_keys": [{
    "key_id": "key_01k6zv3mfe5x8q2r7t9w4y6b0n", "name": "widget", "scopes": ["chat"], "prefix": "gvk_0123",
    "created_at": "2026-01-31T12:00:00.000Z", "expires_at": null, "last_used_at": "2026-01-31T12:05:00.000Z",
}]})))]
pub(super) struct KeyList {
    api_keys: Vec<KeyView>,
}

/// List an agent's API keys.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/api-keys",
    tag = "API keys",
    operation_id = "list_api_keys",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "The keys, without their tokens.", body = KeyList)),
)]
pub(super) async fn list(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<Answer<KeyList>, Problem> {
    let keys = app.access.keys(&agent.id)?;
    Ok(Answer(KeyList { api_keys: keys.into_iter().map(KeyView::from).collect() }))
}

/// Revoke an API key.
///
/// It is refused from then on, and the WebSockets that were opened with it are closed (4401).
#[utoipa::path(
    delete,
    path = "/v1/agents/{id}/api-keys/{key_id}",
    tag = "API keys",
    operation_id = "revoke_api_key",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("key_id" = schema::KeyId, Path, description = "The key's id."),
    ),
    responses((status = 204, description = "The key is gone.")),
)]
pub(super) async fn revoke(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key: KeyId = key.parse().map_err(|_| Problem::not_found())?;
    app.access.revoke_key(&agent.id, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
