//! Growing the tree, one tile of each level at a time.
//!
//! Level *l* of a tree of *n* leaves is a row of ⌊n / 256^l⌋ hashes, cut into tiles. What is left over at a row's
//! right end is incomplete: it is never stored above, but while a root or a proof is computed it stands as the last
//! element of the next row. So neither memory nor time grows with the log: an append reads and hashes at most one
//! partial tile for each level, beside the new leaves.

use crate::MAX_INTEGER;
use crate::hash::Hash;
use crate::rehash::row_root;
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileReader};

/// What an append made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Leaves in the tree now.
    pub size: u64,
    /// The tree's root now.
    pub root: Hash,
    /// The whole new content of each tile that changed, partial ones too, by level and index.
    pub tiles: Vec<(TileId, Vec<Hash>)>,
}

/// Why a tree could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E> {
    /// A tile could not be read.
    #[error("a tile could not be read: {0}")]
    Read(E),
    /// A tile holds fewer hashes than the tree's size asks for: the store has lost some.
    #[error("tile {} of level {} holds {got} hashes instead of {wanted}", id.index, id.level)]
    Short {
        /// The tile.
        id: TileId,
        /// Hashes that it must hold.
        wanted: u16,
        /// Hashes that it holds.
        got: usize,
    },
    /// The tree would have more than 2^53 − 1 leaves.
    #[error("a tree holds at most 2^53 - 1 leaves")]
    Size,
    /// The leaf or the older tree lies outside of the tree.
    #[error("{index} lies outside of a tree of {size} leaves")]
    Range {
        /// The leaf's index, or the older tree's size.
        index: u64,
        /// The tree's size.
        size: u64,
    },
}

/// Appends leaf hashes to a tree of `size` leaves whose tiles `reader` gives.
///
/// # Errors
/// When a tile cannot be read or is too short, or the tree would grow beyond 2^53 − 1 leaves.
pub fn append<R: TileReader>(reader: &R, size: u64, leaves: &[Hash]) -> Result<Appended, TreeError<R::Error>> {
    let added = u64::try_from(leaves.len()).map_err(|_| TreeError::Size)?;
    let new_size = size.checked_add(added).filter(|&size| size <= MAX_INTEGER).ok_or(TreeError::Size)?;

    let mut tiles = Vec::new();
    let mut rising = leaves.to_vec();
    let mut end = None;
    for level in 0.. {
        if row_length(new_size, level) == 0 {
            break;
        }
        let grown = grow_row(reader, size, level, rising, end)?;
        rising = grown.full_roots;
        end = grown.end;
        tiles.extend(grown.tiles);
    }
    Ok(Appended { size: new_size, root: end.unwrap_or_else(|| Hash::of(&[])), tiles })
}

/// The root of the tree of `size` leaves; for none SHA-256 of nothing, as RFC 6962 defines it.
///
/// # Errors
/// When a tile cannot be read or is too short, or `size` is beyond 2^53 − 1.
pub fn root<R: TileReader>(reader: &R, size: u64) -> Result<Hash, TreeError<R::Error>> {
    Ok(append(reader, size, &[])?.root)
}

/// One row after an append.
struct Grown {
    /// Tiles that changed.
    tiles: Vec<(TileId, Vec<Hash>)>,
    /// Roots of those that are full now: the next row's new hashes.
    full_roots: Vec<Hash>,
    /// Root over all leaves that the next row's hashes do not cover.
    end: Option<Hash>,
}

fn grow_row<R: TileReader>(
    reader: &R,
    old_size: u64,
    level: u8,
    added: Vec<Hash>,
    end_below: Option<Hash>,
) -> Result<Grown, TreeError<R::Error>> {
    let first = row_length(old_size, level) >> TILE_HEIGHT;
    let changed = !added.is_empty();
    let mut row = right_tile(reader, old_size, level)?;
    row.extend(added);

    let full = row.chunks_exact(usize::from(TILE_WIDTH));
    let mut unfinished = full.remainder().to_vec();
    let full_roots = full.filter_map(row_root).collect();
    let tiles = if changed { cut_tiles(&row, level, first) } else { Vec::new() };
    unfinished.extend(end_below);
    Ok(Grown { tiles, full_roots, end: row_root(&unfinished) })
}

fn cut_tiles(row: &[Hash], level: u8, first: u64) -> Vec<(TileId, Vec<Hash>)> {
    (first..)
        .zip(row.chunks(usize::from(TILE_WIDTH)))
        .map(|(index, hashes)| (TileId { level, index }, hashes.to_vec()))
        .collect()
}

/// Hashes that the row of `level` holds in a tree of `size` leaves.
pub(crate) fn row_length(size: u64, level: u8) -> u64 {
    size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0)
}

/// The partial tile at the right end of a row; empty where the row ends with a full one.
pub(crate) fn right_tile<R: TileReader>(reader: &R, size: u64, level: u8) -> Result<Vec<Hash>, TreeError<R::Error>> {
    let length = row_length(size, level);
    // The remainder is below 256.
    let width = u16::try_from(length % u64::from(TILE_WIDTH)).unwrap_or(0);
    read_tile(reader, TileId { level, index: length >> TILE_HEIGHT }, width)
}

/// Exactly the first `width` hashes of a tile; none are read when it is 0.
pub(crate) fn read_tile<R: TileReader>(reader: &R, id: TileId, width: u16) -> Result<Vec<Hash>, TreeError<R::Error>> {
    if width == 0 {
        return Ok(Vec::new());
    }
    let mut hashes = reader.read_tile(id, width).map_err(TreeError::Read)?;
    if hashes.len() < usize::from(width) {
        return Err(TreeError::Short { id, wanted: width, got: hashes.len() });
    }
    hashes.truncate(usize::from(width));
    Ok(hashes)
}
