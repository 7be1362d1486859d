//! The public log, as C2SP tlog-tiles serves it.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gavel_log::{Hash, TileId, TilePath, encode_bundle};
use serde::{Deserialize, Serialize};

use super::App;
use super::params::Params;
use super::problem::{Code, Problem};

/// The type of checkpoints and keys.
const TEXT: &str = "text/plain; charset=utf-8";
/// A tile of a given width never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A checkpoint may be replaced at any moment.
const NEWEST: &str = "no-cache";
/// Leaves under one full tile of the lowest level.
const TILE_LEAVES: u64 = 256;

/// `GET /log/checkpoint`
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let head = app.store.head();
    if head.checkpoint.is_empty() {
        return Err(Problem::not_found());
    }
    let headers = [(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, NEWEST)];
    Ok((headers, head.checkpoint.to_string()).into_response())
}

/// `GET /log/key`
pub(super) async fn key(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], format!("{}\n", app.log_key))
}

/// `GET /log/tile/<L>/<N>` and `GET /log/tile/entries/<N>`
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyParams {
    from: u64,
    to: u64,
}

/// A proof that one tree continues another.
#[derive(Serialize)]
pub(super) struct Consistency {
    from: u64,
    to: u64,
    proof: Vec<Hash>,
}

/// `GET /log/consistency`
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
