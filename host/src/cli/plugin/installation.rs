//! What the subcommands have in common that change an installation.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::super::CliError;
use super::super::operate::operate;
use crate::admin_socket::{Answer, PluginSummary, Request};
use crate::config::{self, Overrides};

/// Which installation, and how it is said.
#[derive(Debug, clap::Args)]
pub(super) struct Installation {
    /// Where the server keeps everything [default: ./gavel-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG")]
    config: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Installation {
    /// What became of a request: what is to be said, or the exit status of a refusal.
    pub(super) fn ask(&self, request: Request) -> Result<Result<Answer, ExitCode>, CliError> {
        let flags = Overrides { data_dir: self.data_dir.clone(), ..Overrides::default() };
        operate(config::load(self.config.as_deref(), &flags)?, request)
    }

    /// Asks for something of one plugin, and says how it stands then.
    pub(super) fn change(&self, request: Request, done: &str) -> Result<ExitCode, CliError> {
        let plugin = match self.ask(request)? {
            Ok(Answer::Plugin { plugin }) => plugin,
            Ok(_) => return Err(another_answer()),
            Err(refused) => return Ok(refused),
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            let json = serde_json::to_string(&plugin).map_err(|error| CliError::Failed(error.to_string()))?;
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{done} {}", line(&plugin))?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn another_answer() -> CliError {
    CliError::Failed("the server gave another command's answer".to_owned())
}

/// One line for one version.
pub(super) fn line(plugin: &PluginSummary) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut line = format!(
        "{}\t{}\t{}\t{}\t{}\t{}",
        plugin.name,
        or_none(&plugin.kind),
        or_none(&plugin.version),
        plugin.state,
        plugin.source,
        or_none(&plugin.digest)
    );
    if let Some(signer) = &plugin.signed_by {
        line.push_str(&format!("\tsigned by {signer}"));
    }
    if let Some(error) = &plugin.error {
        line.push_str(&format!("\t{error}"));
    }
    line
}
