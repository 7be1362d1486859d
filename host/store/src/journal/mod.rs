//! A write-ahead journal below redb: a flush costs one sequential write instead of one for each scattered page.
//!
//! redb flushes a commit's pages where they lie. On a virtual or metered disk each costs an I/O of its own, and they
//! are most of a commit's time. Here a flush writes what was written since the last one side by side into a journal, and
//! flushes that alone. The file itself gets its pages later, off the path, before the journal's space is used again: by
//! then most have been written several times, and only the last of each counts. redb sees an ordinary file: what it
//! flushed is there after a crash, what it had not may be.
//!
//! The journal has two halves. Records fill one while the file is given what the other one holds. Invariants:
//! - A half is written over only when the newest record says that none of its records is needed. So the records
//!   from that number on are always whole, and a replay of them, in order, gives the file of the last flush.
//! - Each half keeps room for a record without steps, which can say so where no other has.

mod overlay;
mod record;
mod replay;

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;

use redb::{BackendError, StorageBackend};

use crate::observe::Gauges;
use overlay::Overlay;
use record::{Draft, HEADER_BYTES};
use replay::End;

/// Bytes of each half. A commit's record has some 60 KiB with one client.
pub(crate) const HALF_BYTES: u64 = 8 << 20;
/// The journal grows by so many bytes at a time: what lies inside the file is flushed without touching its metadata.
const GROWTH_BYTES: u64 = 1 << 20;

/// A database file behind a journal.
pub(crate) struct Journaled<B> {
    file: Arc<B>,
    journal: B,
    half_bytes: u64,
    state: Mutex<State>,
    /// The next flush leaves the journal empty, and gives the file all that it held.
    empty: Emptying,
    /// Held by readers, so never while a flush waits for the disk. Taken behind `state` where both are.
    ahead: RwLock<Ahead>,
    gauges: Arc<Gauges>,
}

/// Asks a journal, from above the database, to be empty after its next flush. Clones ask the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Emptying(Arc<AtomicBool>);

impl Emptying {
    /// Asks.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn was_asked(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// What was written and is not in the file yet.
#[derive(Default)]
struct Ahead {
    /// Since the last turn to the other half.
    written: Overlay,
    /// Before it, while the file is being given it.
    leaving: Arc<Overlay>,
}

/// Where the journal stands.
struct State {
    /// What was written since the last flush.
    draft: Draft,
    /// More was written since the last flush than a half holds: the draft lacks some of it.
    overflown: bool,
    /// The number of the next record.
    number: u64,
    /// The file has all that records with lower numbers hold.
    needed: u64,
    /// What the newest record says of that.
    declared: u64,
    half: Half,
    /// Where the next record goes, from the half's beginning.
    at: u64,
    /// The number of the half's first record.
    first: u64,
    /// Bytes that the journal has.
    length: u64,
    /// The flush of the file of all records below a number.
    flush: Option<JoinHandle<io::Result<u64>>>,
    /// A flush has failed: what of it is on the disk is not known before the journal has been replayed.
    broken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Lower,
    Upper,
}

impl Half {
    fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }

    fn start(self, half_bytes: u64) -> u64 {
        match self {
            Self::Lower => 0,
            Self::Upper => half_bytes,
        }
    }
}

impl<B: StorageBackend> Journaled<B> {
    /// Replays the journal, so that the file is as it was last flushed. Nobody else may have either open.
    ///
    /// # Errors
    /// Those of the disk, and [`io::ErrorKind::InvalidData`] for a journal that has lost records that are needed.
    pub(crate) fn open(file: B, journal: B, half_bytes: u64, empty: Emptying) -> io::Result<Self> {
        let length = journal.len()?;
        let mut state = State {
            draft: Draft::new(),
            overflown: false,
            number: 1,
            needed: 1,
            declared: 1,
            half: Half::Lower,
            at: 0,
            first: 1,
            length,
            flush: None,
            broken: false,
        };
        if let Some(End { half, number, needed, first, at }) = replay::replay(&file, &journal, half_bytes, length)? {
            state = State { half, number: number + 1, needed: number + 1, declared: needed, first, at, ..state };
        }
        Ok(Self {
            file: Arc::new(file),
            journal,
            half_bytes,
            state: Mutex::new(state),
            empty,
            ahead: RwLock::default(),
            gauges: Arc::default(),
        })
    }

