//! `gavel plugin …`: a file for each subcommand.

mod approve;
mod cases;
mod check;
mod examine;
mod install;
mod installation;
mod list;
mod new;
mod purge;
mod remove;
mod template;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::CliError;

/// Make, check, try, install and remove plugins.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin new code-names --lang rust")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::Args),
    Check(check::Args),
    Test(test::Args),
    Install(install::Args),
    List(list::Args),
    Approve(approve::Args),
    Remove(remove::Args),
    Purge(purge::Args),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::New(args) => new::run(args),
        Action::Check(args) => check::run(args),
        Action::Test(args) => test::run(args),
        Action::Install(args) => install::run(args),
        Action::List(args) => list::run(args),
        Action::Approve(args) => approve::run(args),
        Action::Remove(args) => remove::run(args),
        Action::Purge(args) => purge::run(args),
    }
}
