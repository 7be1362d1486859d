//! `gavel plugin list`

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::super::CliError;
use super::installation::{Installation, another_answer, line};
use crate::admin_socket::{Answer, Request};

/// List the plugins that serve, that wait for approval and that were refused
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin list --json")]
pub(super) struct Args {
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let plugins = match args.installation.ask(Request::ListPlugins {})? {
        Ok(Answer::Plugins { plugins }) => plugins,
        Ok(_) => return Err(another_answer()),
        Err(refused) => return Ok(refused),
    };
    let mut out = std::io::stdout().lock();
    if args.installation.json {
        writeln!(out, "{}", json!({"plugins": plugins}))?;
    } else {
        plugins.iter().try_for_each(|plugin| writeln!(out, "{}", line(plugin)))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
