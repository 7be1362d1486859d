//! `gavel plugin install`

use std::path::PathBuf;
use std::process::ExitCode;

use super::super::{CliError, NOT_SO};
use super::installation::Installation;
use crate::admin_socket::Request;

/// What a registry's reference begins with.
const OCI: &str = "oci:";
/// What a signature's file is called behind the plugin's.
const SIGNATURE: &str = "sig";

/// Install a plugin from a file or an OCI registry
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Install a plugin from a file or an OCI registry, with or without a running server. It is checked, tried \
                  out and compiled first; then every agent that follows its name has it from the next turn on. The \
                  server reads the file itself. A signature is taken from FILE.sig where that exists.",
    after_help = "Examples: gavel plugin install ./code-names.wasm\n          \
                  gavel plugin install oci:registry.example.org/team/code-names:1.0.0"
)]
pub(super) struct Args {
    /// A component, or oci: and a reference, registry/repository:tag or registry/repository@sha256:…
    #[arg(value_name = "FILE|oci:REFERENCE")]
    what: String,
    /// A file with the component's signature [default: FILE.sig, where it exists]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    installation: Installation,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let request = match args.what.strip_prefix(OCI) {
        Some(reference) => Request::PullPlugin { reference: reference.to_owned() },
        None => match file(args) {
            Ok(request) => request,
            Err(why) => {
                eprintln!("gavel: {why}");
                return Ok(ExitCode::from(NOT_SO));
            }
        },
    };
    args.installation.change(request, "installed")
}

/// Whoever carries it out may have another working directory.
fn file(args: &Args) -> Result<Request, String> {
    let absolute = |path: PathBuf| std::fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()));
    let file = absolute(args.what.clone().into())?;
    let beside = file.with_added_extension(SIGNATURE);
    let signature = match &args.signature {
        Some(path) => Some(absolute(path.clone())?),
        None => beside.is_file().then_some(beside),
    };
    Ok(Request::InstallPlugin { file, signature })
}
