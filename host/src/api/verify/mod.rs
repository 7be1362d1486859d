//! What anyone may know of a leaf: its blind entry and its place in the log; never the record or the agent. And the portal,
//! a page that verifies proofs in the browser.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use gavel_log::Hash;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::asset;
use super::problem::Problem;
use super::proofs::leaf_hash;
use crate::schema;

const PORTAL: &str = include_str!("portal.html");
/// What the portal loads: name, media type and content.
const FILES: [(&str, &str, &str); 3] = [
    ("portal.css", "text/css", include_str!("portal.css")),
    ("portal.js", "text/javascript", include_str!("portal.js")),
    ("verify.js", "text/javascript", include_str!("verify.js")),
];

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

/// Show the portal, which verifies proofs in the browser.
#[utoipa::path(
    get,
    path = "/verify/",
    tag = "Log",
    operation_id = "portal",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html",
        example = "<!DOCTYPE html>…")),
)]
pub(super) async fn portal() -> Response {
    asset::page(PORTAL)
}

/// Give a file that the portal loads.
///
/// `verify.js` is a module that verifies proofs in a browser or in Node, without a dependency.
#[utoipa::path(
    get,
    path = "/verify/{file}",
    tag = "Log",
    operation_id = "portal_file",
    params(("file" = String, Path, description = "The file's name.", example = "verify.js")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/css", example = "…"), (String = "text/javascript", example = "…"),
        )),
        (status = 404, description = "There is no such file."),
    ),
)]
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let (_, kind, content) = FILES.iter().find(|(known, ..)| *known == name).ok_or_else(Problem::not_found)?;
    Ok(asset::asset(kind, *content))
}

/// Give the blind part of a proof to anyone who has the hash.
///
/// Never the record, the nonce or the agent. A browser that asks for a page gets the portal, which fetches and verifies it.
#[utoipa::path(
    get,
    path = "/verify/proof/{leaf_hash}",
    tag = "Log",
    operation_id = "public_proof",
    params(("leaf_hash" = schema::LeafHash, Path, description = "The leaf's hash.")),
    responses(
        (status = 200, description = "The leaf and its place.", content(
            (PublicProof = "application/json"), (String = "text/html", example = "<!DOCTYPE html>…"),
        )),
        (status = 400, description = "The hash is malformed."),
        (status = 404, description = "There is no such leaf."),
    ),
)]
pub(super) async fn proof(
    State(app): State<App>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut answer =
        if wants_a_page(&headers) { asset::page(PORTAL) } else { Answer(public_proof(&app, &hash)?).into_response() };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(answer)
}

/// Browsers name HTML when they open a link; programs that read JSON do not.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.contains("text/html") && !accepted.contains("application/json")
}

fn public_proof(app: &App, hash: &str) -> Result<PublicProof, Problem> {
    let hash = leaf_hash(hash)?;
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
    Ok(PublicProof { hash: hash.tagged(), proof })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_file_that_the_page_names_is_there_and_nothing_is_from_elsewhere() {
        let named: Vec<_> = PORTAL.split('"').filter_map(|text| text.strip_prefix("/verify/")).collect();
        assert_eq!(named, ["portal.css", "portal.js"]);
        for name in named.into_iter().chain(["verify.js"]) {
            assert!(file(Path(name.to_owned())).await.is_ok(), "{name}");
        }
        assert!(file(Path("mod.rs".to_owned())).await.is_err());
        for content in [PORTAL].into_iter().chain(FILES.map(|(_, _, content)| content)) {
            assert!(!content.contains("://"));
        }
    }

    #[test]
    fn a_browser_gets_the_page_and_a_program_the_answer() {
        let asks = |accept: &'static str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert!(wants_a_page(&asks("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")));
        for accept in ["*/*", "application/json", "application/json, text/html"] {
            assert!(!wants_a_page(&asks(accept)), "{accept}");
        }
        assert!(!wants_a_page(&HeaderMap::new()));
    }
}
