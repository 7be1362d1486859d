//! `gavel replay LEAF`: a stored verdict computed again.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use gavel_log::Hash;
use serde_json::json;

use super::operate::operate;
use super::{CliError, NOT_SO};
use crate::admin_socket::{Answer, Request};
use crate::config::{self, Overrides};
use crate::replay::{Outcome, PolicyReplay, Replayed, ReplayedLeaf, Seen};

/// Compute the verdicts of a leaf again, from the stored component, configuration and text.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gavel replay sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n\
    Exit status: 0 every verdict is the same, 1 one is not, or could not be computed again: the words say which"
)]
pub(super) struct Args {
    /// The leaf's hash, as a governance result names it
    #[arg(value_parser = leaf)]
    leaf: Hash,
    /// Where the server keeps everything [default: ./gavel-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG")]
    config: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

fn leaf(text: &str) -> Result<Hash, String> {
    Hash::parse_tagged(text).map_err(|_| "a leaf hash is sha256: and 64 lower-case hex digits".to_owned())
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let flags = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let config = config::load(args.config.as_deref(), &flags)?;
    let leaf = match operate(config, Request::Replay { leaf: args.leaf })? {
        Ok(Answer::Replayed { leaf }) => leaf,
        Ok(_) => return Err(CliError::Failed("the server gave another command's answer".to_owned())),
        Err(refused) => return Ok(refused),
    };
    let mut out = std::io::stdout().lock();
    let text = if args.json { json!(leaf).to_string() } else { leaf_in_words(&leaf) };
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(if leaf.replay.outcome == Outcome::Same { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
}

fn leaf_in_words(leaf: &ReplayedLeaf) -> String {
    format!(
        "leaf {}, agent {}, stage {}, decision {}, at {}\n{}",
        leaf.leaf_index,
        leaf.agent,
        word(&leaf.stage),
        word(&leaf.decision),
        leaf.time,
        in_words(&leaf.replay)
    )
}

/// Each policy in a line, and what follows from all of them.
pub(super) fn in_words(replayed: &Replayed) -> String {
    let mut lines: Vec<String> = replayed.policies.iter().map(policy_in_words).collect();
    lines.push(match (replayed.policies.as_slice(), replayed.outcome) {
        ([], _) => "no policy was asked: there is nothing to compute again".to_owned(),
        (_, Outcome::Same) => "computed again: every verdict is the same, byte for byte".to_owned(),
        (_, Outcome::NotReproducible) => "computed again: nothing differs that may not".to_owned(),
        (_, Outcome::Impossible) => "not every verdict could be computed again".to_owned(),
        (_, Outcome::Different) => "computed again: NOT the same".to_owned(),
    });
    lines.join("\n")
}

fn policy_in_words(replay: &PolicyReplay) -> String {
    let PolicyReplay { policy, version, outcome, recorded, computed, reason, micros, .. } = replay;
    let mut line = format!("{policy} {version}: {}; recorded {}", outcome_in_words(*outcome), seen_in_words(recorded));
    if let Some(computed) = computed {
        line.push_str(&format!(", computed {} in {micros} µs", seen_in_words(computed)));
    }
    if let Some(reason) = reason {
        line.push_str(&format!(" ({reason})"));
    }
    line
}

fn outcome_in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Same => "the same",
        Outcome::NotReproducible => "not reproducible",
        Outcome::Impossible => "cannot be computed again",
        Outcome::Different => "DIFFERENT",
    }
}

fn seen_in_words(seen: &Seen) -> String {
    let mut words = word(&seen.decision);
    if let Some(error) = &seen.error {
        words.push_str(&format!(" after the error {}", word(error)));
    }
    let mut rules: Vec<String> =
        seen.findings.iter().map(|finding| format!("{} ×{}", finding.rule, finding.count)).collect();
    if seen.more > 0 {
        rules.push(format!("{} more", seen.more));
    }
    if !rules.is_empty() {
        words.push_str(&format!(" [{}]", rules.join(", ")));
    }
    words
}

/// An enum's word in JSON.
fn word(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}
