//! The `gavel` command line.
//!
//! Exit status: 0 done, 1 what was asked is not so, 2 wrong usage, 3 a fault.

mod backtest;
mod chat;
mod config;
mod demo;
mod openapi;
mod operate;
mod plugin;
mod replay;
mod serve;
mod user;
mod vault;
mod verify;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;
use crate::server::StartError;
use crate::telemetry::TelemetryError;

/// What was asked is not so.
const NOT_SO: u8 = 1;
/// The command was used wrongly.
const USAGE: u8 = 2;
/// Something failed.
pub const FAULT: u8 = 3;

/// Governed AI agents, self-hosted.
#[derive(Debug, Parser)]
#[command(name = "gavel", version, about, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Chat(chat::Args),
    Plugin(plugin::Args),
    User(user::Args),
    Vault(vault::Args),
    Verify(verify::Args),
    Replay(replay::Args),
    Backtest(backtest::Args),
    Config(config::Args),
    Openapi(openapi::Args),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// There is no configuration.
    #[error("the configuration: {0}")]
    Config(#[from] ConfigError),
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The server did not start.
    #[error("the server did not start: {0}")]
    Start(#[from] StartError),
    /// A file could not be read.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// Standard input or output failed.
    #[error("standard input or output: {0}")]
    Io(#[from] io::Error),
    /// A command's own failure.
    #[error("{0}")]
    Failed(String),
}

/// Runs one command. Wrong usage is said on standard error and is no fault.
///
/// # Errors
/// Faults: what the caller shows and answers with [`FAULT`].
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, CliError> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            error.print()?;
            let code = if error.use_stderr() { USAGE } else { 0 };
            return Ok(ExitCode::from(code));
        }
    };
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Chat(args) => chat::run(&args),
        Command::Plugin(args) => plugin::run(&args),
        Command::User(args) => user::run(&args),
        Command::Vault(args) => vault::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Openapi(openapi::Args {}) => openapi::run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_no_fault() {
        let code = run(["gavel", "serve", "--listen", "nowhere"].map(OsString::from)).unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(USAGE)));
    }
}
