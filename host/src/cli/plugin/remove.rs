//! `gavel plugin remove`

use std::process::ExitCode;

use super::super::CliError;
use super::installation::Installation;
use crate::admin_socket::Request;

/// Take a version off the list; what was judged by it can still be computed again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin remove code-names@1.0.0")]
pub(super) struct Args {
    /// NAME, NAME@VERSION or NAME@sha256:…; the name alone where it has one version
    #[arg(value_name = "NAME[@VERSION]")]
    plugin: String,
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    args.installation.change(Request::RemovePlugin { plugin: args.plugin.clone() }, "removed")
}
