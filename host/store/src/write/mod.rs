//! The writer: the one thread that owns write transactions.
//!
//! It takes what is waiting, applies all of it in one transaction, appends the batch's leaves to the tree once,
//! signs the head, commits with an fsync, makes the head known, and only then answers. So callers share the cost of
//! a commit, and no answer is ahead of the disk.

mod agents;
mod api_keys;
mod batch;
mod checkpoints;
mod configs;
mod erasure;
mod files;
mod job;
mod keyed;
mod leaves;
mod master_key;
mod plugins;
mod turns;
mod users;
mod vault;
mod verdicts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::Durability;
use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;
use crate::error::StoreError;
use crate::observe::{Commit, CommitObserver, Gauges};
pub(crate) use agents::{change_agent, create_agent, start_agent};
pub(crate) use api_keys::{add_api_key, note_api_key_use, remove_api_key};
pub(crate) use batch::Batch;
use batch::Committed;
pub(crate) use checkpoints::{create_checkpoint, restore_checkpoint, stop_agent};
pub(crate) use erasure::{clear_session, delete_agent, erase};
pub(crate) use files::{expect_objects, forget_objects, keep_files, remove_file, remove_files_of};
pub(crate) use job::{Job, Request, Staged};
pub(crate) use keyed::{ask, keep_answer, withdraw};
pub(crate) use turns::{mark_judged, seal_input, seal_output};
pub(crate) use users::{add_user, put_user, renew_user, revoke_user};

/// Jobs that may wait for each one of a batch: with fewer the writer would idle while callers are woken.
const WAITING_PER_BATCHED: usize = 4;
/// A batch is closed when its jobs bring more bytes than this, so that large ones do not add up in memory.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Where batches have had more jobs than this of late, there are callers enough for larger ones.
const BUSY: f64 = 1.5;
/// How long a busy writer waits for more jobs before it begins: a commit's price is much the same for one and for ten,
/// and where callers queue for the processor they have the time. A caller who is alone never waits.
const GATHERING: Duration = Duration::from_millis(1);
/// How long a writer whose database could not be reopened waits before it tries again, if nobody has it write meanwhile:
/// reads are refused until it can be.
const MENDING: Duration = Duration::from_secs(1);
/// The weight of the newest batch in what is usual of late.
const NEWEST: f64 = 0.1;

/// The sending half of the writer's queue.
pub(crate) type Jobs = mpsc::Sender<Box<dyn Job>>;

/// How the writer works.
#[derive(Clone)]
pub(crate) struct WriterOptions {
    pub(crate) max_batch: usize,
    pub(crate) quick_repair: bool,
    pub(crate) observer: Option<Arc<dyn CommitObserver>>,
    pub(crate) gauges: Arc<Gauges>,
}

/// What a writer is to do.
enum Next {
    /// This job and what is waiting behind it.
    Write(Box<dyn Job>),
    /// Reopen the file.
    Mend,
    /// End.
    Stop,
}

/// The writer's state. It runs until its stop signal is sent or dropped, then finishes what is waiting.
pub(crate) struct Writer {
    disk: Arc<Disk>,
    jobs: mpsc::Receiver<Box<dyn Job>>,
    stop: oneshot::Receiver<()>,
    options: WriterOptions,
    /// Jobs of a batch, of late.
    usual: f64,
    /// After a failed transaction, until the file has been reopened.
    broken: bool,
}

impl Writer {
    /// A writer, the queue that feeds it and the signal that stops it.
    pub(crate) fn new(disk: Arc<Disk>, options: WriterOptions) -> (Self, Jobs, oneshot::Sender<()>) {
        let (sender, jobs) = mpsc::channel(options.max_batch.saturating_mul(WAITING_PER_BATCHED));
        let (signal, stop) = oneshot::channel();
        (Self { disk, jobs, stop, options, usual: 0.0, broken: false }, sender, signal)
    }

    /// Works until stopped, then closes the file.
    pub(crate) fn run(mut self, runtime: &tokio::runtime::Runtime) {
        loop {
            match runtime.block_on(self.next()) {
                Next::Write(first) => {
                    if self.usual > BUSY {
                        std::thread::sleep(GATHERING);
                    }
                    let batch = self.gather(first);
                    self.usual += NEWEST * (batch.len() as f64 - self.usual);
                    self.write(batch);
                }
                Next::Mend => self.try_to_mend(),
                Next::Stop => break,
            }
        }
        self.jobs.close();
        while let Ok(first) = self.jobs.try_recv() {
            let batch = self.gather(first);
            self.write(batch);
        }
        self.disk.close();
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            _ = &mut self.stop => Next::Stop,
            job = self.jobs.recv() => job.map_or(Next::Stop, Next::Write),
            () = tokio::time::sleep(MENDING), if self.broken => Next::Mend,
        }
    }

    /// The first job and whatever is waiting behind it, up to the batch's bounds.
    fn gather(&mut self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut bytes = first.weight();
        let mut jobs = vec![first];
        while jobs.len() < self.options.max_batch && bytes < MAX_BATCH_BYTES {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.weight();
            jobs.push(job);
        }
        jobs
    }

    /// Writes one batch and answers all of its jobs.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let begun = Instant::now();
        let outcome = self.transact(&mut jobs);
        self.tell(&Commit { operations: jobs.len(), elapsed: begun.elapsed(), written: outcome.is_ok() });
        if let Err(error) = &outcome {
            tracing::error!(%error, jobs = jobs.len(), "a batch could not be written");
            // At once, so that readers are served again.
            self.broken = true;
            self.try_to_mend();
        }
        for job in jobs {
            job.answer(outcome.as_ref());
        }
    }

    fn tell(&self, commit: &Commit) {
        self.options.gauges.committed(commit.written);
        if let Some(observer) = &self.options.observer {
            observer.committed(commit);
        }
    }

    fn try_to_mend(&mut self) {
        if let Err(error) = self.mend() {
            tracing::error!(%error, "the database could not be reopened");
        }
    }

    /// Reopens the file if the last transaction failed.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.broken {
            self.disk.reopen()?;
            self.broken = false;
        }
        Ok(())
    }

    /// One transaction. On any error it is aborted as it is dropped.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Committed, StoreError> {
        self.mend()?;
        let mut transaction = self.disk.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(self.options.quick_repair);
        let mut batch = Batch::open(&transaction, &self.disk);
        let mut changed = false;
        for job in jobs {
            changed |= job.apply(&mut batch)?;
        }
        let keys_destroyed = batch.keys_destroyed;
        let head = batch.finish(&self.disk)?;
        if changed {
            if keys_destroyed {
                self.disk.empty_journal();
            }
            transaction.commit()?;
        }
        if let Some(head) = head {
            self.disk.publish(head);
        }
        Ok(Committed { checkpoint: Arc::clone(&self.disk.head().checkpoint) })
    }
}
