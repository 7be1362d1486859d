//! A component from a file, loaded into this process: no server, the same sandbox, and what it prints is shown.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gavel_sandbox::policy::{MAX_COMPONENT_BYTES, PolicyComponent, PolicyLimits, PolicyRuntime, Printer};
use gavel_sandbox::provider::{ProviderComponent, ProviderLimits, ProviderRuntime};
use gavel_sandbox::{Interfaces, World};

use super::super::CliError;

/// Instances that are alive at once: one is judged at a time, and a snapshot is made beside it.
const INSTANCES: u32 = 4;
/// Most bytes of what a guest prints that are shown.
const SHOWN_BYTES: usize = 64 << 10;

/// What a file turned out to be.
pub(super) enum Loaded {
    Policy(Arc<PolicyComponent>),
    Provider(Arc<ProviderComponent>, Box<ProviderRuntime>),
}

/// Reads a component's file, bounded.
pub(super) fn read(path: &str) -> Result<Vec<u8>, CliError> {
    let fault = |error| CliError::File(path.to_owned(), error);
    let mut bytes = Vec::new();
    // One byte more than a component may have, so that a longer one is seen to be too long.
    let most = MAX_COMPONENT_BYTES as u64 + 1;
    File::open(path).map_err(fault)?.take(most).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

/// The limits of the server's default configuration. What this process needs besides is less.
pub(super) fn limits() -> PolicyLimits {
    PolicyLimits { max_instances: INSTANCES, ..PolicyLimits::default() }
}

/// Checks and compiles a component, to make snapshots of it or not. The inner error says why it could not be installed.
pub(super) async fn load(bytes: Vec<u8>, snapshots: bool) -> Result<Result<Loaded, String>, CliError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Ok(Err(format!("the file has over {MAX_COMPONENT_BYTES} bytes, the most that a component may have")));
    }
    let world = match Interfaces::of(&bytes).and_then(|interfaces| interfaces.world()) {
        Ok(world) => world,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let engine = |error: &dyn std::fmt::Display| CliError::Failed(format!("the sandbox cannot be made: {error}"));
    match world {
        World::Policy => {
            let runtime = PolicyRuntime::printing(limits(), printer(), snapshots).map_err(|error| engine(&error))?;
            let loaded = runtime.load(bytes.into()).await;
            Ok(loaded.map(Loaded::Policy).map_err(|error| error.to_string()))
        }
        World::Provider => {
            let limits = ProviderLimits { max_instances: INSTANCES, ..ProviderLimits::default() };
            let runtime = ProviderRuntime::new(&limits, None).map_err(|error| engine(&error))?;
            let loaded = runtime.load(&bytes).await;
            Ok(loaded
                .map(|provider| Loaded::Provider(Arc::new(provider), Box::new(runtime)))
                .map_err(|error| error.to_string()))
        }
    }
}

/// Shows what a policy prints on standard error, up to a bound.
fn printer() -> Printer {
    let shown = AtomicUsize::new(0);
    Arc::new(move |bytes: &[u8]| {
        let before = shown.fetch_add(bytes.len(), Ordering::Relaxed);
        let room = SHOWN_BYTES.saturating_sub(before);
        let mut error = io::stderr().lock();
        // Nothing is lost to the author if standard error is closed.
        let _ = error.write_all(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if before <= SHOWN_BYTES && bytes.len() > room {
            let _ = writeln!(error, "\ngavel: the policy prints more than is shown");
        }
    })
}

/// What a forbidden import means to an author, where it can be told.
pub(super) fn hint(error: &str) -> Option<&'static str> {
    let imports = |interface: &str| error.contains(interface);
    if imports("wasi:sockets") || imports("wasi:filesystem") {
        Some("a component from componentize-py is built with --stub-wasi")
    } else if imports("wasi:http") {
        Some(
            "a policy has no network; from componentize-js, one is built with disableFeatures: ['http', 'fetch-event', …]",
        )
    } else {
        None
    }
}
