//! `gavel user add|list|revoke`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use gavel_store::{UserId, UserRole};
use serde_json::{Value, json};

use super::CliError;
use super::operate::operate;
use crate::admin_socket::{Answer, Request, UserSummary};
use crate::config::{self, Overrides};

/// Make, list and revoke users.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel user add alice --auditor")]
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
    /// Make a user and print the token, this once
    #[command(after_help = "Example: gavel user add alice --admin")]
    Add {
        /// A name that nobody has
        name: UserId,
        /// May change plugins and see every agent's verdicts
        #[arg(long)]
        admin: bool,
        /// May see every agent's verdicts
        #[arg(long, conflicts_with = "admin")]
        auditor: bool,
        /// Give a user who exists another token; the old one ends, the role stays
        #[arg(long, conflicts_with_all = ["admin", "auditor"])]
        new_token: bool,
    },
    /// List all users
    #[command(after_help = "Example: gavel user list --json")]
    List,
    /// End a user's token and the API keys of the user's agents, at once
    #[command(after_help = "Example: gavel user revoke alice")]
    Revoke {
        /// The user's name
        name: UserId,
    },
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let flags = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let config = config::load(args.config.as_deref(), &flags)?;
    let done = match operate(config, request(&args.action))? {
        Ok(done) => done,
        Err(refused) => return Ok(refused),
    };
    say(&args.action, &done, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn request(action: &Action) -> Request {
    match action {
        Action::Add { name, new_token: true, .. } => Request::RenewUser { name: name.clone() },
        Action::Add { name, admin, auditor, .. } => {
            let role = match (admin, auditor) {
                (true, _) => UserRole::Admin,
                (false, true) => UserRole::Auditor,
                (false, false) => UserRole::Member,
            };
            Request::AddUser { name: name.clone(), role }
        }
        Action::List => Request::ListUsers {},
        Action::Revoke { name } => Request::RevokeUser { name: name.clone() },
    }
}

fn say(action: &Action, done: &Answer, json: bool) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match (action, done) {
        (Action::Add { .. }, Answer::Token { user, token }) if json => {
            let mut shown = serde_json::to_value(user).unwrap_or(Value::Null);
            if let Some(members) = shown.as_object_mut() {
                members.insert("token".to_owned(), json!(token));
            }
            writeln!(out, "{shown}")?;
        }
        (Action::Add { .. }, Answer::Token { user, token }) => {
            eprintln!("the token of {}, shown this once:", user.name);
            writeln!(out, "{token}")?;
        }
        (Action::List, Answer::Users { users }) if json => writeln!(out, "{}", json!({"users": users}))?,
        (Action::List, Answer::Users { users }) => users.iter().try_for_each(|user| writeln!(out, "{}", line(user)))?,
        (Action::Revoke { name }, Answer::Done {}) if json => {
            writeln!(out, "{}", json!({"name": name, "active": false}))?;
        }
        (Action::Revoke { name }, Answer::Done {}) => writeln!(out, "{name} is revoked")?,
        _ => return Err(CliError::Failed("the server gave another command's answer".to_owned())),
    }
    out.flush()?;
    Ok(())
}

fn line(user: &UserSummary) -> String {
    let role = match user.role {
        UserRole::Admin => "admin",
        UserRole::Auditor => "auditor",
        UserRole::Member => "member",
    };
    let state = if user.active { "active" } else { "revoked" };
    format!("{}\t{role}\t{state}\t{}", user.name, user.created_at)
}