    /// Tells these gauges how full it is.
    pub(crate) fn measured(mut self, gauges: Arc<Gauges>) -> Self {
        self.gauges = gauges;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> RwLockWriteGuard<'_, Ahead> {
        self.ahead.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a step for the next flush.
    fn note(&self, state: &mut State, bytes: usize, add: impl FnOnce(&mut Draft) -> io::Result<()>) -> io::Result<()> {
        if state.overflown || state.draft.len() + bytes + STEP_BYTES > self.largest() {
            state.overflown = true;
            state.draft.clear();
            return Ok(());
        }
        add(&mut state.draft)
    }

    /// Bytes of the largest record.
    fn largest(&self) -> usize {
        usize::try_from(self.half_bytes).unwrap_or(usize::MAX) - HEADER_BYTES
    }

    /// Makes durable what was written since the last flush.
    fn flush(&self, state: &mut State) -> io::Result<()> {
        if self.empty.was_asked() {
            return self.start_over(state);
        }
        if state.overflown {
            // Too much for the journal: flushed where it belongs. The record without steps that follows says so.
            self.settle(state)?;
            state.overflown = false;
            state.needed = state.number;
        } else if state.draft.is_empty() {
            return Ok(());
        }
        self.append(state)
    }

    /// Makes durable what was written since the last flush, and leaves nothing in the journal of this or of earlier flushes.
    /// Until it is empty its records give the file of the flush before.
    fn start_over(&self, state: &mut State) -> io::Result<()> {
        self.settle(state)?;
        self.journal.set_len(0)?;
        self.journal.sync_data()?;
        state.draft.clear();
        state.overflown = false;
        (state.half, state.at, state.length) = (Half::Lower, 0, 0);
        (state.first, state.needed, state.declared) = (state.number, state.number, state.number);
        self.gauges.journal_at(state.at);
        Ok(())
    }

    /// Gives the file all that was written, and flushes it.
    fn settle(&self, state: &mut State) -> io::Result<()> {
        self.collect(state, true)?;
        // Readers find it in the overlay until it is in the file.
        let leaving = self.ahead().leave();
        leaving.write_to(&*self.file)?;
        self.ahead().leaving = Arc::default();
        self.file.sync_data()
    }

    /// Takes note of a flush of the file that has ended, or waits for it.
    fn collect(&self, state: &mut State, wait: bool) -> io::Result<()> {
        if let Some(flush) = state.flush.take_if(|flush| wait || flush.is_finished()) {
            let panicked = |_| io::Error::other("the flush of the database panicked");
            state.needed = flush.join().map_err(panicked)??;
            self.ahead().leaving = Arc::default();
        }
        Ok(())
    }

    /// Writes the draft as the next record, and flushes the journal.
    fn append(&self, state: &mut State) -> io::Result<()> {
        if state.at + (state.draft.len() + HEADER_BYTES) as u64 > self.half_bytes {
            self.turn(state)?;
        }
        self.collect(state, false)?;
        self.put(state)
    }

    fn put(&self, state: &mut State) -> io::Result<()> {
        let start = state.half.start(self.half_bytes) + state.at;
        let record = state.draft.finish(state.number, state.needed);
        let length = record.len() as u64;
        self.journal.write(start, record)?;
        let end = start + length;
        if end > state.length {
            let grown = end.next_multiple_of(GROWTH_BYTES).min(self.half_bytes * 2);
            let zeros = usize::try_from(grown - end).unwrap_or(0);
            self.journal.write(end, &vec![0; zeros])?;
            state.length = grown;
        }
        self.journal.sync_data()?;
        state.draft.clear();
        state.at += length;
        state.declared = state.needed;
        state.number += 1;
        self.gauges.journal_at(state.at);
        Ok(())
    }

    /// Goes on to the other half, and has the file flushed of what this one holds.
    fn turn(&self, state: &mut State) -> io::Result<()> {
        self.collect(state, true)?;
        if state.declared < state.first {
            let draft = std::mem::replace(&mut state.draft, Draft::new());
            let said = self.put(state);
            state.draft = draft;
            said?;
        }
        let (file, below) = (Arc::clone(&self.file), state.number);
        let leaving = self.ahead().leave();
        let flush = move || {
            leaving.write_to(&*file)?;
            file.sync_data()?;
            Ok(below)
        };
        state.flush = Some(std::thread::Builder::new().name("gavel-store-flush".into()).spawn(flush)?);
        state.half = state.half.other();
        state.first = state.number;
        state.at = 0;
        Ok(())
    }
}

/// Bytes of a step besides its data.
const STEP_BYTES: usize = 8 + 4;

impl Ahead {
    /// Hands out what was written, to be given to the file.
    fn leave(&mut self) -> Arc<Overlay> {
        self.leaving = Arc::new(std::mem::take(&mut self.written));
        Arc::clone(&self.leaving)
    }
}

impl<B: StorageBackend> StorageBackend for Journaled<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let ahead = self.ahead.read().unwrap_or_else(PoisonError::into_inner);
        self.file.read(offset, out)?;
        ahead.leaving.cover(offset, out);
        ahead.written.cover(offset, out);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if length < self.file.len()? {
            self.collect(&mut state, true)?;
            self.ahead().written.truncate(length);
        }
        self.file.set_len(length)?;
        self.note(&mut state, 0, |draft| {
            draft.resize(length);
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let mut ahead = self.ahead();
        let Ahead { written, leaving } = &mut *ahead;
        written.write(offset, data, |start, block| {
            let inside = usize::try_from(self.file.len()?.saturating_sub(start)).unwrap_or(usize::MAX);
            let length = inside.min(block.len());
            if let Some(inside) = block.get_mut(..length) {
                self.file.read(start, inside)?;
            }
            leaving.cover(start, block);
            Ok(())
        })?;
        drop(ahead);
        self.note(&mut state, data.len(), |draft| draft.write(offset, data))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.broken {
            return Err(io::Error::other("an earlier flush failed"));
        }
        let flushed = self.flush(&mut state);
        state.broken = flushed.is_err();
        flushed
    }

    /// Leaves a file that needs no journal, and an empty journal; unless a flush has failed, after which the journal
    /// alone is to be trusted.
    fn close(&self) -> io::Result<()> {
        let mut state = self.state();
        // Nobody writes to the file behind the back of its next owner.
        let left = self.collect(&mut state, true);
        if !state.broken {
            left?;
            self.settle(&mut state)?;
            self.journal.set_len(0)?;
            self.journal.sync_data()?;
        }
        self.file.close()?;
        self.journal.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

impl<B> Drop for Journaled<B> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(flush) = state.flush.take() {
            // What came of it is told by the journal to whoever opens the file next.
            let _ = flush.join();
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Journaled<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journaled").field("file", &self.file).finish_non_exhaustive()
    }
}
