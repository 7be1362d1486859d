//! The imports that a provider may have, and the linker that gives them.

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::random::WasiRandom;

use super::bindings::ProviderPlugin;
use super::guest::Guest;

/// Interfaces by name without version. Files are there because standard libraries import them; no directory is open.
const ALLOWED: &[&str] = &[
    "gavel:plugin/sink",
    "gavel:plugin/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The first import that a provider is not given.
pub(super) fn forbidden_import(engine: &Engine, component: &Component) -> Option<String> {
    let component_type = component.component_type();
    let forbidden = component_type.imports(engine).map(|(name, _)| name).find(|name| !is_allowed(name));
    forbidden.map(str::to_owned)
}

fn is_allowed(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    let released = if interface.starts_with("wasi:") { version.starts_with("0.2.") } else { version == "0.1.0" };
    released && ALLOWED.contains(&interface)
}

/// Everything in the list above, and nothing else.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::<Guest>::new(engine);
    let l = &mut linker;
    wasmtime_wasi_http::p2::add_to_linker_async(l)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, Guest::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, Guest::filesystem)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    ProviderPlugin::add_to_linker::<_, HasSelf<_>>(l, |guest| guest)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_unknown_versions_are_not_allowed() {
        assert!(is_allowed("wasi:io/streams@0.2.6"));
        assert!(is_allowed("gavel:plugin/sink@0.1.0"));
        for name in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams",
            "gavel:plugin/sink@0.2.0",
            "wasi:http/incoming-handler@0.2.6",
            "wasi:keyvalue/store@0.2.0",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }
}
