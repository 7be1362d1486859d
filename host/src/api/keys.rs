//! An agent's API keys.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use gavel_store::{ApiKey, KeyId};
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Json;
use super::guard::TheAgent;
use super::problem::Problem;
use crate::agent::FieldError;
use crate::auth::{NewKey, Scope, Token};
use crate::clock::{parse_rfc3339, rfc3339_ms};

/// What a new key takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyBody {
    name: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    expires_at: Option<String>,
}

/// A key as its agent's owner sees it.
#[derive(Serialize)]
pub(super) struct KeyView {
    key_id: KeyId,
    name: String,
    scopes: Vec<String>,
    prefix: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    /// The whole token, in the answer to its making alone.
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

/// `POST /v1/agents/{id}/api-keys`
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
#[derive(Serialize)]
pub(super) struct KeyList {
    api_keys: Vec<KeyView>,
}

/// `GET /v1/agents/{id}/api-keys`
pub(super) async fn list(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<Answer<KeyList>, Problem> {
    let keys = app.access.keys(&agent.id)?;
    Ok(Answer(KeyList { api_keys: keys.into_iter().map(KeyView::from).collect() }))
}

/// `DELETE /v1/agents/{id}/api-keys/{key_id}`
pub(super) async fn revoke(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key: KeyId = key.parse().map_err(|_| Problem::not_found())?;
    app.access.revoke_key(&agent.id, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
