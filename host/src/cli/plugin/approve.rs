//! `gavel plugin approve`

use std::process::ExitCode;

use super::super::CliError;
use super::installation::Installation;
use crate::admin_socket::Request;

/// Grant a provider the origins and the header that it asks for
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin approve acme@1.1.0")]
pub(super) struct Args {
    /// NAME, NAME@VERSION or NAME@sha256:…; the name alone means the newest version that waits
    #[arg(value_name = "NAME[@VERSION]")]
    plugin: String,
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    args.installation.change(Request::ApprovePlugin { plugin: args.plugin.clone() }, "approved")
}
