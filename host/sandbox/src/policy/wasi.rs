//! The WASI of a policy: nothing to see, nothing to reach, nothing that differs between two runs.
//!
//! The clocks stand still, randomness is a fixed sequence that starts anew before every exported call, output is
//! discarded (or shown to a policy's author), input is at its end. Waiting for time (every `subscribe-*`, `poll`) and all else that is allowed to be
//! imported traps when called. What is not on [`ALLOWED`] may not even be imported.

use std::sync::Arc;

use wasmtime::component::{Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut, bail};

use super::guest::Guest;

/// Interfaces that a policy may import, without their versions. A language's runtime imports them; a policy has no
/// use for them.
const ALLOWED: [&str; 22] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "gavel:plugin/types",
    "gavel:plugin/policy",
];

/// Most random bytes for one call.
const RANDOM_BYTES: u64 = 64 << 10;
/// What a stream says it would take at once.
const STREAM_WINDOW: u64 = 64 << 10;

/// The first import that a policy may not have, if any.
pub(super) fn forbidden_import(engine: &Engine, component: &Component) -> Option<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_string()).find(|name| {
        let interface = name.split('@').next().unwrap_or(name);
        !ALLOWED.contains(&interface)
    })
}

/// `wasi:io/streams.stream-error`. Only `closed` is ever given.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type of the interface has both cases")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<()>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Takes what policies print. A server has none; an author sees it.
pub type Printer = Arc<dyn Fn(&[u8]) + Send + Sync>;

type Cx<'a> = StoreContextMut<'a, Guest>;
type Instance<'a> = LinkerInstance<'a, Guest>;

/// A linker for `component`: the deterministic part of WASI, traps for the rest.
///
/// Each interface is defined under the very name, version included, that the component imports it by: the traps for
/// what is unknown would otherwise take its place.
///
/// What the component prints goes to the printer, if there is one.
pub(super) fn linker(engine: &Engine, component: &Component, printer: Option<&Printer>) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    for (name, _) in component.component_type().imports(engine) {
        let interface = name.split('@').next().unwrap_or(name);
        if interface.starts_with("wasi:") {
            define(interface, &mut linker.instance(name)?, printer)?;
        }
    }
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}

fn define(interface: &str, instance: &mut Instance<'_>, printer: Option<&Printer>) -> Result<()> {
    match interface {
        "wasi:io/error" => resources(instance, &["error"]),
        "wasi:io/poll" => poll(instance),
        "wasi:io/streams" => streams(instance, printer),
        "wasi:cli/environment" => environment(instance),
        "wasi:cli/stdin" => standard(instance, "input-stream", "get-stdin"),
        "wasi:cli/stdout" => standard(instance, "output-stream", "get-stdout"),
        "wasi:cli/stderr" => standard(instance, "output-stream", "get-stderr"),
        "wasi:cli/terminal-input" => resources(instance, &["terminal-input"]),
        "wasi:cli/terminal-output" => resources(instance, &["terminal-output"]),
        "wasi:cli/terminal-stdin" => no_terminal(instance, "terminal-input", "get-terminal-stdin"),
        "wasi:cli/terminal-stdout" => no_terminal(instance, "terminal-output", "get-terminal-stdout"),
        "wasi:cli/terminal-stderr" => no_terminal(instance, "terminal-output", "get-terminal-stderr"),
        "wasi:clocks/monotonic-clock" => monotonic_clock(instance),
        "wasi:clocks/wall-clock" => wall_clock(instance),
        "wasi:random/random" => random(instance, "get-random"),
        "wasi:random/insecure" => random(instance, "get-insecure-random"),
        "wasi:random/insecure-seed" => insecure_seed(instance),
        "wasi:filesystem/preopens" => preopens(instance),
        // `wasi:cli/exit` and `wasi:filesystem/types`: everything in them traps.
        _ => Ok(()),
    }
}

/// Every resource of WASI is the same to a policy: a handle to nothing.
fn resources(instance: &mut Instance<'_>, names: &[&str]) -> Result<()> {
    for name in names {
        instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
    }
    Ok(())
}

