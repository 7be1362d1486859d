//! What anyone may know of a leaf: its blind entry and its place in the log; never the record or the agent.

use axum::Json as Answer;
use axum::extract::{Path, State};
use gavel_log::Hash;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::Problem;
use super::proofs::leaf_hash;
use crate::schema;

/// A leaf's place in the log.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "hash": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "proof": {
        "leaf_index": 69, "tree_size": 70,
        "root_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "inclusion_path": ["60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"],
        "entry": "{…}", "checkpoint": "gavel.example.org/log\n70\n…", "witnessed": false,
    },
})))]
pub(super) struct PublicProof {
    #[schema(value_type = schema::LeafHash)]
    hash: String,
    proof: Place,
}

/// Where a leaf is in the log, and the blind entry that it is.
#[derive(Serialize, ToSchema)]
#[schema(as = LeafPlace)]
struct Place {
    leaf_index: u64,
    tree_size: u64,
    #[schema(value_type = schema::HexHash)]
    root_hash: Hash,
    /// From the leaf's sibling up.
    #[schema(value_type = Vec<schema::HexHash>)]
    inclusion_path: Vec<Hash>,
    /// The leaf's bytes: RFC 8785 text.
    entry: String,
    /// The signed note.
    checkpoint: String,
    /// Whether the checkpoint was cosigned as the server's witness policy asks.
    witnessed: bool,
}

/// Give the blind part of a proof to anyone who has the hash.
///
/// Never the record, the nonce or the agent.
#[utoipa::path(
    get,
    path = "/verify/proof/{leaf_hash}",
    tag = "Log",
    operation_id = "public_proof",
    params(("leaf_hash" = schema::LeafHash, Path, description = "The leaf's hash.")),
    responses(
        (status = 200, description = "The leaf and its place.", body = PublicProof),
        (status = 400, description = "The hash is malformed."),
        (status = 404, description = "There is no such leaf."),
    ),
)]
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
