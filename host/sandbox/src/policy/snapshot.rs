//! Snapshots: a component as it is right after `configure`, made by Wizer.
//!
//! A snapshot is an optimisation of "configure, then one call". Whatever goes wrong in making one, panics of the
//! snapshotter included, means only that there is none.

use std::sync::Arc;

use gavel_log::Hash;
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

use super::bound::configure;
use super::component::PolicyComponent;
use super::instance::Prepared;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SnapshotError(String);

/// Makes the snapshot of `component` under a configuration, or takes its machine code from the cache.
pub(super) async fn make(
    component: &Arc<PolicyComponent>,
    config_json: &str,
    config_digest: Hash,
) -> Result<Prepared, SnapshotError> {
    let runtime = Arc::clone(&component.runtime);
    let name = Hash::of(format!("snapshot {} {}", component.digest, config_digest).as_bytes());
    let compiled = match runtime.cached(name) {
        Some(compiled) => compiled,
        None => {
            let component = Arc::clone(component);
            let config_json = config_json.to_owned();
            // A task of its own, so that a panic of the snapshotter ends here.
            let bytes = tokio::spawn(async move { wizen(&component, &config_json).await })
                .await
                .map_err(|panic| SnapshotError(format!("the snapshotter failed: {panic}")))??;
            runtime.compile_named(name, &bytes).await.map_err(|error| SnapshotError(format!("{error:#}")))?
        }
    };
    Prepared::new(&runtime.engine, &compiled).map_err(|error| SnapshotError(format!("{error:#}")))
}

/// Instruments, configures under the policy's own limits, and reads the state with the limits lifted.
async fn wizen(component: &PolicyComponent, config_json: &str) -> Result<Vec<u8>, SnapshotError> {
    let fault = |error: wasmtime::Error| SnapshotError(format!("{error:#}"));
    let runtime = &component.runtime;
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (context, instrumented) = wizer.instrument_component(&component.bytes).map_err(fault)?;
    let compiled = runtime.compile_uncached(instrumented).await.map_err(fault)?;
    let prepared = Prepared::new(&runtime.engine, &compiled).map_err(fault)?;
    let (live, _) =
        configure(&runtime.limits, &prepared, config_json).await.map_err(|error| SnapshotError(error.to_string()))?;
    let (mut store, instance) = live.into_unlimited(runtime.limits.memory_bytes).map_err(fault)?;
    wizer.snapshot_component(&context, &mut WasmtimeWizerComponent { store: &mut store, instance }).await.map_err(fault)
}
