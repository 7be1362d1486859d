//! `gavel plugin test`: cases for a built policy, judged in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use gavel_log::edits::apply_edits;
use gavel_log::judged::{Decision, Subject, Verdict};
use gavel_log::record::DecisionKind;
use gavel_sandbox::policy::{BindError, BoundPolicy, PolicyComponent};
use serde_json::{Value, json};

use super::super::{CliError, NOT_SO, USAGE};
use super::cases::{self, Case};
use super::examine::{self, Loaded};

/// Ways in which a text is cut to be streamed.
const SPLITS: u64 = 8;
/// Pieces of each.
const MOST_CUTS: u64 = 12;

/// Try a policy on cases: texts, and what it is to make of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin test code-names.wasm cases.yaml\n\n\
    cases.yaml is a list of\n  \
    { name, text, stage: input, config: {}, tool, history: [{ role, text }],\n    \
    expect: { decision: allow|flag|redact|block, rules: [ids], text: what is left after the edits } }\n\n\
    A policy that streams is also given each text in pieces, and has to judge it the same.\n\
    Exit status: 0 every case holds, 1 one does not, 2 the file of cases does not parse")]
pub(super) struct Args {
    /// The component
    file: String,
    /// The cases, as YAML
    cases: String,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// What came of a case: the error says why it does not hold.
struct Tried {
    name: String,
    outcome: Result<(), String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let cases = match cases::parse(&read(&args.cases)?) {
        Ok(cases) => cases,
        Err(detail) => {
            eprintln!("gavel: {}:{detail}", args.cases);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let bytes = examine::read(&args.file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tried = runtime.block_on(async {
        // A snapshot for each configuration would cost more than all cases.
        match examine::load(bytes, false).await? {
            Ok(Loaded::Policy(policy)) => Ok(Ok(try_all(&policy, &cases).await)),
            Ok(Loaded::Provider(..)) => Ok(Err("it is a provider, and cases are for policies".to_owned())),
            Err(error) => Ok::<_, CliError>(Err(error)),
        }
    })?;
    let tried = match tried {
        Ok(tried) => tried,
        Err(detail) => {
            eprintln!("gavel: {}: {detail}", args.file);
            return Ok(ExitCode::from(NOT_SO));
        }
    };
    say(&tried, args.json)?;
    let all_hold = tried.iter().all(|tried| tried.outcome.is_ok());
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
}

fn read(path: &str) -> Result<String, CliError> {
    let fault = |error| CliError::File(path.to_owned(), error);
    let mut text = String::new();
    File::open(path).map_err(fault)?.take(cases::MAX_BYTES + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > cases::MAX_BYTES {
        return Err(fault(io::Error::other(format!("over {} bytes", cases::MAX_BYTES))));
    }
    Ok(text)
}

async fn try_all(policy: &Arc<PolicyComponent>, cases: &[Case]) -> Vec<Tried> {
    // Binding anew for each case would cost more than the cases.
    let mut bound = BTreeMap::new();
    let mut tried = Vec::with_capacity(cases.len());
    for (number, case) in (0..).zip(cases) {
        let outcome = try_one(policy, case, number, &mut bound).await;
        tried.push(Tried { name: case.name.clone(), outcome });
    }
    tried
}

async fn try_one(
    policy: &Arc<PolicyComponent>,
    case: &Case,
    number: u64,
    bound: &mut BTreeMap<String, Arc<BoundPolicy>>,
) -> Result<(), String> {
    if !policy.manifest.stages.contains(&case.stage) {
        return Err(format!("the policy does not judge the stage {}", json!(case.stage)));
    }
    let config = Value::Object(case.config.clone());
    let key = config.to_string();
    let bound = match bound.get(&key) {
        Some(bound) => Arc::clone(bound),
        None => {
            let fresh = policy.bind(&config).await.map_err(|error| refusal(&error))?;
            bound.insert(key, Arc::clone(&fresh));
            fresh
        }
    };
    let subject = case.subject();
    let verdict = bound.evaluate_by_definition(&subject).await.result.map_err(|error| error.to_string())?;
    compare(case, &subject.text, &verdict)?;
    if bound.streams() {
        for split in 0..SPLITS {
            streamed(&bound, &subject, &verdict, &cuts(&subject.text, number * SPLITS + split)).await?;
        }
    }
    Ok(())
}

/// Why a configuration cannot be bound, with each place.
pub(super) fn refusal(error: &BindError) -> String {
    match error {
        BindError::Schema(faults) => {
            let places: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            format!("{error}: {}", places.join("; "))
        }
        other => other.to_string(),
    }
}

/// The verdict of a text in pieces has to be that of the whole; the contract of each answer the sandbox checks.
async fn streamed(bound: &Arc<BoundPolicy>, subject: &Subject, whole: &Verdict, cuts: &[usize]) -> Result<(), String> {
    let fault = |error: &dyn std::fmt::Display| format!("streamed, cut at {cuts:?}: {error}");
    let empty = Subject { text: String::new(), ..subject.clone() };
    let mut review = bound.review(&empty).await.map_err(|error| fault(&error))?;
    let mut from = 0;
    for to in cuts.iter().copied().chain([subject.text.len()]) {
        let piece = subject.text.get(from..to).unwrap_or_default();
        review.push(piece).await.map_err(|error| fault(&error))?;
        from = to;
    }
    let verdict = review.finish().await.map_err(|error| fault(&error))?;
    if verdict == *whole {
        return Ok(());
    }
    Err(fault(&format!("{}, but the whole gives {}", json!(verdict), json!(whole))))
}

/// Some places in a text on character boundaries, sorted; the same for the same seed.
fn cuts(text: &str, seed: u64) -> Vec<usize> {
    let mut state = seed;
    // SplitMix64: a case that fails has to fail again.
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let places = text.len() as u64 + 1;
    let mut cuts: Vec<usize> = (0..random() % MOST_CUTS)
        .map(|_| text.floor_char_boundary(usize::try_from(random() % places).unwrap_or_default()))
        .collect();
    cuts.sort_unstable();
    cuts
}

fn kind(decision: &Decision) -> DecisionKind {
    match decision {
        Decision::Allow => DecisionKind::Allow,
        Decision::Flag => DecisionKind::Flag,
        Decision::Redact(_) => DecisionKind::Redact,
        Decision::Block(_) => DecisionKind::Block,
    }
}

fn compare(case: &Case, text: &str, verdict: &Verdict) -> Result<(), String> {
    let decision = kind(&verdict.decision);
    if decision != case.expect.decision {
        return Err(format!("it decides {}, not {}: {}", json!(decision), json!(case.expect.decision), json!(verdict)));
    }
    if let Some(rules) = &case.expect.rules {
        let blocked = match &verdict.decision {
            Decision::Block(rule) => Some(rule.as_str()),
            _ => None,
        };
        let named: BTreeSet<&str> =
            verdict.findings.iter().map(|finding| finding.rule.as_str()).chain(blocked).collect();
        let expected: BTreeSet<&str> = rules.iter().map(String::as_str).collect();
        if named != expected {
            return Err(format!("it names the rules {}, not {}", json!(named), json!(expected)));
        }
    }
    if let Some(expected) = &case.expect.text {
        let edits = match &verdict.decision {
            Decision::Redact(edits) => edits.as_slice(),
            _ => &[],
        };
        let left = apply_edits(text, edits).map_err(|error| error.to_string())?;
        if left != *expected {
            return Err(format!("it leaves {}, not {}", json!(left), json!(expected)));
        }
    }
    Ok(())
}

fn say(tried: &[Tried], as_json: bool) -> Result<(), CliError> {
    let failed = tried.iter().filter(|tried| tried.outcome.is_err()).count();
    let mut out = io::stdout().lock();
    if as_json {
        let cases: Vec<_> = tried
            .iter()
            .map(|tried| json!({"name": tried.name, "holds": tried.outcome.is_ok(), "error": tried.outcome.as_ref().err()}))
            .collect();
        writeln!(out, "{}", json!({"cases": cases, "failed": failed}))?;
        return Ok(());
    }
    for Tried { name, outcome } in tried {
        match outcome {
            Ok(()) => writeln!(out, "ok    {name}")?,
            Err(why) => writeln!(out, "FAIL  {name}\n      {why}")?,
        }
    }
    match failed {
        0 => writeln!(out, "{} cases, all hold", tried.len())?,
        _ => writeln!(out, "{} cases, {failed} of them failed", tried.len())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cuts;

    #[test]
    fn cuts_are_boundaries_in_order_and_the_same_again() {
        let text = "é世😀 Bluebird";
        for seed in 0..200 {
            let some = cuts(text, seed);
            assert!(some.is_sorted() && some.iter().all(|at| text.is_char_boundary(*at)), "{some:?}");
            assert_eq!(some, cuts(text, seed));
        }
        assert!((0..50).any(|seed| cuts(text, seed).len() > 3));
    }
}
