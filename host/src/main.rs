//! The `gavel` binary: the command line of the library, with faults shown on standard error.

use std::process::ExitCode;

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
