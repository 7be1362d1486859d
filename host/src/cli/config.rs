//! `gavel config check|show`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, NOT_SO};
use crate::config::{self, Config, ConfigError, Overrides};
use crate::plugins::trust::Trust;
use crate::plugins::{UnboundError, check_bindings};

/// Check or show the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel config check --config gavel.toml")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether it is acceptable
    Check,
    /// Print all of it, with defaults
    Show,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    match (config::load(args.config.as_deref(), &Overrides::default()), &args.action) {
        (Ok(config), Action::Check) => {
            if let Err(error) = Trust::open(&config.plugins.trust) {
                return not_so(&mut out, args.json, &error);
            }
            if let Err(error) = bound(&config)? {
                return not_so(&mut out, args.json, &error);
            }
            if args.json {
                writeln!(out, "{}", serde_json::json!({"ok": true}))?;
            } else {
                writeln!(out, "the configuration is acceptable")?;
            }
        }
        (Ok(config), Action::Show) => {
            let text = serde_json::to_string_pretty(&config)
                .map_err(|error| CliError::Failed(format!("the configuration cannot be shown: {error}")))?;
            writeln!(out, "{text}")?;
        }
        (Err(error @ (ConfigError::Invalid(_) | ConfigError::OutOfBounds(_))), Action::Check) => {
            return not_so(&mut out, args.json, &error);
        }
        (Err(error), _) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the policies of every agent can be bound.
fn bound(config: &Config) -> Result<Result<(), UnboundError>, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(check_bindings(config)))
}

fn not_so(out: &mut impl std::io::Write, json: bool, error: &dyn std::error::Error) -> Result<ExitCode, CliError> {
    if json {
        writeln!(out, "{}", serde_json::json!({"ok": false, "error": error.to_string()}))?;
    } else {
        eprintln!("{error}");
    }
    Ok(ExitCode::from(NOT_SO))
}
