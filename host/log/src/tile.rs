//! Tiles: rows of 256 hashes, as C2SP tlog-tiles lays them out.

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;

/// Binary tree levels in one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 1 << TILE_HEIGHT;
/// The highest level that a path may name.
const MAX_LEVEL: u8 = 63;
/// No path of a tile that fits 64 bits is longer.
const MAX_PATH_BYTES: usize = 64;

/// A tile's place: hash *i* of tile *n* at level *l* covers the 256^l leaves from (256 n + i) 256^l on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// The level: 0 holds leaf hashes, each higher one the roots of full tiles below.
    pub level: u8,
    /// The tile's number in its level, from 0.
    pub index: u64,
}

/// Where tiles are kept.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// The tile's hashes, at least the first `width` of them (1 to 256). A tile only ever grows, so more do no harm.
    ///
    /// # Errors
    /// When the tile cannot be read.
    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, Self::Error>;
}

impl<R: TileReader + ?Sized> TileReader for &R {
    type Error = R::Error;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, Self::Error> {
        (**self).read_tile(id, width)
    }
}

/// What a tile's path names: `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, behind `tile/`.
///
/// A `width` of 256 is a full tile, which has no `.p` part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TilePath {
    /// Hashes of the tree.
    Hashes {
        /// 0 to 63.
        level: u8,
        /// The tile's number in its level.
        index: u64,
        /// 1 to 256.
        width: u16,
    },
    /// A bundle of entries.
    Entries {
        /// The bundle's number.
        index: u64,
        /// 1 to 256.
        width: u16,
    },
}

/// The path is not exactly of C2SP tlog-tiles' form; there is nothing at such a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tile's path")]
pub struct TilePathError;

impl TilePath {
    /// Reads a path such as `0/x001/234.p/5` or `entries/067`.
    ///
    /// # Errors
    /// On every path that [`Display`](fmt::Display) does not write.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        if path.len() > MAX_PATH_BYTES {
            return Err(TilePathError);
        }
        let (kind, rest) = path.split_once('/').ok_or(TilePathError)?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| TilePathError)?),
            None => (rest, TILE_WIDTH),
        };
        let index = parse_index(number)?;
        let parsed = if kind == "entries" {
            Self::Entries { index, width }
        } else {
            Self::Hashes { level: kind.parse().map_err(|_| TilePathError)?, index, width }
        };
        // Whatever leniency the number parsers have, the canonical spelling is the only one.
        if parsed.in_range() && parsed.to_string() == path { Ok(parsed) } else { Err(TilePathError) }
    }

    fn in_range(&self) -> bool {
        let (level, width) = match *self {
            Self::Hashes { level, width, .. } => (level, width),
            Self::Entries { width, .. } => (0, width),
        };
        level <= MAX_LEVEL && (1..=TILE_WIDTH).contains(&width)
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        Self::parse(path)
    }
}

fn parse_index(number: &str) -> Result<u64, TilePathError> {
    number.split('/').try_fold(0_u64, |index, element| {
        let digits = element.strip_prefix('x').unwrap_or(element);
        let group: u64 = digits.parse().map_err(|_| TilePathError)?;
        index.checked_mul(1000).and_then(|index| index.checked_add(group)).ok_or(TilePathError)
    })
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match *self {
            Self::Hashes { level, index, width } => {
                write!(f, "{level}/")?;
                (index, width)
            }
            Self::Entries { index, width } => {
                f.write_str("entries/")?;
                (index, width)
            }
        };
        write_index(f, index)?;
        if width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
    }
}

/// Zero-padded groups of three digits, each but the last behind an `x`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut divisor = 1;
    while index / divisor >= 1000 {
        divisor *= 1000;
    }
    while divisor > 1 {
        write!(f, "x{:03}/", index / divisor % 1000)?;
        divisor /= 1000;
    }
    write!(f, "{:03}", index % 1000)
}
