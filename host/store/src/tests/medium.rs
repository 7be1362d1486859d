//! Two disks in memory, for the database and for its journal, that can be told to fail, and that remember their writes
//! so that a crash can be replayed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Builder, StorageBackend};

use super::signer;
use crate::journal::Journaled;
use crate::{Store, StoreError, StoreOptions};

/// Bytes of each half of the journal: some ten commits, so that tests see many laps of it.
const HALF_BYTES: u64 = 512 * 1024;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What was done to a disk.
#[derive(Clone, Debug)]
enum Step {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
    Sync,
}

/// What the two disks hold.
type Contents = [Vec<u8>; 2];

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    /// Each with its disk.
    steps: Vec<(usize, Step)>,
    remember: bool,
    /// Writes and flushes that still succeed.
    budget: Option<usize>,
}

impl State {
    fn take(&mut self, disk: usize, step: Step) -> io::Result<()> {
        match &mut self.budget {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut self.contents[disk], &step);
        if self.remember {
            self.steps.push((disk, step));
        }
        Ok(())
    }
}

fn apply(disk: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if disk.len() < end {
                disk.resize(end, 0);
            }
            disk[*offset..end].copy_from_slice(bytes);
        }
        Step::Resize(length) => disk.resize(*length, 0),
        Step::Sync => {}
    }
}

/// The two disks; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Medium(Arc<Mutex<State>>);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    medium: Medium,
    number: usize,
}

impl Medium {
    fn holding(contents: Contents) -> Self {
        Self(Arc::new(Mutex::new(State { contents, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens the store on these disks.
    pub(super) fn open(&self) -> Result<Store, StoreError> {
        let [file, journal] = self.disks();
        let opener = move |empty| {
            let backend = Journaled::open(file.clone(), journal.clone(), HALF_BYTES, empty)?;
            Builder::new().set_cache_size(1024 * 1024).create_with_backend(backend)
        };
        Store::open_with(Box::new(opener), signer(), StoreOptions::default())
    }

    /// The database's disk and the journal's.
    pub(super) fn disks(&self) -> [Disk; 2] {
        [0, 1].map(|number| Disk { medium: self.clone(), number })
    }

    /// What they hold.
    pub(super) fn contents(&self) -> Contents {
        self.state().contents.clone()
    }

    /// Flips a bit of a disk.
    pub(super) fn damage(&self, disk: usize, offset: usize) {
        self.state().contents[disk][offset] ^= 1;
    }

    /// Lets so many writes and flushes succeed, and none after them.
    pub(super) fn fail_after(&self, budget: usize) {
        self.state().budget = Some(budget);
    }

    /// Lets everything succeed again.
    pub(super) fn repair(&self) {
        self.state().budget = None;
    }

    /// Remembers all writes from now on.
    pub(super) fn remember(&self) -> Recording {
        let mut state = self.state();
        state.remember = true;
        Recording { medium: self.clone(), before: state.contents.clone() }
    }
}

/// What the disks held at a time, and all that was done to them since.
pub(super) struct Recording {
    medium: Medium,
    before: Contents,
}

impl Recording {
    /// How many steps have been taken.
    pub(super) fn len(&self) -> usize {
        self.medium.state().steps.len()
    }

    /// The disks as a power cut after `steps` steps may leave them: what was flushed is there; of each later write all,
    /// nothing, some beginning, or some of its sectors, as `chance` has it.
    pub(super) fn crash(&self, steps: usize, chance: &mut Chance) -> Medium {
        let state = self.medium.state();
        let done = &state.steps[..steps];
        let mut contents = self.before.clone();
        for (number, disk) in contents.iter_mut().enumerate() {
            let own = |(other, _): &&(usize, Step)| *other == number;
            let done: Vec<&Step> = done.iter().filter(own).map(|(_, step)| step).collect();
            let flushed = done.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |last| last + 1);
            done[..flushed].iter().for_each(|step| apply(disk, step));
            for step in &done[flushed..] {
                match step {
                    Step::Write { offset, bytes } => tear(disk, *offset, bytes, chance),
                    other => apply(disk, other),
                }
            }
        }
        Medium::holding(contents)
    }
}

fn tear(disk: &mut Vec<u8>, offset: usize, bytes: &[u8], chance: &mut Chance) {
    let mut keep = |offset: usize, bytes: &[u8]| apply(disk, &Step::Write { offset, bytes: bytes.to_vec() });
    match chance.below(4) {
        0 => {}
        1 => keep(offset, bytes),
        2 => keep(offset, &bytes[..chance.below(bytes.len() + 1)]),
        _ => {
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                if chance.below(2) == 0 {
                    keep(offset + number * SECTOR, sector);
                }
            }
        }
    }
}

/// SplitMix64: the same seed gives the same chances.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(bound).unwrap()).unwrap()
    }
}

impl Disk {
    fn take(&self, step: Step) -> io::Result<()> {
        self.medium.state().take(self.number, step)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.medium.state().contents[self.number].len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.medium.state();
        let found = state.contents[self.number].get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.take(Step::Resize(usize::try_from(length).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.take(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take(Step::Write { offset: usize::try_from(offset).unwrap(), bytes: data.to_vec() })
    }
}
