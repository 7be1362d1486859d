//! Makes a snapshot: a component as it is right after `configure`, by Wizer.
//!
//! A snapshot is an optimisation of "configure, then one call". Whatever goes wrong in making one, panics of the
//! snapshotter included, means only that there is none.

use std::sync::Arc;

use gavel_log::Hash;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

use super::bound::{BoundPolicy, configure};
use super::instance::Prepared;

/// Makes the snapshot of `policy`, or takes its machine code from the cache.
pub(super) async fn make(policy: &Arc<BoundPolicy>) -> wasmtime::Result<Prepared> {
    let runtime = Arc::clone(&policy.component().runtime);
    let digests = format!("snapshot {} {}", policy.component().digest, policy.config_digest);
    let policy = Arc::clone(policy);
    let source = move |engine: &Engine| {
        // A runtime of its own: the server's may end meanwhile, and its clock with it.
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        tokio.block_on(wizen(engine, &policy)).map(Into::into)
    };
    let compiled = runtime.compiler.compile(Hash::of(digests.as_bytes()), source).await?;
    Prepared::new(&runtime.engine, &compiled, runtime.printer.as_ref())
}

/// Instruments, configures under the policy's own limits, and reads the state with the limits lifted.
async fn wizen(engine: &Engine, policy: &BoundPolicy) -> wasmtime::Result<Vec<u8>> {
    let component = policy.component();
    let runtime = &component.runtime;
    let limits = &runtime.limits;
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (context, instrumented) = wizer.instrument_component(&component.bytes)?;
    let prepared = Prepared::new(engine, &Component::from_binary(engine, &instrumented)?, runtime.printer.as_ref())?;
    let (live, _) = configure(&component.runtime, &prepared, policy.config_json()).await?;
    let (mut store, instance) = live.into_unlimited(limits.memory_bytes)?;
    wizer.snapshot_component(&context, &mut WasmtimeWizerComponent { store: &mut store, instance }).await
}
