//! `gavel vault rotate`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::operate::operate;
use super::{CliError, NOT_SO, USAGE};
use crate::admin_socket::{Answer, Request};
use crate::config::{self, Overrides};
use crate::vault::{NewMasterKey, VaultError};

/// The environment variable that may hold the new key.
const NEW_KEY: &str = "GAVEL_VAULT_NEW_KEY";

/// Change the key that all others are encrypted under.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel vault rotate --data-dir ./gavel-data")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Where the server keeps everything [default: ./gavel-data]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Rewrap every agent's data key under a new master key
    #[command(
        long_about = "Rewrap every agent's data key under a new master key, with or without a running server. The new \
                      key is made, unless --new-key-file or GAVEL_VAULT_NEW_KEY gives it: 32 bytes as base64. The file \
                      that the server reads its key from gets the new one. Where the key comes from GAVEL_VAULT_KEY, the \
                      new one has to be given, and set there before the next start.",
        after_help = "Example: openssl rand -base64 32 > new-key && chmod 600 new-key && gavel vault rotate --new-key-file new-key"
    )]
    Rotate {
        /// A private file that holds the new key
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let Action::Rotate { new_key_file } = &args.action;
    let new_key = match (new_key_file, std::env::var(NEW_KEY).map(Zeroizing::new)) {
        (Some(_), Ok(_)) => {
            eprintln!("gavel: give the new key by --new-key-file or in {NEW_KEY}, not both");
            return Ok(ExitCode::from(USAGE));
        }
        (Some(file), Err(_)) => Some(NewMasterKey::read(file)),
        (None, Ok(text)) => Some(NewMasterKey::parse(&text, NEW_KEY)),
        (None, Err(_)) => None,
    };
    let new_key = match new_key.transpose() {
        Ok(new_key) => new_key,
        Err(error @ (VaultError::MasterKey(_) | VaultError::NoKeyFile(_))) => {
            eprintln!("gavel: {error}");
            return Ok(ExitCode::from(NOT_SO));
        }
        Err(error) => return Err(CliError::Failed(error.to_string())),
    };
    let flags = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let config = config::load(args.config.as_deref(), &flags)?;
    match operate(config, Request::RotateVault { new_key })? {
        Ok(done) => say(&done, args.json),
        Err(refused) => Ok(refused),
    }
}

fn say(done: &Answer, as_json: bool) -> Result<ExitCode, CliError> {
    let Answer::Rotated { master_key, data_keys, file } = done else {
        return Err(CliError::Failed("the server gave another command's answer".to_owned()));
    };
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{}", json!({"master_key": master_key, "data_keys": data_keys, "file": file}))?;
    } else {
        writeln!(out, "the master key is {master_key} now; it wraps {data_keys} data keys")?;
        match file {
            Some(file) => writeln!(out, "it is in {}", file.display())?,
            None => writeln!(out, "set GAVEL_VAULT_KEY to it before the server's next start")?,
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
