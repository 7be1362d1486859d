//! The engine that all policies share: its pool of instances, its clock, its cache of machine code.

use std::sync::Arc;

use gavel_log::Hash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::component::{LoadError, PolicyComponent};
use super::limits::PolicyLimits;
use super::snapshots::Snapshots;
use super::wasi::Printer;
use crate::Pool;
use crate::cache::CodeCache;
use crate::compiler::Compiler;
use crate::functions::FunctionCache;
use crate::lane::SlowLane;
use crate::ticker::Ticker;

/// Memory, tables and core instances of one component: a Rust guest has three core modules, one of
/// componentize-py 0.25 has 38.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const TABLES_PER_COMPONENT: u32 = 8;
/// Instances that no turn has taken a permit for. They have places of their own, so that a turn's permit is always good.
const ASIDE_INSTANCES: u32 = 8;
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
/// Bytes of what the compiler made of single functions that are kept: those of a JavaScript policy and its snapshot are some
/// 90 MB, those of a Rust policy 3 MB.
const FUNCTION_BYTES: usize = 128 << 20;

/// The right to have so many policy instances alive. Taken before a turn, so that load is never a verdict.
pub struct PolicyPermits {
    _permits: OwnedSemaphorePermit,
}

/// The right to one instance that no turn could have.
pub struct BackgroundPermit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Runs policies.
pub struct PolicyRuntime {
    pub(super) engine: Engine,
    pub(super) limits: PolicyLimits,
    limits_digest: Hash,
    pub(super) compiler: Compiler,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) lane: SlowLane,
    permits: Arc<Semaphore>,
    aside: Semaphore,
    /// Takes what policies print.
    pub(super) printer: Option<Printer>,
    pub(super) makes_snapshots: bool,
    background: Arc<Semaphore>,
    ticker: Ticker,
}

impl PolicyRuntime {
    /// A runtime with these limits. With a cache, compiled code is kept between starts.
    ///
    /// # Errors
    /// If the engine cannot be made with these limits on this machine.
    pub fn new(limits: PolicyLimits, cache: Option<Arc<CodeCache>>) -> wasmtime::Result<Arc<Self>> {
        Self::with(limits, cache, None, true)
    }

    /// A runtime for a policy's author: what policies print is handed to the printer, and without `snapshots` every
    /// evaluation configures its instance. Verdicts are the same.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn printing(limits: PolicyLimits, printer: Printer, snapshots: bool) -> wasmtime::Result<Arc<Self>> {
        Self::with(limits, None, Some(printer), snapshots)
    }

    fn with(
        limits: PolicyLimits,
        cache: Option<Arc<CodeCache>>,
        printer: Option<Printer>,
        makes_snapshots: bool,
    ) -> wasmtime::Result<Arc<Self>> {
        let mut config = config(&limits);
        config.enable_incremental_compilation(Arc::new(FunctionCache::new(FUNCTION_BYTES)))?;
        let engine = Engine::new(&config)?;
        Ok(Arc::new(Self {
            ticker: Ticker::start(&engine),
            limits_digest: limits.digest(),
            compiler: Compiler::new(&engine, cache)?,
            snapshots: Snapshots::new(limits.snapshot_bytes),
            lane: SlowLane::new(),
            permits: Arc::new(Semaphore::new(limits.max_instances as usize)),
            aside: Semaphore::new(ASIDE_INSTANCES as usize),
            background: Arc::new(Semaphore::new(background_instances() as usize)),
            engine,
            limits,
            printer,
            makes_snapshots,
        }))
    }

    /// Digest of the limits, as records name it.
    #[must_use]
    pub fn limits_digest(&self) -> Hash {
        self.limits_digest
    }

    /// Permits for `count` instances at once, or none if the pool is too full now.
    #[must_use]
    pub fn permits(&self, count: u32) -> Option<PolicyPermits> {
        let permits = Arc::clone(&self.permits).try_acquire_many_owned(count).ok()?;
        Some(PolicyPermits { _permits: permits })
    }

    /// Waits for one of the instances that are kept for work behind the turns, such as judging a history again: one for
    /// each core. Turns cannot run out of instances by it.
    pub async fn background(&self) -> BackgroundPermit {
        // The semaphore is never closed.
        BackgroundPermit { _permit: Arc::clone(&self.background).acquire_owned().await.ok() }
    }

    /// How many instances are promised or alive now, and how many may be.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool::of(&self.permits, self.limits.max_instances)
    }

    /// Whether the engine's clock ticks. Without it, a guest that loops holds its thread.
    #[must_use]
    pub fn is_ticking(&self) -> bool {
        self.ticker.is_ticking()
    }

    /// Checks and compiles a component.
    ///
    /// # Errors
    /// What is wrong with it, in words for whoever installs it.
    pub async fn load(self: &Arc<Self>, bytes: Arc<[u8]>) -> Result<Arc<PolicyComponent>, LoadError> {
        PolicyComponent::load(Arc::clone(self), bytes).await.map(Arc::new)
    }

    /// The right to an instance that no turn has taken a permit for: to describe, to bind, to make a snapshot.
    pub(super) async fn aside(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.aside.acquire().await.ok()
    }

    /// Bytes of machine code that snapshots hold now.
    #[must_use]
    pub fn snapshot_bytes(&self) -> usize {
        self.snapshots.bytes()
    }
}

/// Instances for work behind the turns.
fn background_instances() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(1)
}

fn config(limits: &PolicyLimits) -> Config {
    let behind = ASIDE_INSTANCES.saturating_add(background_instances());
    let instances = limits.max_instances.saturating_add(behind);
    let mut pool = PoolingAllocationConfig::new();
    // As much for every instance as any may have: else a permit would not be worth an instance.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .consume_fuel(limits.metered)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        .async_stack_size(limits.stack_bytes + (512 << 10))
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_threads(false)
        .wasm_component_model(true);
    config
}
