//! Backtests: what a policy, or another configuration of it, would have decided on what was said before.
//!
//! The stored history is walked through, newest first, in short read transactions, on every core but one, by threads of
//! low priority with policy instances of their own: chats lose neither permits nor their turn on the processor. Memory is
//! bounded by a page of results for each worker. Who may read an agent's texts, its owner, gets examples with them.

mod report;
mod walk;
mod worker;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use gavel_log::record::{Enforcement, OnError};
use gavel_sandbox::policy::{BindError, BoundPolicy, LoadError, MAX_COMPONENT_BYTES};
use gavel_store::{AgentId, Binding, Release, Store, StoreError, UserId, VerdictFilter};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::DropGuard;

pub use report::{Change, Changes, ComparedWith, Example, Judge, Report, Skipped, Tally};
pub use walk::{Bounds, Progress};

use crate::plugins::{PluginError, Plugins};
use crate::tasks::Tasks;
use crate::turn::OpeningError;
use crate::vault::{Vault, VaultError};
use walk::Walk;
use worker::Task;

/// Backtests of a server at once: they share the cores.
const AT_ONCE: usize = 2;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The policy whose recorded verdicts are compared with.
    pub policy: String,
    /// What judges.
    pub candidate: Candidate,
    /// Its configuration.
    pub config: serde_json::Value,
    /// The one agent whose history is judged; none for all.
    pub agent: Option<AgentId>,
    /// From this time on, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Before this time, likewise.
    pub until: Option<i64>,
    /// How far it goes.
    pub bounds: Bounds,
    /// Who asks, and may read the texts of their own agents; none for an operator, who may read none.
    pub viewer: Option<UserId>,
}

/// What judges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// An installed policy, named as bindings name it.
    Installed(String),
    /// A component that is not installed, on this machine.
    File(PathBuf),
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The caller has one under way.
    #[error("a backtest of yours is under way: one at a time")]
    OneAtATime,
    /// The server has as many under way as it takes.
    #[error("the server has {AT_ONCE} backtests under way")]
    Busy,
    /// The candidate cannot be bound.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The candidate's file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The candidate's file is no policy.
    #[error("{path}: {source}")]
    NoPolicy {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: LoadError,
    },
    /// The candidate does not take the configuration.
    #[error("{0}")]
    Configuration(#[from] BindError),
    /// Nobody wants it any more, or the server goes down.
    #[error("the backtest was stopped")]
    Stopped,
    /// A stored record is damaged.
    #[error("a stored record cannot be read")]
    Damaged,
    /// The store cannot be read.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// A key does not open.
    #[error("the vault failed: {0}")]
    Vault(#[from] VaultError),
    /// A stored opening does not open.
    #[error("an opening: {0}")]
    Opening(#[from] OpeningError),
    /// A thread could not be had.
    #[error("a worker could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker ended without an answer.
    #[error("a worker broke off")]
    BrokenOff,
}

impl BacktestError {
    /// Whether it cannot be done as things are, rather than that doing it failed.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::OneAtATime
                | Self::Busy
                | Self::File { .. }
                | Self::NoPolicy { .. }
                | Self::Configuration(_)
                | Self::Plugin(
                    PluginError::UnknownPolicy { .. } | PluginError::Schema { .. } | PluginError::Refused { .. }
                )
        )
    }

    /// With the places at which a configuration is at fault.
    pub(crate) fn in_words(&self) -> String {
        let faults = match self {
            Self::Configuration(BindError::Schema(faults)) | Self::Plugin(PluginError::Schema { faults, .. }) => faults,
            _ => return self.to_string(),
        };
        let places: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
        format!("{self}: {}", places.join("; "))
    }
}

/// Judges histories again. Cheap to clone.
#[derive(Clone)]
pub struct Backtests {
    store: Store,
    vault: Arc<Vault>,
    plugins: Arc<Plugins>,
    tasks: Tasks,
    slots: Arc<Semaphore>,
    askers: Arc<Mutex<HashSet<Option<UserId>>>>,
}

/// The right to one backtest, until its last worker has ended.
struct Claim {
    asker: Option<UserId>,
    askers: Arc<Mutex<HashSet<Option<UserId>>>>,
    _slot: OwnedSemaphorePermit,
}

/// A backtest under way. Dropping it stops it.
pub struct Backtest {
    task: Arc<Task>,
    workers: usize,
    tallies: mpsc::Receiver<Result<Tally, BacktestError>>,
    _stop: DropGuard,
}

