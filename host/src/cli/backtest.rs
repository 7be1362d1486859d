//! `gavel backtest POLICY`: what a policy would have decided on what was said before.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use gavel_store::AgentId;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::operate::operate_with;
use super::{CliError, USAGE};
use crate::admin_socket::{Answer, Request};
use crate::backtest::{Candidate, Change, Example, Progress, Report, Tally};
use crate::clock::parse_rfc3339;
use crate::config::{self, Overrides};

/// Judge the stored history again by another policy, version or configuration, and print what would change.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel backtest pii --config stricter.json --since 2026-01-01T00:00:00Z")]
pub(super) struct Args {
    /// The policy, with or without a version: pii, pii@1.2.0, pii@sha256:…
    policy: String,
    /// The candidate's component, where it is not installed; POLICY then only says whose verdicts it is compared with
    #[arg(long, value_name = "FILE.wasm")]
    file: Option<PathBuf>,
    /// The candidate's configuration, as JSON [default: {}]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The one agent whose history is judged [default: all]
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// Only what was said from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only what was said before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Where the server keeps everything [default: ./gavel-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG")]
    server_config: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<i64, String> {
    parse_rfc3339(text).ok_or_else(|| "a time of RFC 3339, such as 2026-01-31T12:00:00Z".to_owned())
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let flags = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let config = config::load(args.server_config.as_deref(), &flags)?;
    let configuration = match args.config.as_deref().map(configuration).transpose()? {
        Some(Ok(configuration)) => configuration,
        Some(Err(detail)) => {
            eprintln!("gavel: --config: {detail}");
            return Ok(ExitCode::from(USAGE));
        }
        None => json!({}),
    };
    let candidate = match &args.file {
        // The server has a directory of its own.
        Some(file) => Candidate::File(std::path::absolute(file)?),
        None => Candidate::Installed(args.policy.clone()),
    };
    let policy = args.policy.split_once('@').map_or(args.policy.as_str(), |(policy, _)| policy).to_owned();
    let (agent, since, until) = (args.agent, args.since, args.until);
    let request = Request::Backtest { policy, candidate, config: configuration, agent, since, until };
    let bar = progress_bar();
    let done = operate_with(config, request, &mut |progress| show(&bar, progress))?;
    bar.finish_and_clear();
    let report = match done {
        Ok(Answer::Backtested { report }) => report,
        Ok(_) => return Err(CliError::Failed("the server gave another command's answer".to_owned())),
        Err(refused) => return Ok(refused),
    };
    let mut out = std::io::stdout().lock();
    let text = if args.json { json!(report).to_string() } else { in_words(&report) };
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A configuration's file; the inner error is wrong usage.
fn configuration(file: &Path) -> Result<Result<Value, String>, CliError> {
    let text = std::fs::read(file).map_err(|error| CliError::File(file.display().to_string(), error))?;
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{} is no JSON: {error}", file.display())))
}

/// On a terminal; in a pipe there is none.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.percent);
    bar.set_message(format!("{} messages, {}/s", progress.judged, progress.per_second));
}

fn in_words(report: &Report) -> String {
    let Report { policy, candidate, tally, elapsed_ms, per_second, .. } = report;
    let Tally { looked_at, judged, cut_off, skipped, compared_with, .. } = tally;
    let mut lines = vec![
        format!("{} {} under configuration {}", candidate.policy, candidate.version, candidate.config),
        format!("{judged} of {looked_at} results judged again in {elapsed_ms} ms, {per_second} messages/s"),
    ];
    if skipped.no_opening > 0 {
        lines.push(format!("{} have no text any more, or never had one kept", skipped.no_opening));
    }
    if skipped.other_stage > 0 {
        lines.push(format!("{} are of stages that it does not judge", skipped.other_stage));
    }
    if *cut_off > 0 {
        lines.push(format!("{cut_off} broke off: what would have followed is unknown"));
    }
    if compared_with.decision > 0 {
        lines.push(format!(
            "{} had no verdict of {policy}, and were held against the whole decision",
            compared_with.decision
        ));
    }
    lines.push(format!("newly blocked      {}", tally.newly_blocked));
    lines.push(format!("newly redacted     {}", tally.newly_redacted));
    lines.push(format!("newly let through  {}", tally.newly_let_through));
    lines.push(format!("unchanged          {}", tally.unchanged));
    lines.extend(tally.errors.iter().map(|(error, count)| format!("no verdict ({error})  {count}")));
    lines.extend(tally.rules.iter().map(|(rule, changes)| {
        format!(
            "  {rule}: {} blocked, {} redacted, {} let through",
            changes.newly_blocked, changes.newly_redacted, changes.newly_let_through
        )
    }));
    lines.extend(tally.examples.iter().map(example_in_words));
    lines.join("\n")
}

fn example_in_words(example: &Example) -> String {
    let Example { change, leaf_hash, agent_id, time, rules, .. } = example;
    let change = match change {
        Change::NewlyBlocked => "blocked",
        Change::NewlyRedacted => "redacted",
        Change::NewlyLetThrough => "let through",
    };
    format!("  {change}: {leaf_hash} of {agent_id} at {time} [{}]", rules.join(", "))
}
