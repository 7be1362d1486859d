//! Growing the tree at its right edge.
//!
//! Level *l* of a tree of *n* leaves is a row of ⌊n / 256^l⌋ hashes, cut into tiles. A full tile never changes again:
//! it goes to the store and is forgotten here. What is left over at each row's right end is the tree's [`Edge`], at
//! most 255 hashes a row, and all that appending needs. Incomplete subtrees are never stored: while a proof is made,
//! each stands as the last element of the next row.

use std::mem;

use crate::MAX_INTEGER;
use crate::hash::Hash;
use crate::rehash::row_root;
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileReader};

/// The right edge of a tree of RFC 6962 (§2.1), in tiles of C2SP tlog-tiles: enough to append and to compute the root.
///
/// Appending costs one hash on average, and neither an append nor a root more than 52.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// Leaves in the tree, at most 2^53 − 1.
    size: u64,
    /// The partial tile of each level that the tree has, from 0: at most 255 hashes.
    rows: Vec<Vec<Hash>>,
    /// Roots of the perfect subtrees that the bits of `size` stand for, the largest first.
    peaks: Vec<Hash>,
}

/// The tree has 2^53 − 1 leaves, the most that it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree holds at most 2^53 - 1 leaves")]
pub struct TreeFull;

/// Each row gets room for the hashes that it can grow by: an edge is cloned to be appended to.
impl Clone for Edge {
    fn clone(&self) -> Self {
        let roomy = |row: &Vec<Hash>| {
            let mut copy = Vec::with_capacity(usize::from(TILE_WIDTH));
            copy.extend_from_slice(row);
            copy
        };
        Self { size: self.size, rows: self.rows.iter().map(roomy).collect(), peaks: self.peaks.clone() }
    }
}

impl Edge {
    /// The edge of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` leaves, from its full tiles, which `reader` has, and the hashes of the leaves
    /// behind the last full tile of level 0. It reads at most 255 tiles a level.
    ///
    /// # Errors
    /// When there are not `size` mod 256 such leaves, a tile cannot be read or is too short, or `size` is beyond
    /// 2^53 − 1.
    pub fn rebuild<R: TileReader>(reader: &R, size: u64, leaves: Vec<Hash>) -> Result<Self, TreeError<R::Error>> {
        if size > MAX_INTEGER {
            return Err(TreeError::Size);
        }
        let wanted = right_width(size, 0);
        if leaves.len() != usize::from(wanted) {
            return Err(TreeError::Leaves { wanted, got: leaves.len() });
        }
        if size == 0 {
            return Ok(Self::empty());
        }
        let mut rows = vec![leaves];
        for level in (0..).take_while(|level| row_length(size, level + 1) > 0) {
            rows.push(last_full_roots(reader, size, level)?);
        }
        let peaks = rows.iter().rev().flat_map(|row| row_peaks(row)).collect();
        Ok(Self { size, rows, peaks })
    }

    /// Leaves in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; without leaves SHA-256 of nothing, as RFC 6962 defines it.
    #[must_use]
    pub fn root(&self) -> Hash {
        let above = |right: Hash, left: Hash| Hash::node(&left, &right);
        self.peaks.iter().rev().copied().reduce(above).unwrap_or_else(|| Hash::of(&[]))
    }

    /// Appends one leaf hash, and gives the tiles that it filled, the lowest level first: usually none.
    ///
    /// # Errors
    /// When the tree is full; it is unchanged then.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<(TileId, Vec<Hash>)>, TreeFull> {
        if self.size >= MAX_INTEGER {
            return Err(TreeFull);
        }
        let mut filled = Vec::new();
        let mut subtree = leaf;
        for level in 0.. {
            let tile = self.extend_row(level, subtree);
            // As 1 is added to `size`, each carry makes a peak the left half of a larger one.
            let carries = row_length(self.size, level).trailing_ones().min(TILE_HEIGHT);
            for left in (0..carries).map_while(|_| self.peaks.pop()) {
                subtree = Hash::node(&left, &subtree);
            }
            // Eight carries have made of a full tile the root that the next row takes.
            let Some(tile) = tile else { break };
            filled.push(tile);
        }
        self.peaks.push(subtree);
        self.size += 1;
        Ok(filled)
    }

    /// The first `width` hashes of a partial tile, 1 to 255; none if the edge has no such tile or fewer hashes of it.
    #[must_use]
    pub fn tile(&self, id: TileId, width: u16) -> Option<&[Hash]> {
        let row = self.rows.get(usize::from(id.level))?;
        let last = row_length(self.size, id.level) >> TILE_HEIGHT;
        if id.index == last { row.get(..usize::from(width)) } else { None }
    }

    /// Appends a hash to the row of `level`, and takes its tile out if that is full now.
    fn extend_row(&mut self, level: u8, hash: Hash) -> Option<(TileId, Vec<Hash>)> {
        let index = row_length(self.size, level) >> TILE_HEIGHT;
        let place = usize::from(level);
        if self.rows.len() == place {
            self.rows.push(Vec::new());
        }
        let row = self.rows.get_mut(place)?;
        row.push(hash);
        (row.len() == usize::from(TILE_WIDTH)).then(|| (TileId { level, index }, mem::take(row)))
    }
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
    /// Not as many leaves behind the last full tile as the tree's size asks for.
    #[error("{got} leaves follow the last full tile instead of {wanted}")]
    Leaves {
        /// Leaves that must follow it.
        wanted: u16,
        /// Leaves that do.
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

/// What the row above `level` has in its partial tile: the roots of that many full tiles of `level`.
fn last_full_roots<R: TileReader>(reader: &R, size: u64, level: u8) -> Result<Vec<Hash>, TreeError<R::Error>> {
    let full = row_length(size, level + 1);
    let first = full - full % u64::from(TILE_WIDTH);
    (first..full)
        .filter_map(|index| {
            read_tile(reader, TileId { level, index }, TILE_WIDTH).map(|tile| row_root(&tile)).transpose()
        })
        .collect()
}

/// Roots of the perfect subtrees that fewer than 256 hashes of a row make, the largest first.
fn row_peaks(row: &[Hash]) -> Vec<Hash> {
    let mut rest = row;
    let next = |height: u32| {
        let (subtree, behind) = rest.split_at_checked(1_usize << height)?;
        rest = behind;
        row_root(subtree)
    };
    (0..TILE_HEIGHT).rev().filter_map(next).collect()
}

/// Hashes that the row of `level` holds in a tree of `size` leaves.
pub(crate) fn row_length(size: u64, level: u8) -> u64 {
    size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0)
}

/// Hashes in the partial tile at the right end of a row.
fn right_width(size: u64, level: u8) -> u16 {
    // Below 256.
    u16::try_from(row_length(size, level) % u64::from(TILE_WIDTH)).unwrap_or(0)
}

/// The partial tile at the right end of a row; empty where the row ends with a full one.
pub(crate) fn right_tile<R: TileReader>(reader: &R, size: u64, level: u8) -> Result<Vec<Hash>, TreeError<R::Error>> {
    let index = row_length(size, level) >> TILE_HEIGHT;
    read_tile(reader, TileId { level, index }, right_width(size, level))
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
