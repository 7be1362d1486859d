//! What 256 neighbours have, leaves or narrower blocks: their times' range, and for each term who of them has it.

use std::collections::BTreeMap;

use crate::error::StoreError;

/// The version of the binary form of a [`Block`].
const BLOCK_VERSION: u8 = 1;
/// Bytes before the directory: version, earliest and latest time, and the number of terms.
const HEADER: usize = 1 + 8 + 8 + 4;
/// Bytes of a directory's entry: the term, and where its positions end.
const ENTRY: usize = 8 + 4;
/// Bytes of positions as a bitmap. Fewer than as many positions are listed, a byte each.
const BITMAP: usize = 32;

/// Some of 256 neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions([u64; 4]);

impl Positions {
    /// All of them.
    pub(crate) const ALL: Self = Self([u64::MAX; 4]);

    fn insert(&mut self, position: u8) {
        if let Some(word) = self.0.get_mut(usize::from(position / 64)) {
            *word |= 1 << (position % 64);
        }
    }

    fn and(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }

    fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |position| self.last_up_to(*position) == Some(*position))
    }

    /// The last of them that is not behind `position`.
    pub(crate) fn last_up_to(self, position: u8) -> Option<u8> {
        let (own, bit) = (usize::from(position / 64), position % 64);
        (0..4_u8).zip(self.0).take(own + 1).rev().find_map(|(index, word)| {
            let up_to = if usize::from(index) == own { u64::MAX >> (63 - bit) } else { u64::MAX };
            let last = (word & up_to).checked_ilog2()?;
            Some(index * 64 + u8::try_from(last).ok()?)
        })
    }

    fn encode(self, bytes: &mut Vec<u8>) {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        if usize::try_from(count).is_ok_and(|count| count < BITMAP) {
            bytes.extend(self.iter());
        } else {
            bytes.extend(self.0.iter().flat_map(|word| word.to_be_bytes()));
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut positions = Self::default();
        if bytes.len() == BITMAP {
            for (word, bytes) in positions.0.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_be_bytes(*bytes);
            }
        } else {
            bytes.iter().for_each(|position| positions.insert(*position));
        }
        positions
    }
}

/// A block that is being made.
#[derive(Debug, Default)]
pub(crate) struct BlockDraft {
    times: Option<(i64, i64)>,
    terms: BTreeMap<u64, Positions>,
}

impl BlockDraft {
    /// Adds what the neighbour at `position` has.
    pub(crate) fn add(&mut self, position: u8, times: (i64, i64), terms: impl IntoIterator<Item = u64>) {
        let (earliest, latest) = self.times.unwrap_or(times);
        self.times = Some((earliest.min(times.0), latest.max(times.1)));
        for term in terms {
            self.terms.entry(term).or_default().insert(position);
        }
    }

    /// The block's bytes: version, earliest and latest time in 8 big-endian bytes each, the number of terms in 4; the
    /// directory, sorted by term, with where each one's positions end; the positions.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let length =
            |length: usize| u32::try_from(length).map_err(|_| StoreError::Encode("a block is too large".into()));
        // Nothing in a block without times is ever wanted.
        let (earliest, latest) = self.times.unwrap_or((i64::MAX, i64::MIN));
        let mut bytes = Vec::with_capacity(HEADER + self.terms.len() * (ENTRY + BITMAP));
        bytes.push(BLOCK_VERSION);
        bytes.extend_from_slice(&earliest.to_be_bytes());
        bytes.extend_from_slice(&latest.to_be_bytes());
        bytes.extend_from_slice(&length(self.terms.len())?.to_be_bytes());
        let mut positions = Vec::with_capacity(self.terms.len() * BITMAP);
        for (term, having) in &self.terms {
            having.encode(&mut positions);
            bytes.extend_from_slice(&term.to_be_bytes());
            bytes.extend_from_slice(&length(positions.len())?.to_be_bytes());
        }
        bytes.append(&mut positions);
        Ok(bytes)
    }
}

/// A block as it is kept. Terms are looked up where they lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    earliest: i64,
    latest: i64,
    directory: &'a [[u8; ENTRY]],
    positions: &'a [u8],
}