/// The only pollables are those of streams, which never wait. Whatever would wait for time traps before it has one.
fn poll(instance: &mut Instance<'_>) -> Result<()> {
    resources(instance, &["pollable"])?;
    instance.func_wrap("[method]pollable.ready", |_: Cx<'_>, (_,): (Resource<()>,)| Ok((true,)))?;
    instance.func_wrap("[method]pollable.block", |_: Cx<'_>, (_,): (Resource<()>,)| Ok(()))
}

fn streams(instance: &mut Instance<'_>, printer: Option<&Printer>) -> Result<()> {
    resources(instance, &["error", "pollable", "input-stream", "output-stream"])?;
    for stream in ["input-stream", "output-stream"] {
        instance.func_wrap(&format!("[method]{stream}.subscribe"), |_: Cx<'_>, (_,): (Resource<()>,)| {
            Ok((Resource::<()>::new_own(0),))
        })?;
    }
    for read in ["read", "blocking-read"] {
        instance.func_wrap(&format!("[method]input-stream.{read}"), |_: Cx<'_>, (_, _): (Resource<()>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    instance.func_wrap("[method]output-stream.check-write", |_: Cx<'_>, (_,): (Resource<()>,)| {
        Ok((Ok::<u64, StreamError>(STREAM_WINDOW),))
    })?;
    for write in ["write", "blocking-write-and-flush"] {
        let printer = printer.cloned();
        instance.func_wrap(
            &format!("[method]output-stream.{write}"),
            move |_: Cx<'_>, (_, bytes): (Resource<()>, Vec<u8>)| {
                if let Some(print) = &printer {
                    print(&bytes);
                }
                Ok((Ok::<(), StreamError>(()),))
            },
        )?;
    }
    for flush in ["flush", "blocking-flush"] {
        instance.func_wrap(&format!("[method]output-stream.{flush}"), |_: Cx<'_>, (_,): (Resource<()>,)| {
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    Ok(())
}

fn environment(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("get-environment", |_: Cx<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    instance.func_wrap("get-arguments", |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_: Cx<'_>, (): ()| Ok((None::<String>,)))
}

/// A standard stream: input at its end, output that goes nowhere.
fn standard(instance: &mut Instance<'_>, resource: &str, function: &str) -> Result<()> {
    resources(instance, &[resource])?;
    instance.func_wrap(function, |_: Cx<'_>, (): ()| Ok((Resource::<()>::new_own(0),)))
}

fn no_terminal(instance: &mut Instance<'_>, resource: &str, function: &str) -> Result<()> {
    resources(instance, &[resource])?;
    instance.func_wrap(function, |_: Cx<'_>, (): ()| Ok((None::<Resource<()>>,)))
}

fn monotonic_clock(instance: &mut Instance<'_>) -> Result<()> {
    resources(instance, &["pollable"])?;
    instance.func_wrap("now", |_: Cx<'_>, (): ()| Ok((0_u64,)))?;
    instance.func_wrap("resolution", |_: Cx<'_>, (): ()| Ok((1_u64,)))
}

fn wall_clock(instance: &mut Instance<'_>) -> Result<()> {
    for name in ["now", "resolution"] {
        instance.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 0 },)))?;
    }
    Ok(())
}

fn random(instance: &mut Instance<'_>, prefix: &str) -> Result<()> {
    instance.func_wrap(&format!("{prefix}-bytes"), |mut cx: Cx<'_>, (len,): (u64,)| {
        if len > RANDOM_BYTES {
            bail!("a policy asked for {len} random bytes");
        }
        let guest = cx.data_mut();
        Ok(((0..len).map(|_| guest.next_random().to_le_bytes()[0]).collect::<Vec<u8>>(),))
    })?;
    instance.func_wrap(&format!("{prefix}-u64"), |mut cx: Cx<'_>, (): ()| Ok((cx.data_mut().next_random(),)))
}

fn insecure_seed(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("insecure-seed", |mut cx: Cx<'_>, (): ()| {
        let guest = cx.data_mut();
        Ok(((guest.next_random(), guest.next_random()),))
    })
}

fn preopens(instance: &mut Instance<'_>) -> Result<()> {
    resources(instance, &["descriptor"])?;
    instance.func_wrap("get-directories", |_: Cx<'_>, (): ()| Ok((Vec::<(Resource<()>, String)>::new(),)))
}
