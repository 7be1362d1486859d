//! `gavel openapi`

use std::io::Write as _;
use std::process::ExitCode;

use super::CliError;
use crate::api;

/// Print the API's description: OpenAPI 3.1, as a running server gives it at `/openapi.json`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel openapi > openapi.json")]
pub(super) struct Args {}

pub(super) fn run() -> Result<ExitCode, CliError> {
    std::io::stdout().lock().write_all(api::openapi_text().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