impl<'a> Block<'a> {
    /// The block that `bytes` hold.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt("a block of verdicts is damaged".to_owned());
        let (&version, rest) = bytes.split_first().ok_or_else(damaged)?;
        if version != BLOCK_VERSION {
            return Err(StoreError::Corrupt(format!("a block of verdicts has the unknown version {version}")));
        }
        let (earliest, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (latest, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (count, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|_| damaged())?;
        let directory = count.checked_mul(ENTRY).and_then(|length| rest.split_at_checked(length));
        let (directory, positions) = directory.ok_or_else(damaged)?;
        Ok(Self {
            earliest: i64::from_be_bytes(*earliest),
            latest: i64::from_be_bytes(*latest),
            directory: directory.as_chunks().0,
            positions,
        })
    }

    /// The range of the times in it.
    pub(crate) fn times(&self) -> (i64, i64) {
        (self.earliest, self.latest)
    }

    /// The terms that any of the neighbours has.
    pub(crate) fn terms(&self) -> impl Iterator<Item = u64> {
        self.directory.iter().map(term_of)
    }

    /// Who of the neighbours has all of these terms.
    pub(crate) fn having(&self, terms: &[u64]) -> Result<Positions, StoreError> {
        let mut having = Positions::ALL;
        for term in terms {
            let Ok(place) = self.directory.binary_search_by_key(term, term_of) else {
                return Ok(Positions::default());
            };
            let start = place.checked_sub(1).map_or(0, |before| self.end(before));
            let positions = self.positions.get(start..self.end(place));
            let damaged = || StoreError::Corrupt("a block of verdicts points behind its end".to_owned());
            having = having.and(Positions::decode(positions.ok_or_else(damaged)?));
        }
        Ok(having)
    }

    /// Where the positions of a directory's entry end.
    fn end(&self, place: usize) -> usize {
        let end = self.directory.get(place).and_then(|entry| entry.last_chunk());
        end.and_then(|end| usize::try_from(u32::from_be_bytes(*end)).ok()).unwrap_or(usize::MAX)
    }
}

fn term_of(entry: &[u8; ENTRY]) -> u64 {
    entry.first_chunk().map_or(0, |term| u64::from_be_bytes(*term))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(positions: Positions) -> Vec<u8> {
        positions.iter().collect()
    }

    #[test]
    fn a_block_without_leaves_has_nothing_at_any_time() {
        let bytes = BlockDraft::default().encode().unwrap();
        let block = Block::decode(&bytes).unwrap();
        assert_eq!(block.times(), (i64::MAX, i64::MIN));
        assert_eq!(block.having(&[1]).unwrap(), Positions::default());
        assert_eq!(block.having(&[]).unwrap(), Positions::ALL);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let mut draft = BlockDraft::default();
        draft.add(3, (5, 5), [7, 8]);
        let mut bytes = draft.encode().unwrap();
        for length in 0..HEADER + 2 * ENTRY {
            assert!(Block::decode(&bytes[..length]).is_err(), "{length}");
        }
        let cut = bytes.len() - 1;
        assert!(Block::decode(&bytes[..cut]).unwrap().having(&[8]).is_err());
        bytes[0] = 9;
        assert!(Block::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn a_block_finds_exactly_those_that_have_all_terms(
            neighbours in prop::collection::vec((0_i64..1000, prop::collection::btree_set(0_u64..6, 0..4)), 0..=256),
            wanted in prop::collection::vec(0_u64..6, 0..3),
        ) {
            let mut draft = BlockDraft::default();
            for (position, (time, terms)) in (0..=u8::MAX).zip(&neighbours) {
                draft.add(position, (*time, *time), terms.iter().copied());
            }
            let bytes = draft.encode().unwrap();
            let block = Block::decode(&bytes).unwrap();
            let expected: Vec<u8> = (0..=u8::MAX)
                .zip(&neighbours)
                .filter(|(_, (_, terms))| wanted.iter().all(|term| terms.contains(term)))
                .map(|(position, _)| position)
                .collect();
            if !wanted.is_empty() {
                prop_assert_eq!(members(block.having(&wanted).unwrap()), expected);
            }
            let all: BTreeSet<u64> = neighbours.iter().flat_map(|(_, terms)| terms.iter().copied()).collect();
            prop_assert_eq!(block.terms().collect::<Vec<_>>(), all.into_iter().collect::<Vec<_>>());
            let times = || neighbours.iter().map(|(time, _)| *time);
            if let (Some(earliest), Some(latest)) = (times().min(), times().max()) {
                prop_assert_eq!(block.times(), (earliest, latest));
            }
        }

        #[test]
        fn the_last_position_up_to_another_is_the_greatest_that_is_not_behind_it(
            some in prop::collection::btree_set(any::<u8>(), 0..40), limit: u8,
        ) {
            let mut positions = Positions::default();
            some.iter().for_each(|position| positions.insert(*position));
            prop_assert_eq!(positions.last_up_to(limit), some.range(..=limit).next_back().copied());
        }
    }
}
