//! `gavel verify`: a proof checked with no server.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::process::ExitCode;

use gavel_log::verify::MAX_INPUT_BYTES;
use gavel_log::{Signer, Verified, VerifierKey, VerifyFailure, verify};
use serde_json::{Value, json};

use super::{CliError, NOT_SO, USAGE};

/// Verify a proof offline: signature, inclusion, record and opening.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel verify proof.json --key log.vkey\n\
    Exit status: 0 it verifies, 1 it does not, or nobody vouches for its signer")]
pub(super) struct Args {
    /// The JSON of a proofs answer or a tlog-proof text; - for standard input
    proof: String,
    /// The log's verifier key, or a file that holds one or more, one a line
    #[arg(long)]
    key: Option<String>,
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
    let holds = matches!(&outcome, Ok(Verified { signer: Signer::Known(_), .. }));
    let text = if args.json { in_json(&outcome).to_string() } else { in_words(&outcome) };
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
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