impl Backtests {
    /// Backtests of what this store holds.
    #[must_use]
    pub fn new(store: Store, vault: Arc<Vault>, plugins: Arc<Plugins>, tasks: Tasks) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { store, vault, plugins, tasks, slots, askers: Arc::default() }
    }

    /// Begins to judge.
    ///
    /// # Errors
    /// If too many are under way, or the candidate cannot be bound.
    pub async fn begin(&self, question: Question) -> Result<Backtest, BacktestError> {
        let claim = Arc::new(self.claim(question.viewer.as_ref())?);
        let candidate = self.candidate(&question.candidate, &question.config).await?;
        // A history is long: its candidate's snapshot is worth waiting for, where there can be one.
        candidate.warm().await;
        let stop = self.tasks.draining().child_token();
        let Question { policy, agent, since, until, bounds, viewer, .. } = question;
        let filter = VerdictFilter { agent, from: since, to: until, ..VerdictFilter::default() };
        let task = Arc::new(Task {
            walk: Walk::new(self.store.clone(), filter, &bounds, stop.clone()),
            store: self.store.clone(),
            vault: self.vault.clone(),
            runtime: self.plugins.policies.clone(),
            candidate,
            policy,
            viewer,
        });
        let workers = workers();
        let (sender, tallies) = mpsc::channel(workers);
        for number in 0..workers {
            self.hire(number, &task, &claim, sender.clone())?;
        }
        Ok(Backtest { task, workers, tallies, _stop: stop.drop_guard() })
    }

    /// Sets one worker to work.
    fn hire(
        &self,
        number: usize,
        task: &Arc<Task>,
        claim: &Arc<Claim>,
        done: mpsc::Sender<Result<Tally, BacktestError>>,
    ) -> Result<(), BacktestError> {
        let (task, claim) = (Arc::clone(task), Arc::clone(claim));
        // The server waits for its workers as for its tasks.
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        self.tasks.spawn(end);
        thread::Builder::new().name(format!("gavel-backtest-{number}")).spawn(move || {
            let _until = ended;
            let tally = worker::work(&task);
            // Before the answer is there: whoever has it may ask again.
            drop(claim);
            // There is room for each worker's one answer; whoever dropped the backtest wants none.
            let _ = done.try_send(tally);
        })?;
        Ok(())
    }

    fn claim(&self, asker: Option<&UserId>) -> Result<Claim, BacktestError> {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        if askers.contains(&asker.cloned()) {
            return Err(BacktestError::OneAtATime);
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| BacktestError::Busy)?;
        askers.insert(asker.cloned());
        Ok(Claim { asker: asker.cloned(), askers: Arc::clone(&self.askers), _slot: slot })
    }

    async fn candidate(
        &self,
        candidate: &Candidate,
        config: &serde_json::Value,
    ) -> Result<Arc<BoundPolicy>, BacktestError> {
        let named = match candidate {
            Candidate::File(path) => {
                let bytes = read(path).await.map_err(|source| BacktestError::File { path: path.clone(), source })?;
                let component = self.plugins.policies.load(bytes.into()).await;
                let component = component.map_err(|source| BacktestError::NoPolicy { path: path.clone(), source })?;
                return Ok(component.bind(config).await?);
            }
            Candidate::Installed(named) => named.clone(),
        };
        let binding = Binding {
            policy: named.clone(),
            config: config.clone(),
            enforcement: Enforcement::Observe,
            stages: None,
            on_error: OnError::Block,
            release: Release::Stream,
        };
        let set = self.plugins.bind(&[binding]).await?;
        let bound = set.bindings.first().ok_or(PluginError::UnknownPolicy { index: 0, policy: named })?;
        Ok(Arc::clone(&bound.policy))
    }
}

impl Backtest {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.task.walk.progress()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Why there is no report.
    pub async fn report(&mut self) -> Result<Report, BacktestError> {
        let mut tally = Tally::default();
        while self.workers > 0 {
            let counted = self.tallies.recv().await.ok_or(BacktestError::BrokenOff)?;
            self.workers -= 1;
            tally.add(counted?);
        }
        let Task { walk, candidate, policy, .. } = &*self.task;
        let (below, elapsed_ms) = (walk.rest()?, walk.elapsed_ms());
        let component = candidate.component();
        Ok(Report {
            policy: policy.clone(),
            candidate: Judge {
                policy: component.manifest.name.clone(),
                version: component.manifest.version.clone(),
                digest: component.digest.tagged(),
                config: candidate.config_digest.tagged(),
            },
            per_second: walk::rate(tally.judged, elapsed_ms),
            tally,
            elapsed_ms,
            below,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.asker);
    }
}

/// Every core but one, and at least one.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// A component's bytes; of a file that is larger than one may be, more than that.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
