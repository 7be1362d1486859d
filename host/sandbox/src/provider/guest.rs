//! One guest: its store, what it is given, and how it is run within its limits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::gavel::plugin::{sink, types};
use super::bindings::{ProviderPlugin, ProviderPluginPre};
use super::chat::Delta;
use super::ledger::Ledger;
use super::limits::{HEADER_BYTES, HOSTCALL_BYTES, RESOURCES, TABLE_ELEMENTS};
use super::outbound::Outbound;
use crate::lane::SlowLane;

/// Most memories, tables and core instances of one component's instance.
pub(super) const MEMORIES: u32 = 4;
pub(super) const TABLES: u32 = 16;
pub(super) const CORE_INSTANCES: u32 = 16;

/// A store's data: the whole world of one guest.
pub(super) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    outbound: Outbound,
    limits: StoreLimits,
    sink: Option<DeltaSink>,
}

/// Where a chat's deltas go; a guest outside of a chat has none.
pub(super) struct DeltaSink {
    /// Bounded: a send waits while the reader is behind.
    pub(super) deltas: mpsc::Sender<Delta>,
    /// Most bytes of one.
    pub(super) max_bytes: usize,
    /// Whether one was sent; from then on nothing is tried again.
    pub(super) began: bool,
}

impl Guest {
    pub(super) fn new(outbound: Outbound, sink: Option<DeltaSink>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(2 * HEADER_BYTES);
        let limits = StoreLimitsBuilder::new()
            .memory_size(outbound.limits.memory_bytes)
            .memories(MEMORIES as usize)
            .table_elements(TABLE_ELEMENTS)
            .tables(TABLES as usize)
            .instances(CORE_INSTANCES as usize)
            .build();
        // The builder's defaults are what a provider gets: real clocks and randomness, closed standard streams,
        // no environment, arguments, files or network.
        Self { wasi: WasiCtx::builder().build(), http, table, outbound, limits, sink }
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.outbound.ledger
    }

    /// Whether a delta was sent.
    pub(super) fn began(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.began)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl types::Host for Guest {}

/// A guest sent a delta that is larger than the limit.
#[derive(Debug, thiserror::Error)]
#[error("a delta of {0} bytes is over the limit")]
struct DeltaTooLarge(usize);

impl sink::Host for Guest {
    async fn send(&mut self, delta: sink::Delta) -> wasmtime::Result<Result<(), ()>> {
        let Some(sink) = &mut self.sink else { return Ok(Err(())) };
        let delta = Delta::from(delta);
        if delta.size() > sink.max_bytes {
            return Err(DeltaTooLarge(delta.size()).into());
        }
        let sent = sink.deltas.send(delta).await;
        sink.began |= sent.is_ok();
        Ok(sent.map_err(|_| ()))
    }
}

/// A fresh instance in a store of its own.
pub(super) async fn instantiate(
    engine: &Engine,
    pre: &ProviderPluginPre<Guest>,
    guest: Guest,
) -> (Store<Guest>, wasmtime::Result<ProviderPlugin>) {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let instance = pre.instantiate_async(&mut store).await;
    (store, instance)
}

/// A poll that takes this long did not end by itself: the guest was made to yield, or may as well have been.
const SLICE: Duration = Duration::from_millis(1);

/// What a guest does when it is polled no more for now.
enum Step<T> {
    Answered(T),
    /// It has run for a slice, and would go on.
    Running,
    /// It has computed longer than it may.
    Spent,
}

/// Runs a guest's future until it has computed longer than it may; none then. What it computed is taken from `left`.
///
/// The time of each poll counts: a guest that waits for the host or the network is not polled, and one that loops
/// yields at each epoch. One that has run for a slice goes on in the slow lane, until it waits for something.
pub(super) async fn within<T>(lane: &SlowLane, left: &mut Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut turn = None;
    loop {
        let step = poll_fn(|cx| {
            let begun = Instant::now();
            let polled = future.as_mut().poll(cx);
            let took = begun.elapsed();
            *left = left.saturating_sub(took);
            match polled {
                Poll::Ready(value) => Poll::Ready(Step::Answered(value)),
                Poll::Pending if left.is_zero() => Poll::Ready(Step::Spent),
                Poll::Pending if took >= SLICE => Poll::Ready(Step::Running),
                Poll::Pending => {
                    turn = None;
                    Poll::Pending
                }
            }
        });
        match step.await {
            Step::Answered(value) => return Some(value),
            Step::Spent => return None,
            Step::Running => {
                drop(turn.take());
                turn = lane.turn().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    /// Computes for two slices, and then waits for what never comes.
    async fn computes_and_waits() {
        for _ in 0..2 {
            let begun = Instant::now();
            while begun.elapsed() < 2 * SLICE {
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn a_guest_that_computes_long_waits_for_its_turn_and_one_that_waits_holds_none() {
        let lane = SlowLane::of(1);
        let held = lane.turn().await;
        let mut left = Duration::from_secs(1);
        let mut guest = pin!(within(&lane, &mut left, computes_and_waits()));
        assert!(timeout(SOON, &mut guest).await.is_err());
        assert!(timeout(SOON, lane.turn()).await.is_err(), "another has it");
        drop(held);
        assert!(timeout(SOON, &mut guest).await.is_err());
        assert!(timeout(SOON, lane.turn()).await.is_ok(), "the guest only waits");
    }

    #[tokio::test]
    async fn the_wait_for_a_turn_is_not_computing() {
        let lane = SlowLane::of(1);
        let held = lane.turn().await;
        let mut left = 20 * SLICE;
        let mut guest = pin!(within(&lane, &mut left, computes_and_waits()));
        assert!(timeout(SOON, &mut guest).await.is_err(), "it waits for its turn longer than it may compute");
        drop(held);
        assert!(timeout(SOON, &mut guest).await.is_err());
    }
}
