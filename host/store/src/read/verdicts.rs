//! Searching the log for verdicts.

use gavel_log::Entry;
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable};

use super::MAX_PAGE;
use crate::error::StoreError;
use crate::leaf::Leaf;
use crate::store::Store;
use crate::tables::{self, NARROW, Row, WIDE};
use crate::verdict::{self, Block, Positions, VerdictFilter, VerdictPage, VerdictRow};

/// Most leaves and blocks that one step of a search reads: some 20 ms.
const MAX_EXAMINED: usize = 2048;

impl Store {
    /// One step of a search for verdicts, newest first: at most `limit` and [`MAX_PAGE`] of those below leaf `below`, or
    /// of all. A step may find fewer, even none, before the search has come to its end: go on below
    /// [`VerdictPage::below`].
    ///
    /// # Errors
    /// As of every read.
    pub fn verdicts(
        &self,
        filter: &VerdictFilter,
        below: Option<u64>,
        limit: usize,
    ) -> Result<VerdictPage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        self.disk().read(|transaction| {
            let mut search = Search::open(transaction, filter)?;
            let mut page = VerdictPage { rows: Vec::new(), below: Some(search.start(below)) };
            while page.rows.len() < limit
                && let Some(below) = page.below
            {
                match search.next_below(below)? {
                    Found::Leaf(index) => {
                        page.rows.extend(search.row(index)?);
                        page.below = Some(index).filter(|index| *index > 0);
                    }
                    Found::Nothing => page.below = None,
                    Found::Pause(below) => {
                        page.below = Some(below);
                        break;
                    }
                }
            }
            Ok(page)
        })
    }
}

/// Where a search has come to.
pub(super) enum Found {
    /// A leaf that may be wanted.
    Leaf(u64),
    /// There is no more.
    Nothing,
    /// There may be more below this leaf, but one step has read enough.
    Pause(u64),
}

/// One step of a search, in one read transaction.
pub(super) struct Search<'f> {
    filter: &'f VerdictFilter,
    terms: Vec<u64>,
    size: u64,
    leaves: ReadOnlyTable<u64, Row>,
    blocks: ReadOnlyTable<(u8, u64), Row>,
    /// The block of each level that was looked at last, and who in it may be wanted.
    known: [Option<(u64, Positions)>; 2],
    examined: usize,
}

impl<'f> Search<'f> {
    pub(super) fn open(transaction: &ReadTransaction, filter: &'f VerdictFilter) -> Result<Self, StoreError> {
        let leaves = transaction.open_table(tables::LEAVES)?;
        let size = leaves.last()?.map_or(0, |(index, _)| index.value() + 1);
        let blocks = transaction.open_table(tables::VERDICT_BLOCKS)?;
        Ok(Self { filter, terms: filter.terms(), size, leaves, blocks, known: [None; 2], examined: 0 })
    }

    /// Below which leaf it begins: what is asked for, or all.
    pub(super) fn start(&self, below: Option<u64>) -> u64 {
        below.unwrap_or(self.size).min(self.size)
    }

    /// The next leaf below this one that may be wanted. Blocks in which nothing is wanted are stepped over whole.
    pub(super) fn next_below(&mut self, mut below: u64) -> Result<Found, StoreError> {
        while let Some(last) = below.checked_sub(1) {
            if self.examined >= MAX_EXAMINED {
                return Ok(Found::Pause(below));
            }
            let (narrow, wide) = (last >> 8, last >> 16);
            below = match self.having(WIDE, wide)?.last_up_to(place(narrow)) {
                None => wide << 16,
                Some(earlier) if earlier != place(narrow) => (wide << 16) + (u64::from(earlier) + 1) * 256,
                Some(_) => match self.having(NARROW, narrow)?.last_up_to(place(last)) {
                    None => narrow << 8,
                    Some(leaf) => return Ok(Found::Leaf((narrow << 8) + u64::from(leaf))),
                },
            };
        }
        Ok(Found::Nothing)
    }

    /// Who in a block may be wanted: anyone, where it is not complete yet and so was not written.
    fn having(&mut self, level: u8, index: u64) -> Result<Positions, StoreError> {
        if self.terms.is_empty() && self.filter.from.is_none() && self.filter.to.is_none() {
            return Ok(Positions::ALL);
        }
        if let Some(Some((known, positions))) = self.known.get(usize::from(level))
            && *known == index
        {
            return Ok(*positions);
        }
        self.examined += 1;
        let having = match self.blocks.get((level, index))? {
            None => Positions::ALL,
            Some(bytes) => {
                let block = Block::decode(bytes.value())?;
                let (earliest, latest) = block.times();
                if self.filter.overlaps(earliest, latest) { block.having(&self.terms)? } else { Positions::default() }
            }
        };
        if let Some(known) = self.known.get_mut(usize::from(level)) {
            *known = Some((index, having));
        }
        Ok(having)
    }

    /// A leaf's row.
    pub(super) fn leaf(&mut self, index: u64) -> Result<AccessGuard<'static, Row>, StoreError> {
        self.examined += 1;
        self.leaves.get(index)?.ok_or_else(|| StoreError::Corrupt(format!("leaf {index} is missing")))
    }

    /// The verdict in a leaf, if it is wanted.
    fn row(&mut self, index: u64) -> Result<Option<VerdictRow>, StoreError> {
        let bytes = self.leaf(index)?;
        let Leaf { agent, session, entry, record, .. } = Leaf::decode(bytes.value())?;
        let Ok(record) = verdict::record(record) else { return Ok(None) };
        if !verdict::record_time(&record).is_some_and(|time| self.filter.admits(agent, &record, time)) {
            return Ok(None);
        }
        let damaged = |error| StoreError::Corrupt(format!("leaf {index} has no entry: {error}"));
        let entry = Entry::parse(entry).map_err(damaged)?;
        Ok(Some(VerdictRow { index, leaf_hash: entry.leaf_hash(), seq: entry.seq, agent, session, record }))
    }
}

/// A leaf's place in its block, or a block's in the wide one.
fn place(index: u64) -> u8 {
    let [.., place] = index.to_be_bytes();
    place
}
