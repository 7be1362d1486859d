//! The public log, as C2SP tlog-tiles serves it.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gavel_log::{Hash, TileId, TilePath, encode_bundle};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::params::Params;
use super::problem::{Code, Problem};
use crate::schema;

/// The type of checkpoints and keys.
const TEXT: &str = "text/plain; charset=utf-8";
/// A tile of a given width never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A checkpoint may be replaced at any moment.
const NEWEST: &str = "no-cache";
/// Leaves under one full tile of the lowest level.
const TILE_LEAVES: u64 = 256;

/// Give the newest signed head.
///
/// A C2SP signed note.
#[utoipa::path(
    get,
    path = "/log/checkpoint",
    tag = "Log",
    operation_id = "log_checkpoint",
    responses(
        (status = 200, description = "The signed note.", body = String, content_type = "text/plain",
            example = "gavel.example.org/log\n70\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n\n— gavel.example.org/log …\n"),
        (status = 404, description = "Nothing was logged yet."),
    ),
)]
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let head = app.store.head();
    if head.checkpoint.is_empty() {
        return Err(Problem::not_found());
    }
    let headers = [(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, NEWEST)];
    Ok((headers, head.checkpoint.to_string()).into_response())
}

/// Give the log's verifier keys, one a line.
#[utoipa::path(
    get,
    path = "/log/key",
    tag = "Log",
    operation_id = "log_key",
    responses((status = 200, description = "The keys.", body = String, content_type = "text/plain",
        example = "gavel.example.org/log+8b1d2c3e+AQnFsWyGkMSdQqCNKm4vm0WJ0CfHTXhcFyc7gKJvPLGX\n")),
)]
pub(super) async fn key(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], format!("{}\n", app.log_key))
}

/// Give a tile, or a bundle of entries.
///
/// `/log/tile/<L>/<N>[.p/<W>]` and `/log/tile/entries/<N>[.p/<W>]` as C2SP tlog-tiles has them. The slashes within may
/// be escaped or not.
#[utoipa::path(
    get,
    path = "/log/tile/{tile}",
    tag = "Log",
    operation_id = "log_tile",
    params(("tile" = String, Path, description = "Level and index, or `entries` and an index, with the width if it is partial.",
        pattern = r"^([0-9]|[1-5][0-9]|6[0-3]|entries)/(x[0-9]{3}/){0,5}[0-9]{3}(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$",
        example = "0/000.p/2")),
    responses(
        (status = 200, description = "Hashes of 32 bytes each, or entries behind their lengths.", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 404, description = "Another spelling, or a tile that is not complete yet."),
    ),
)]
pub(super) async fn tile(State(app): State<App>, Path(path): Path<String>) -> Result<Response, Problem> {
    let path = TilePath::parse(&path).map_err(|_| Problem::not_found())?;
    let size = app.store.head().size;
    let bytes = match path {
        TilePath::Hashes { level, index, width } => hashes(&app, TileId { level, index }, width, size)?,
        TilePath::Entries { index, width } => entries(&app, index, width, size)?,
    };
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, FOR_EVER)];
    Ok((headers, bytes).into_response())
}

fn hashes(app: &App, id: TileId, width: u16, size: u64) -> Result<Vec<u8>, Problem> {
    // Hashes of a level that the tree has in full: size / 256^level.
    let complete = TILE_LEAVES.checked_pow(u32::from(id.level)).map_or(0, |leaves| size / leaves);
    covered(id.index, width, complete)?;
    let hashes = app.store.tile(id, width)?.ok_or_else(Problem::not_found)?;
    Ok(hashes.iter().take(usize::from(width)).flat_map(Hash::as_bytes).copied().collect())
}

fn entries(app: &App, index: u64, width: u16, size: u64) -> Result<Vec<u8>, Problem> {
    let from = covered(index, width, size)?;
    let entries = app.store.entries(from, from + u64::from(width))?;
    encode_bundle(entries.iter().map(Vec::as_slice)).map_err(|error| Problem::internal(&error))
}

/// The first place that a tile covers, if all of its places are among the `complete` ones.
fn covered(index: u64, width: u16, complete: u64) -> Result<u64, Problem> {
    let first = index.checked_mul(TILE_LEAVES).ok_or_else(Problem::not_found)?;
    match first.checked_add(u64::from(width)) {
        Some(end) if end <= complete => Ok(first),
        _ => Err(Problem::not_found()),
    }
}

/// What a consistency proof takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyParams {
    /// Leaves in the older tree.
    #[param(minimum = 1, example = 1)]
    from: u64,
    /// Leaves in the newer tree: at most the log's size.
    #[param(minimum = 1, example = 2)]
    to: u64,
}

/// A proof that one tree continues another.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "from": 1, "to": 2, "proof": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
})))]
pub(super) struct Consistency {
    from: u64,
    to: u64,
    #[schema(value_type = Vec<schema::HexHash>)]
    proof: Vec<Hash>,
}

/// Prove that one tree continues another.
#[utoipa::path(
    get,
    path = "/log/consistency",
    tag = "Log",
    operation_id = "log_consistency",
    params(ConsistencyParams),
    responses((status = 200, description = "The proof, as RFC 9162 has it.", body = Consistency)),
)]
pub(super) async fn consistency(
    State(app): State<App>,
    Params(ConsistencyParams { from, to }): Params<ConsistencyParams>,
) -> Result<Answer<Consistency>, Problem> {
    let size = app.store.head().size;
    if from == 0 || from > to || to > size {
        let detail = format!("from and to must be sizes of the log, in order, from 1 to {size}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let proof = app.store.consistency_proof(from, to)?;
    Ok(Answer(Consistency { from, to, proof }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tiles_within_the_log_are_covered() {
        assert_eq!(covered(0, 256, 256).unwrap(), 0);
        assert_eq!(covered(1, 5, 261).unwrap(), 256);
        for (index, width, complete) in [(0, 1, 0), (0, 256, 255), (1, 6, 261), (u64::MAX, 1, u64::MAX)] {
            assert!(covered(index, width, complete).is_err());
        }
    }
}
