//! `gavel plugin …`: a file for each subcommand.

mod cases;
mod check;
mod examine;
mod new;
mod template;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::CliError;

/// Make, check and try plugins.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::Args),
    Check(check::Args),
    Test(test::Args),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::New(args) => new::run(args),
        Action::Check(args) => check::run(args),
        Action::Test(args) => test::run(args),
    }
}
