//! Reading what was judged, for whoever judges it again.

use std::collections::HashMap;

use gavel_log::Hash;
use redb::ReadOnlyTable;

use super::MAX_PAGE;
use super::verdicts::{Found, Search};
use crate::error::StoreError;
use crate::id::SessionId;
use crate::leaf::{Leaf, LeafRow, Opening};
use crate::session::Session;
use crate::store::Store;
use crate::tables::{self, Row};
use crate::verdict::VerdictFilter;

/// Bytes of records and openings after which a page ends: one opening may be more.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// One step through what was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafPage {
    /// Leaves that may be wanted, newest first. Of times only what the index says was looked at: records tell more.
    pub rows: Vec<LeafRow>,
    /// The step after this one begins below this leaf; none when there is no more.
    pub below: Option<u64>,
}

impl Store {
    /// One step through the leaves that a filter may want, newest first, with their openings: at most `limit` and
    /// [`MAX_PAGE`] of those below leaf `below`, or of all. A step may find fewer, even none, before the end.
    ///
    /// # Errors
    /// As of every read.
    pub fn leaves(&self, filter: &VerdictFilter, below: Option<u64>, limit: usize) -> Result<LeafPage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        self.disk().read(|transaction| {
            let mut search = Search::open(transaction, filter)?;
            let mut openings = Openings {
                apart: transaction.open_table(tables::OPENINGS)?,
                sessions: transaction.open_table(tables::SESSIONS)?,
                cleared: HashMap::new(),
            };
            let mut page = LeafPage { rows: Vec::new(), below: Some(search.start(below)) };
            let mut room = PAGE_BYTES;
            while page.rows.len() < limit
                && room > 0
                && let Some(below) = page.below
            {
                match search.next_below(below)? {
                    Found::Leaf(index) => {
                        page.below = Some(index).filter(|index| *index > 0);
                        let row = search.leaf(index)?;
                        let leaf = Leaf::decode(row.value())?;
                        if filter.agent.is_none_or(|agent| agent == leaf.agent) {
                            let row = openings.row(index, &leaf)?;
                            room = room.saturating_sub(row.record.len() + row.opening.as_ref().map_or(0, Vec::len));
                            page.rows.push(row);
                        }
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

/// The openings of one transaction.
struct Openings {
    apart: ReadOnlyTable<u64, Row>,
    sessions: ReadOnlyTable<u128, Row>,
    /// Below which leaf each session's openings have been cleared. Neighbours are often of one session.
    cleared: HashMap<SessionId, u64>,
}

impl Openings {
    fn row(&mut self, index: u64, leaf: &Leaf<'_>) -> Result<LeafRow, StoreError> {
        let opening = match leaf.opening {
            Opening::None => None,
            _ if index < self.cleared_below(leaf.session)? => None,
            Opening::Inline(bytes) => Some(bytes.to_vec()),
            Opening::Apart => self.apart.get(index)?.map(|apart| apart.value().to_vec()),
        };
        Ok(LeafRow {
            index,
            agent: leaf.agent,
            session: leaf.session,
            entry: leaf.entry.to_vec(),
            record: leaf.record.to_owned(),
            nonce: leaf.nonce,
            opening,
        })
    }

    fn cleared_below(&mut self, session: SessionId) -> Result<u64, StoreError> {
        if let Some(below) = self.cleared.get(&session) {
            return Ok(*below);
        }
        let row: Option<Session> = tables::row(&self.sessions, session.key(), "sessions")?;
        let below = row.map_or(0, |session| session.cleared.leaves);
        self.cleared.insert(session, below);
        Ok(below)
    }
}

impl LeafRow {
    /// The leaf's hash.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::leaf(&self.entry)
    }
}
