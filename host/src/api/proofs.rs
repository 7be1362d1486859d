//! The proof of one governance result, for those who may see the agent.

use axum::Json as Answer;
use axum::extract::{Path, State};
use gavel_log::{Entry, Field, Hash, Opening, Proof, ProofAnswer, Record, record_hash};
use gavel_store::{Agent, LeafRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::guard::{TheAgent, TheCaller};
use super::params::Params;
use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::schema;
use crate::turn::Opening as StoredOpening;

/// What a proof takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofParams {
    /// Fields to be shown in clear, separated by commas, to the agent's owner.
    #[param(
        pattern = "^(content|released|edits|subject)(,(content|released|edits|subject))*$",
        example = "content,released"
    )]
    opening: Option<String>,
}

/// A leaf hash as a path names it.
pub(super) fn leaf_hash(text: &str) -> Result<Hash, Problem> {
    Hash::parse_tagged(text)
        .map_err(|_| Problem::new(Code::InvalidRequest, "a leaf hash is sha256: and 64 lower-case hex digits"))
}

/// Prove one governance result.
///
/// The proof is made against the newest head and is checked offline: `gavel verify`.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/proofs/{leaf_hash}",
    tag = "Proofs",
    operation_id = "show_proof",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("leaf_hash" = schema::LeafHash, Path, description = "The leaf's hash."),
        ProofParams,
    ),
    responses(
        (status = 200, description = "The proof.", body = schema::ProofAnswer),
        (status = 403, description = "The hash is not this agent's, known or not, or the opening is not for this token."),
    ),
)]
pub(super) async fn show(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    TheCaller(caller): TheCaller,
    Path((_, hash)): Path<(String, String)>,
    Params(params): Params<ProofParams>,
) -> Result<Answer<ProofAnswer>, Problem> {
    let hash = leaf_hash(&hash)?;
    let leaf = app.store.leaf(&hash)?.filter(|leaf| leaf.agent == agent.id);
    let leaf = leaf.ok_or_else(|| Problem::new(Code::ProofForbidden, "the hash is not this agent's"))?;
    let opening = match params.opening.as_deref() {
        None => None,
        Some(_) if !caller.owns(&agent) => {
            return Err(Problem::new(Code::Forbidden, "openings are for the agent's owner"));
        }
        Some(fields) => Some(opened(&app, &agent, &leaf, fields)?),
    };
    Ok(Answer(ProofAnswer {
        agent_id: agent.id.to_string(),
        hash,
        proof: Some(proof(&app, &leaf)?),
        proof_error: None,
        verification_url: format!("/verify/proof/{}", hash.tagged()),
        verification_portal: app.config.log.portal.clone(),
        opening,
    }))
}

/// The leaf's proof against the log's newest head.
fn proof(app: &App, leaf: &LeafRow) -> Result<Proof, Problem> {
    let head = app.store.head();
    let path = app.store.inclusion_proof(leaf.index, head.size)?;
    let entry = Entry::parse(&leaf.entry).map_err(|error| Problem::internal(&error))?;
    Proof::new(&entry, &leaf.record, leaf.nonce, leaf.index, path, &head.checkpoint, false)
        .map_err(|error| Problem::internal(&error))
}

/// The fields named, in clear; none where the opening was not kept or has been erased.
fn opened(app: &App, agent: &Agent, leaf: &LeafRow, fields: &str) -> Result<Opening, Problem> {
    let can_open = |field: &Field| matches!(field, Field::Content | Field::Released | Field::Edits | Field::Subject);
    let named = fields.split(',').map(|name| name.parse::<Field>().ok().filter(can_open));
    let fields = named.collect::<Option<Vec<Field>>>().ok_or_else(|| {
        let detail = "must name some of content, released, edits, subject".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/opening".to_owned(), detail }])
    })?;
    // A session that is gone took its key with it.
    let (Some(sealed), Some(session)) = (&leaf.opening, app.store.session(&leaf.session)?) else {
        return Ok(Opening::default());
    };
    let key = app.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
    let record = Record::parse(&leaf.record).map_err(|error| Problem::internal(&error))?;
    let stored = StoredOpening::open(&key, &record_hash(&leaf.nonce, &leaf.record), sealed)?;
    let mut opening = Opening::default();
    for field in fields {
        if let Some(opened) = stored.field(field, &record)? {
            opening.0.insert(field, opened);
        }
    }
    Ok(opening)
}
