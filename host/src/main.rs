//! The `gavel` binary: the command line of the library, with faults shown on standard error.

use std::process::ExitCode;

/// A turn makes some thousand small allocations on several threads, a fifth of its CPU time with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match gavel::cli::run(std::env::args_os()) {
        Ok(code) => code,
        Err(fault) => {
            // Each error's words hold those of its cause.
            eprintln!("gavel: {fault}");
            ExitCode::from(gavel::cli::FAULT)
        }
    }
}
