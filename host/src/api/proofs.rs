//! The proof of one governance result, for those who may see the agent.

use axum::Json as Answer;
use axum::extract::{Path, State};
use gavel_log::opening::MAX_OPENED;
use gavel_log::{Entry, Field, Hash, Opening, Proof, ProofAnswer, Record, ReplayParts, record_hash};
use gavel_store::{Agent, LeafRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::guard::{TheAgent, TheCaller};
use super::params::Params;
use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::replay;
use crate::schema;
use crate::turn::Opening as StoredOpening;

/// What a proof takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofParams {
    /// Fields to be shown in clear, separated by commas, to the agent's owner. `history` and `attachments` open what the
    /// subject commits to; `replay` is all that `gavel verify --replay` needs: content, subject, history and verdicts, and
    /// the configurations besides.
    #[param(
        pattern = "^(content|released|edits|subject|history|attachments|verdicts|replay)(,(content|released|edits|subject|history|attachments|verdicts|replay))*$",
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
    let (opening, replay) = match params.opening.as_deref() {
        None => (None, None),
        Some(_) if !caller.owns(&agent) => {
            return Err(Problem::new(Code::Forbidden, "openings are for the agent's owner"));
        }
        Some(names) => {
            let (opening, replay) = opened(&app, &agent, &leaf, &groups(names)?)?;
            (Some(opening), replay)
        }
    };
    Ok(Answer(ProofAnswer {
        agent_id: agent.id.to_string(),
        hash,
        proof: Some(proof(&app, &leaf)?),
        proof_error: None,
        verification_url: format!("/verify/proof/{}", hash.tagged()),
        verification_portal: app.config.log.portal.clone(),
        opening,
        replay,
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

/// What may be asked for in clear.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Field(Field),
    /// The parts of the conversation so far.
    History,
    Attachments,
    Verdicts,
    /// All that computing the verdicts again needs.
    Replay,
}

fn groups(names: &str) -> Result<Vec<Group>, Problem> {
    let named = names.split(',').map(|name| match name {
        "history" => Some(Group::History),
        "attachments" => Some(Group::Attachments),
        "verdicts" => Some(Group::Verdicts),
        "replay" => Some(Group::Replay),
        "content" | "released" | "edits" | "subject" => name.parse().ok().map(Group::Field),
        _ => None,
    });
    named.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let detail =
            "must name some of content, released, edits, subject, history, attachments, verdicts, replay".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/opening".to_owned(), detail }])
    })
}

/// The fields of a group.
fn fields(group: Group, opening: &StoredOpening, record: &Record) -> Vec<Field> {
    let of_subject = |history: bool| {
        let fields = opening.subject_fields().into_iter();
        fields.filter(move |field| matches!(field, Field::History { .. }) == history)
    };
    let verdicts = || (0..).zip(&record.verdicts).map(|(index, _)| Field::Verdict(index));
    match group {
        Group::Field(field) => vec![field],
        Group::History => of_subject(true).collect(),
        Group::Attachments => of_subject(false).collect(),
        Group::Verdicts => verdicts().collect(),
        Group::Replay => {
            [Field::Content, Field::Subject].into_iter().chain(of_subject(true)).chain(verdicts()).collect()
        }
    }
}

/// The fields named, in clear, and what a replay needs besides where it was named; none where the opening was not kept or
/// has been erased.
fn opened(
    app: &App,
    agent: &Agent,
    leaf: &LeafRow,
    groups: &[Group],
) -> Result<(Opening, Option<ReplayParts>), Problem> {
    // A session that is gone took its key with it.
    let (Some(sealed), Some(session)) = (&leaf.opening, app.store.session(&leaf.session)?) else {
        return Ok((Opening::default(), None));
    };
    let key = app.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
    let record = Record::parse(&leaf.record).map_err(|error| Problem::internal(&error))?;
    let stored = StoredOpening::open(&key, &record_hash(&leaf.nonce, &leaf.record), sealed)?;
    let mut opening = Opening::default();
    for field in groups.iter().flat_map(|group| fields(*group, &stored, &record)) {
        if let Some(opened) = stored.field(field, &record)? {
            opening.0.insert(field, opened);
        }
    }
    if opening.0.len() > MAX_OPENED {
        let detail = format!("this conversation has more than the {MAX_OPENED} parts that one opening may open");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let replay = groups.contains(&Group::Replay).then(|| replay::parts(&app.store, &record, &stored)).transpose()?;
    Ok((opening, replay))
}
