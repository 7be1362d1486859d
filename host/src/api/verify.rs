//! What anyone may know of a leaf: its blind entry and its place in the log; never the record or the agent.

use axum::Json as Answer;
use axum::extract::{Path, State};
use gavel_log::Hash;
use serde::Serialize;

use super::App;
use super::problem::Problem;
use super::proofs::leaf_hash;

/// A leaf's place in the log.
#[derive(Serialize)]
pub(super) struct PublicProof {
    hash: String,
    proof: Place,
}

#[derive(Serialize)]
struct Place {
    leaf_index: u64,
    tree_size: u64,
    root_hash: Hash,
    inclusion_path: Vec<Hash>,
    entry: String,
    checkpoint: String,
    witnessed: bool,
}

/// `GET /verify/proof/{leaf_hash}`
pub(super) async fn proof(State(app): State<App>, Path(hash): Path<String>) -> Result<Answer<PublicProof>, Problem> {
    let hash = leaf_hash(&hash)?;
    let leaf = app.store.leaf(&hash)?.ok_or_else(Problem::not_found)?;
    let head = app.store.head();
    let proof = Place {
        leaf_index: leaf.index,
        tree_size: head.size,
        root_hash: head.root,
        inclusion_path: app.store.inclusion_proof(leaf.index, head.size)?,
        entry: String::from_utf8(leaf.entry).map_err(|error| Problem::internal(&error))?,
        checkpoint: head.checkpoint.to_string(),
        witnessed: false,
    };
    Ok(Answer(PublicProof { hash: hash.tagged(), proof }))
}
