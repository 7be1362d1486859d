//! The agent's own keys for providers: put, listed by their first characters, removed. No answer holds a key.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use gavel_store::VaultKey;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Json;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::agent::{FieldError, NewVaultKey};
use crate::clock::rfc3339_ms;

/// A key as its owner sees it again.
#[derive(Serialize)]
pub(super) struct VaultKeyView {
    provider: String,
    key_prefix: String,
    created_at: String,
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

/// `POST /v1/agents/{id}/vault`
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
#[derive(Serialize)]
pub(super) struct VaultKeyList {
    keys: Vec<VaultKeyView>,
}

/// `GET /v1/agents/{id}/vault`
pub(super) async fn list(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<Answer<VaultKeyList>, Problem> {
    let keys = app.agents.vault_keys(&agent)?;
    Ok(Answer(VaultKeyList { keys: keys.into_iter().map(VaultKeyView::from).collect() }))
}

/// Which key is to be removed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveParams {
    provider: Option<String>,
}

/// `DELETE /v1/agents/{id}/vault?provider=`
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
