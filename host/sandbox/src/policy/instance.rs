//! One fresh instance of a policy: instantiated, called under its limits, thrown away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_log::record::PolicyError;
use wasmtime::component::{Component, Instance, InstancePre};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

use super::bindings::{policy, streaming};
use super::guest::{Guest, LimitExceeded};
use super::limits::PolicyLimits;
use super::wasi::{self, Printer};
use crate::compiler::code_bytes;
use crate::interface::Version;
use crate::lane::{Place, SLICE_TICKS, SlowLane, TURN_TICKS};

/// A failed call: what the record says, and what the log of the server may say besides.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?}: {detail}")]
pub struct CallError {
    /// For the record.
    pub kind: PolicyError,
    /// For the operator and the agent's owner.
    pub detail: String,
}

impl CallError {
    pub(super) fn new(kind: PolicyError, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    fn deadline(after: Duration) -> Self {
        Self::new(PolicyError::Deadline, format!("no answer within {} ms", after.as_millis()))
    }
}

impl From<PolicyError> for CallError {
    fn from(kind: PolicyError) -> Self {
        Self::new(kind, "the answer breaks the interface's contract")
    }
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        let detail = format!("{error:#}");
        let kind = if error.downcast_ref::<LimitExceeded>().is_some() {
            PolicyError::Memory
        } else {
            match error.downcast_ref::<Trap>() {
                Some(Trap::OutOfFuel) => PolicyError::Fuel,
                Some(Trap::Interrupt) => PolicyError::Deadline,
                Some(Trap::StackOverflow) => PolicyError::Stack,
                Some(Trap::AllocationTooLarge) => PolicyError::Memory,
                // wasmtime gives the exhausted budget of a host call no type of its own.
                None if detail.contains("fuel allocated for hostcalls") => PolicyError::Size,
                _ => PolicyError::Trap,
            }
        };
        Self { kind, detail }
    }
}

/// A component linked and ready to be instantiated as often as wanted.
#[derive(Clone)]
pub(super) struct Prepared {
    pre: InstancePre<Guest>,
    policy: Arc<policy::GuestIndices>,
    streaming: Option<Arc<streaming::GuestIndices>>,
    code_bytes: usize,
}

impl Prepared {
    pub(super) fn new(engine: &Engine, component: &Component, printer: Option<&Printer>) -> wasmtime::Result<Self> {
        let Version::V0_1 = Version::exported(engine, component, "policy")?;
        let pre = wasi::linker(engine, component, printer)?.instantiate_pre(component)?;
        let streams = component.get_export_index(None, "gavel:plugin/streaming@0.1.0").is_some();
        Ok(Self {
            policy: policy::GuestIndices::new(&pre)?.into(),
            streaming: streams.then(|| streaming::GuestIndices::new(&pre)).transpose()?.map(Into::into),
            code_bytes: code_bytes(component),
            pre,
        })
    }

    /// Bytes of machine code, with the data that it starts from.
    pub(super) fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    pub(super) fn streams(&self) -> bool {
        self.streaming.is_some()
    }

    /// A fresh instance that has not been called yet.
    pub(super) async fn instantiate(&self, limits: &PolicyLimits, lane: &SlowLane) -> Result<Live, CallError> {
        let place = lane.place();
        let guest = Guest::new(limits.memory_bytes, limits.table_elements);
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(limits.result_bytes);
        if limits.metered {
            store.set_fuel(limits.evaluate_fuel(0))?;
        }
        store.set_epoch_deadline(SLICE_TICKS);
        let in_lane = Arc::clone(&place);
        store.epoch_deadline_callback(move |_| {
            Ok(UpdateDeadline::YieldCustom(TURN_TICKS, Box::pin(Arc::clone(&in_lane).take_turn())))
        });
        let instance = within(limits.deadline(0), &place, self.pre.instantiate_async(&mut store)).await?;
        Ok(Live { store, instance, place, prepared: self.clone(), metered: limits.metered })
    }
}

/// A live instance. After an error it is of no further use.
pub(super) struct Live {
    store: Store<Guest>,
    instance: Instance,
    place: Arc<Place>,
    prepared: Prepared,
    metered: bool,
}

impl Live {
    /// The policy interface and its store, ready for one call with this much fuel.
    pub(super) fn policy(&mut self, fuel: u64) -> wasmtime::Result<(policy::Guest, &mut Store<Guest>)> {
        self.ready(fuel)?;
        let guest = self.prepared.policy.load(&mut self.store, &self.instance)?;
        Ok((guest, &mut self.store))
    }

    /// The streaming interface, likewise; an error if there is none.
    pub(super) fn streaming(&mut self, fuel: u64) -> wasmtime::Result<(streaming::Guest, &mut Store<Guest>)> {
        self.ready(fuel)?;
        let Some(indices) = &self.prepared.streaming else {
            wasmtime::bail!("the policy has no streaming interface");
        };
        let guest = indices.load(&mut self.store, &self.instance)?;
        Ok((guest, &mut self.store))
    }

    /// Its place in the slow lane, for [`within`].
    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Each call begins alike, whatever was called before.
    fn ready(&mut self, fuel: u64) -> wasmtime::Result<()> {
        self.store.data_mut().reset();
        self.store.set_epoch_deadline(SLICE_TICKS);
        if self.metered { self.store.set_fuel(fuel) } else { Ok(()) }
    }

    /// Lifts the limits for the snapshotter, which reads memory through calls of its own.
    pub(super) fn into_unlimited(mut self, memory_bytes: usize) -> wasmtime::Result<(Store<Guest>, Instance)> {
        if self.metered {
            self.store.set_fuel(u64::MAX)?;
        }
        self.store.set_hostcall_fuel(memory_bytes.saturating_mul(2));
        // No turn waits for it, and it runs on the compiler's threads.
        self.store.epoch_deadline_async_yield_and_update(TURN_TICKS);
        Ok((self.store, self.instance))
    }
}

/// Runs one call to its end or its deadline. Epochs do not interrupt host calls, hence the second clock. It stands still while
/// the guest waits for its turn in the slow lane: what others compute is no fault of its own.
pub(super) async fn within<T>(
    deadline: Duration,
    place: &Place,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T, CallError> {
    let started = Instant::now();
    let mut call = std::pin::pin!(call);
    let mut left = deadline;
    let result = loop {
        if let Ok(result) = tokio::time::timeout(left, &mut call).await {
            break result.map_err(CallError::from);
        }
        left = (deadline + place.waited()).saturating_sub(started.elapsed());
        if left.is_zero() {
            break Err(CallError::deadline(deadline));
        }
    };
    place.leave();
    result
}
