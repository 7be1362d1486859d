//! The WASI of a policy: nothing to see, nothing to reach, nothing that differs between two runs.
//!
//! The clocks stand still, randomness is a fixed sequence that starts anew before every exported call, output is
//! discarded, input is at its end. Waiting (`wasi:io/poll`, every `subscribe-*`) and all else that is allowed to be
//! imported traps when called. What is not on [`ALLOWED`] may not even be imported.

use wasmtime::component::{Component, ComponentType, Lift, Linker, Lower, Resource, ResourceType};
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

/// WASI releases are compatible within 0.2, so one definition serves every patch level.
const VERSION: &str = "0.2.0";
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

type Cx<'a> = StoreContextMut<'a, Guest>;

/// A linker for `component`: the deterministic part of WASI, traps for the rest.
pub(super) fn linker(engine: &Engine, component: &Component) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    io(&mut linker)?;
    cli(&mut linker)?;
    clocks(&mut linker)?;
    random(&mut linker)?;
    filesystem(&mut linker)?;
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}

/// Every resource of WASI is the same to a policy: a handle to nothing.
fn resources(linker: &mut Linker<Guest>, interface: &str, names: &[&str]) -> Result<()> {
    let mut instance = linker.instance(&format!("{interface}@{VERSION}"))?;
    for name in names {
        instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
    }
    Ok(())
}

fn io(linker: &mut Linker<Guest>) -> Result<()> {
    resources(linker, "wasi:io/error", &["error"])?;
    resources(linker, "wasi:io/poll", &["pollable"])?;
    resources(linker, "wasi:io/streams", &["error", "pollable", "input-stream", "output-stream"])?;
    let mut streams = linker.instance(&format!("wasi:io/streams@{VERSION}"))?;
    for read in ["read", "blocking-read"] {
        streams.func_wrap(&format!("[method]input-stream.{read}"), |_: Cx<'_>, (_, _): (Resource<()>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    streams.func_wrap("[method]output-stream.check-write", |_: Cx<'_>, (_,): (Resource<()>,)| {
        Ok((Ok::<u64, StreamError>(STREAM_WINDOW),))
    })?;
    for write in ["write", "blocking-write-and-flush"] {
        streams
            .func_wrap(&format!("[method]output-stream.{write}"), |_: Cx<'_>, (_, _): (Resource<()>, Vec<u8>)| {
                Ok((Ok::<(), StreamError>(()),))
            })?;
    }
    for flush in ["flush", "blocking-flush"] {
        streams.func_wrap(&format!("[method]output-stream.{flush}"), |_: Cx<'_>, (_,): (Resource<()>,)| {
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    Ok(())
}

fn cli(linker: &mut Linker<Guest>) -> Result<()> {
    let mut environment = linker.instance(&format!("wasi:cli/environment@{VERSION}"))?;
    environment.func_wrap("get-environment", |_: Cx<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Cx<'_>, (): ()| Ok((None::<String>,)))?;

    let streams = [("stdin", "input-stream"), ("stdout", "output-stream"), ("stderr", "output-stream")];
    for (name, resource) in streams {
        let interface = format!("wasi:cli/{name}");
        resources(linker, &interface, &[resource])?;
        linker
            .instance(&format!("{interface}@{VERSION}"))?
            .func_wrap(&format!("get-{name}"), |_: Cx<'_>, (): ()| Ok((Resource::<()>::new_own(0),)))?;
        let terminal = if name == "stdin" { "terminal-input" } else { "terminal-output" };
        resources(linker, &format!("wasi:cli/terminal-{name}"), &[terminal])?;
        linker
            .instance(&format!("wasi:cli/terminal-{name}@{VERSION}"))?
            .func_wrap(&format!("get-terminal-{name}"), |_: Cx<'_>, (): ()| Ok((None::<Resource<()>>,)))?;
    }
    resources(linker, "wasi:cli/terminal-input", &["terminal-input"])?;
    resources(linker, "wasi:cli/terminal-output", &["terminal-output"])
}

fn clocks(linker: &mut Linker<Guest>) -> Result<()> {
    resources(linker, "wasi:clocks/monotonic-clock", &["pollable"])?;
    let mut monotonic = linker.instance(&format!("wasi:clocks/monotonic-clock@{VERSION}"))?;
    monotonic.func_wrap("now", |_: Cx<'_>, (): ()| Ok((0_u64,)))?;
    monotonic.func_wrap("resolution", |_: Cx<'_>, (): ()| Ok((1_u64,)))?;
    let mut wall = linker.instance(&format!("wasi:clocks/wall-clock@{VERSION}"))?;
    for name in ["now", "resolution"] {
        wall.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 0 },)))?;
    }
    Ok(())
}

fn random(linker: &mut Linker<Guest>) -> Result<()> {
    for (interface, prefix) in [("random", "get-random"), ("insecure", "get-insecure-random")] {
        let mut instance = linker.instance(&format!("wasi:random/{interface}@{VERSION}"))?;
        instance.func_wrap(&format!("{prefix}-bytes"), |mut cx: Cx<'_>, (len,): (u64,)| {
            if len > RANDOM_BYTES {
                bail!("a policy asked for {len} random bytes");
            }
            let guest = cx.data_mut();
            let bytes = (0..len).map(|_| guest.next_random().to_le_bytes()[0]).collect::<Vec<u8>>();
            Ok((bytes,))
        })?;
        instance.func_wrap(&format!("{prefix}-u64"), |mut cx: Cx<'_>, (): ()| Ok((cx.data_mut().next_random(),)))?;
    }
    linker.instance(&format!("wasi:random/insecure-seed@{VERSION}"))?.func_wrap(
        "insecure-seed",
        |mut cx: Cx<'_>, (): ()| {
            let guest = cx.data_mut();
            Ok(((guest.next_random(), guest.next_random()),))
        },
    )
}

fn filesystem(linker: &mut Linker<Guest>) -> Result<()> {
    resources(linker, "wasi:filesystem/preopens", &["descriptor"])?;
    linker
        .instance(&format!("wasi:filesystem/preopens@{VERSION}"))?
        .func_wrap("get-directories", |_: Cx<'_>, (): ()| Ok((Vec::<(Resource<()>, String)>::new(),)))
}
