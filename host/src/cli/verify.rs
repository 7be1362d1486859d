//! `gavel verify`: a proof checked with no server.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gavel_log::verify::MAX_INPUT_BYTES;
use gavel_log::{ProofAnswer, Record, Signer, Verified, VerifierKey, VerifyFailure, verify};
use serde_json::{Value, json};

use super::{CliError, NOT_SO, USAGE, replay};
use crate::replay::{Directory, Outcome, Replayed, material};

/// Verify a proof offline: signature, inclusion, record and opening.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel verify proof.json --key log.vkey\n\
    Again: gavel verify proof.json --key log.vkey --replay --plugins gavel-data/components\n\
    Exit status: 0 it verifies (and every verdict is the same), 1 it does not, or nobody vouches for its signer")]
pub(super) struct Args {
    /// The JSON of a proofs answer or a tlog-proof text; - for standard input
    proof: String,
    /// The log's verifier key, or a file that holds one or more, one a line
    #[arg(long)]
    key: Option<String>,
    /// Compute the verdicts again and compare them; the proof has to be asked for with ?opening=replay
    #[arg(long, requires = "plugins")]
    replay: bool,
    /// A directory of components (*.wasm), found by their digests: an installation's components/ for instance
    #[arg(long, value_name = "DIR", requires = "replay")]
    plugins: Option<PathBuf>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let keys = match args.key.as_deref().map(keys).transpose()? {
        Some(Err(detail)) => {
            eprintln!("gavel: --key: {detail}");
            return Ok(ExitCode::from(USAGE));
        }
        Some(Ok(keys)) => keys,
        None => Vec::new(),
    };
    let input = read(&args.proof)?;
    let outcome = match std::str::from_utf8(&input) {
        Ok(text) => verify(text, &keys).map_err(|failure: VerifyFailure| failure.to_string()),
        Err(_) => Err("not a proof: it is not UTF-8".to_owned()),
    };
    let mut holds = matches!(&outcome, Ok(Verified { signer: Signer::Known(_), .. }));
    // What does not verify is not worth a computation.
    let replayed = match (&args.plugins, &outcome) {
        (Some(plugins), Ok(Verified { record: Some(record), .. })) => Some(replayed(&input, record, plugins)?),
        (Some(_), Ok(_)) => return Err(CliError::Failed("a public proof has no record to compute again".to_owned())),
        _ => None,
    };
    holds &= replayed.as_ref().is_none_or(|replayed| replayed.outcome == Outcome::Same);
    let text = if args.json {
        let mut said = in_json(&outcome);
        if let (Some(members), Some(replayed)) = (said.as_object_mut(), &replayed) {
            members.insert("replay".to_owned(), json!(replayed));
        }
        said.to_string()
    } else {
        let replayed = replayed.as_ref().map(|replayed| format!("\n{}", replay::in_words(replayed)));
        in_words(&outcome) + &replayed.unwrap_or_default()
    };
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
}

/// Computes the verdicts of a proof that has been verified again.
fn replayed(input: &[u8], record: &Record, plugins: &Path) -> Result<Replayed, CliError> {
    // A tlog-proof opens nothing.
    let answer = serde_json::from_slice::<ProofAnswer>(input).ok();
    let given = answer.as_ref().and_then(|answer| answer.replay.clone()).unwrap_or_default();
    let material = match &answer {
        Some(answer) => material(answer, record),
        None => Err("a tlog-proof opens nothing: ask for the proof's JSON with ?opening=replay"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let directory = Directory::open(plugins, given).map_err(|error| CliError::Failed(error.to_string()))?;
        Ok(crate::replay::replay(record, material.as_ref().map_err(|reason| *reason), &directory).await)
    })
}

/// The keys that `given` is, or names a file of; the inner error is wrong usage.
fn keys(given: &str) -> Result<Result<Vec<VerifierKey>, String>, CliError> {
    let not_a_key = match VerifierKey::parse(given) {
        Ok(key) => return Ok(Ok(vec![key])),
        Err(error) => error,
    };
    let text = match bounded(given) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(format!("neither a verifier key ({not_a_key}) nor a file")));
        }
        Err(error) => return Err(CliError::File(given.to_owned(), error)),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Result<Vec<_>, _> = lines.map(VerifierKey::parse).collect();
    Ok(match keys {
        Ok(keys) if keys.is_empty() => Err("the file holds no key".to_owned()),
        Ok(keys) => Ok(keys),
        Err(error) => Err(format!("the file does not hold verifier keys: {error}")),
    })
}

fn read(proof: &str) -> Result<Vec<u8>, CliError> {
    if proof != "-" {
        return bounded(proof).map_err(|error| CliError::File(proof.to_owned(), error));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(most()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bounded(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One byte more than a proof may have, so that a longer one is seen to be too long.
fn most() -> u64 {
    MAX_INPUT_BYTES as u64 + 1
}

fn in_words(outcome: &Result<Verified, String>) -> String {
    let verified = match outcome {
        Ok(verified) => verified,
        Err(failure) => return format!("does not verify: {failure}"),
    };
    let mut text = match &verified.signer {
        Signer::Known(name) => format!("verified, signed by {name}"),
        Signer::Unknown => format!("consistent, signer unknown (it calls itself {})", verified.origin),
    };
    text.push_str(&format!("\nleaf {} in a tree of {}", verified.leaf_index, verified.tree_size));
    if let Some(record) = &verified.record {
        let stage = json!(record.stage);
        let decision = json!(record.decision);
        text.push_str(&format!(
            "\nagent {}, stage {}, decision {}, at {}",
            record.agent,
            stage.as_str().unwrap_or_default(),
            decision.as_str().unwrap_or_default(),
            record.time
        ));
    }
    if !verified.openings_checked.is_empty() {
        let fields: Vec<_> = verified.openings_checked.iter().map(ToString::to_string).collect();
        text.push_str(&format!("\nopened and as committed: {}", fields.join(", ")));
    }
    text
}

fn in_json(outcome: &Result<Verified, String>) -> Value {
    let verified = match outcome {
        Ok(verified) => verified,
        Err(failure) => return json!({"verified": false, "consistent": false, "error": failure}),
    };
    let signer = match &verified.signer {
        Signer::Known(name) => Some(name),
        Signer::Unknown => None,
    };
    json!({
        "verified": signer.is_some(),
        "consistent": true,
        "signer": signer,
        "origin": verified.origin.as_str(),
        "leaf_index": verified.leaf_index,
        "tree_size": verified.tree_size,
        "leaf_hash": verified.entry.leaf_hash().tagged(),
        "record": verified.record,
        "openings_checked": verified.openings_checked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "error": null,
    })
}
