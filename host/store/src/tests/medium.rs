//! A disk in memory that can be told to fail, and that remembers its writes so that a crash can be replayed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Builder, StorageBackend};

use super::signer;
use crate::{Store, StoreError, StoreOptions};

/// What was done to a disk.
#[derive(Clone, Debug)]
enum Step {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
    Sync,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    remember: bool,
    /// Writes and flushes that still succeed.
    budget: Option<usize>,
}

impl State {
    fn take(&mut self, step: Step) -> io::Result<()> {
        match &mut self.budget {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut self.bytes, &step);
        if self.remember {
            self.steps.push(step);
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

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Medium(Arc<Mutex<State>>);

impl Medium {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens the store on this disk.
    pub(super) fn open(&self) -> Result<Store, StoreError> {
        let medium = self.clone();
        let opener = move || Builder::new().set_cache_size(1024 * 1024).create_with_backend(medium.clone());
        Store::open_with(Box::new(opener), signer(), StoreOptions::default())
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
        Recording { medium: self.clone(), before: state.bytes.clone() }
    }
}

/// A disk's content at a time, and all that was done to it since.
pub(super) struct Recording {
    medium: Medium,
    before: Vec<u8>,
}

impl Recording {
    /// How many steps have been taken.
    pub(super) fn len(&self) -> usize {
        self.medium.state().steps.len()
    }

    /// The disk as a power cut after `steps` steps may leave it: what was flushed is there; of each later write all,
    /// nothing, or some beginning, as `chance` has it.
    pub(super) fn crash(&self, steps: usize, chance: &mut Chance) -> Medium {
        let state = self.medium.state();
        let done = &state.steps[..steps];
        let flushed = done.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |last| last + 1);
        let mut disk = self.before.clone();
        done[..flushed].iter().for_each(|step| apply(&mut disk, step));
        for step in &done[flushed..] {
            match step {
                Step::Write { offset, bytes } => {
                    let kept = match chance.below(3) {
                        0 => 0,
                        1 => bytes.len(),
                        _ => chance.below(bytes.len() + 1),
                    };
                    apply(&mut disk, &Step::Write { offset: *offset, bytes: bytes[..kept].to_vec() });
                }
                other => apply(&mut disk, other),
            }
        }
        Medium::holding(disk)
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

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.state().bytes.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.state();
        let found = state.bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.state().take(Step::Resize(usize::try_from(length).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().take(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().take(Step::Write { offset: usize::try_from(offset).unwrap(), bytes: data.to_vec() })
    }
}
