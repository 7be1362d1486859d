//! What was written to a file and is not in it yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use redb::StorageBackend;

/// Bytes of a block; redb's pages are whole ones.
const BLOCK_BYTES: usize = 4096;

/// The newest content of the blocks that were written, by number. Writing a block again costs the file nothing.
#[derive(Debug, Default)]
pub(super) struct Overlay(HashMap<u64, Box<[u8]>>);

impl Overlay {
    /// Takes a write. `below` reads what the rest of a block has, where the write covers a part of it.
    pub(super) fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        below: impl Fn(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for Piece { number, within, range } in pieces(offset, data.len()) {
            let piece = data.get(range).unwrap_or_default();
            if piece.len() == BLOCK_BYTES {
                self.0.insert(number, piece.into());
                continue;
            }
            let block = match self.0.entry(number) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(vacant) => {
                    let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
                    below(number * BLOCK_BYTES as u64, &mut block)?;
                    vacant.insert(block)
                }
            };
            if let Some(place) = block.get_mut(within..within + piece.len()) {
                place.copy_from_slice(piece);
            }
        }
        Ok(())
    }

    /// Replaces what was read of the file from `offset` on by what was written since.
    pub(super) fn cover(&self, offset: u64, read: &mut [u8]) {
        if self.0.is_empty() {
            return;
        }
        for Piece { number, within, range } in pieces(offset, read.len()) {
            if let Some(block) = self.0.get(&number)
                && let Some(place) = read.get_mut(range)
                && let Some(piece) = block.get(within..within + place.len())
            {
                place.copy_from_slice(piece);
            }
        }
    }

    /// Forgets what lies beyond the file's new end.
    pub(super) fn truncate(&mut self, length: u64) {
        self.0.retain(|number, block| {
            let start = number * BLOCK_BYTES as u64;
            let inside = usize::try_from(length.saturating_sub(start)).unwrap_or(usize::MAX);
            if let Some(beyond) = block.get_mut(inside..) {
                beyond.fill(0);
            }
            inside > 0
        });
    }

    /// Writes everything to the file, in its order, but nothing beyond its end: that was cut off since.
    pub(super) fn write_to(&self, file: &impl StorageBackend) -> io::Result<()> {
        let length = file.len()?;
        let mut blocks: Vec<_> = self.0.iter().collect();
        blocks.sort_unstable_by_key(|(number, _)| **number);
        for (number, block) in blocks {
            let start = number * BLOCK_BYTES as u64;
            let inside = usize::try_from(length.saturating_sub(start)).unwrap_or(usize::MAX).min(BLOCK_BYTES);
            if let Some(inside) = block.get(..inside).filter(|inside| !inside.is_empty()) {
                file.write(start, inside)?;
            }
        }
        Ok(())
    }
}

/// The part of a range that lies in one block.
struct Piece {
    number: u64,
    /// Where it begins in the block.
    within: usize,
    /// Where it lies in the range.
    range: std::ops::Range<usize>,
}

fn pieces(offset: u64, length: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        // Below the size of a block.
        let within = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
        let end = length.min(done + BLOCK_BYTES - within);
        let piece = Piece { number: at / BLOCK_BYTES as u64, within, range: done..end };
        done = end;
        Some(piece)
    })
}
