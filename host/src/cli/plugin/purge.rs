//! `gavel plugin purge`

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::super::CliError;
use super::installation::{Installation, another_answer};
use crate::admin_socket::{Answer, PurgedPlugin, Request};

/// Remove the bytes of versions that are off the list, and tell which records can no longer be computed again
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Remove the bytes of versions that are off the list and that no binding is pinned to, and tell which \
                  records can no longer be computed again. The records stay, and so do their proofs.",
    after_help = "Example: gavel plugin purge --dry-run"
)]
pub(super) struct Args {
    /// Remove nothing, only tell what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let plugins = match args.installation.ask(Request::PurgePlugins { dry_run: args.dry_run })? {
        Ok(Answer::Purged { plugins }) => plugins,
        Ok(_) => return Err(another_answer()),
        Err(refused) => return Ok(refused),
    };
    let mut out = std::io::stdout().lock();
    if args.installation.json {
        writeln!(out, "{}", json!({"removed": !args.dry_run, "plugins": plugins}))?;
    } else {
        plugins.iter().try_for_each(|plugin| writeln!(out, "{}", line(plugin, args.dry_run)))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn line(plugin: &PurgedPlugin, dry_run: bool) -> String {
    let done = if dry_run { "would remove" } else { "removed" };
    let name = match (&plugin.name, &plugin.version) {
        (Some(name), Some(version)) => format!("{name} {version} "),
        _ => String::new(),
    };
    let records = match &plugin.leaves {
        Some([oldest, newest]) => {
            format!("{} records can no longer be computed again, {oldest} to {newest}", plugin.records)
        }
        None => "no record names it".to_owned(),
    };
    format!("{done} {name}{}: {records}", plugin.digest)
}
