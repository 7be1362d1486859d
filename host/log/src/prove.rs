//! Inclusion and consistency proofs from tiles: the joined paths through one tile of each level.

use crate::MAX_INTEGER;
use crate::hash::Hash;
use crate::rehash::{row_path, row_root};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileReader};
use crate::tree::{TreeError, read_tile, right_tile, row_length};

/// The path from leaf `index` to the root of the tree of `size` leaves (RFC 9162 §2.1.3.1).
///
/// # Errors
/// When the leaf is not in the tree, a tile cannot be read or is too short, or `size` is beyond 2^53 − 1.
pub fn inclusion_proof<R: TileReader>(reader: &R, index: u64, size: u64) -> Result<Vec<Hash>, TreeError<R::Error>> {
    if size > MAX_INTEGER {
        return Err(TreeError::Size);
    }
    if index >= size {
        return Err(TreeError::Range { index, size });
    }
    let mut path = Vec::new();
    let mut position = index;
    let mut end: Option<Hash> = None;
    for level in 0.. {
        let length = row_length(size, level);
        if length == 0 {
            break;
        }
        let mut right = right_tile(reader, size, level)?;
        right.extend(end);
        let tile = position >> TILE_HEIGHT;
        let row = if tile == length >> TILE_HEIGHT {
            &right
        } else {
            &read_tile(reader, TileId { level, index: tile }, TILE_WIDTH)?
        };
        path.extend(row_path(row, within_tile(position)));
        end = row_root(&right);
        position = tile;
    }
    Ok(path)
}

/// The proof that the tree of `to` leaves continues the one of `from` leaves (RFC 9162 §2.1.4.1).
///
/// It is empty from the empty tree and from a tree to itself, as C2SP's witness protocol has it.
///
/// # Errors
/// When `from` is beyond `to`, a tile cannot be read or is too short, or `to` is beyond 2^53 − 1.
pub fn consistency_proof<R: TileReader>(reader: &R, from: u64, to: u64) -> Result<Vec<Hash>, TreeError<R::Error>> {
    if to > MAX_INTEGER {
        return Err(TreeError::Size);
    }
    if from > to {
        return Err(TreeError::Range { index: from, size: to });
    }
    if from == 0 || from == to {
        return Ok(Vec::new());
    }
    // The old tree ends with a complete subtree of 2^height leaves. From there up, the last old leaf's path in the
    // new tree is the proof; the subtree's own root stands in front unless the verifier has it as the old root.
    let height = from.trailing_zeros();
    let inclusion = inclusion_proof(reader, from - 1, to)?;
    let above = inclusion.into_iter().skip(usize::try_from(height).unwrap_or(usize::MAX));
    if from.is_power_of_two() {
        return Ok(above.collect());
    }
    let subtree = complete_subtree(reader, height, (from >> height) - 1)?;
    Ok(subtree.into_iter().chain(above).collect())
}

/// The root of the `number`th subtree of 2^height leaves, all of them in the tree.
fn complete_subtree<R: TileReader>(reader: &R, height: u32, number: u64) -> Result<Option<Hash>, TreeError<R::Error>> {
    let level = u8::try_from(height / TILE_HEIGHT).map_err(|_| TreeError::Size)?;
    let span = 1_u64 << (height % TILE_HEIGHT);
    let first = number * span;
    let start = within_tile(first);
    let stop = start + usize::try_from(span).map_err(|_| TreeError::Size)?;
    let width = u16::try_from(stop).map_err(|_| TreeError::Size)?;
    let row = read_tile(reader, TileId { level, index: first >> TILE_HEIGHT }, width)?;
    Ok(row.get(start..stop).and_then(row_root))
}

/// A row position's place within its tile.
fn within_tile(position: u64) -> usize {
    // Below 256.
    usize::try_from(position % u64::from(TILE_WIDTH)).unwrap_or(0)
}
