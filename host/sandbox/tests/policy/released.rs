//! A policy that was built against a released version of the interface goes on working.

use gavel_log::judged::{Decision, Edit, Finding, Severity, Span, Stage, Verdict};
use gavel_sandbox::policy::LoadError;
use serde_json::json;

use crate::{runtime, subject};

/// Built against `gavel:plugin@0.1.0`, and never again: see `released/README.md`.
const V0_1_0: &[u8] = include_bytes!("../released/0.1.0/policy.wasm");

const TEXT: &str = "é世😀 Is Bluebird on time, or HERON TWO?";

fn found(start: u32, end: u32) -> Finding {
    let detail = "The code name of an internal project.".to_owned();
    Finding { rule: "code-name".to_owned(), severity: Severity::Medium, span: Some(Span { start, end }), detail }
}

/// What it made of the text on the day on which it was built.
fn recorded() -> Verdict {
    let edit = |start, end| Edit { span: Span { start, end }, replacement: "[redacted:code-name]".to_owned() };
    Verdict {
        decision: Decision::Redact(vec![edit(13, 21), edit(34, 43)]),
        findings: vec![found(13, 21), found(34, 43)],
    }
}

#[tokio::test]
async fn a_policy_of_0_1_0_loads_and_judges_as_recorded() {
    let policy = runtime().load(V0_1_0.into()).await.expect("it loads");
    assert_eq!((policy.manifest.name.as_str(), policy.manifest.version.as_str()), ("released-policy", "0.1.0"));
    assert_eq!(policy.manifest.stages.len(), 6);
    let bound = policy.bind(&json!({"names": ["Bluebird", "Heron Two"]})).await.expect("it is bound");
    assert_eq!(bound.rules.summary("code-name"), Some("The code name of an internal project."));
    let subject = subject(Stage::Output, TEXT);
    assert_eq!(bound.evaluate_by_definition(&subject).await.result.expect("a verdict"), recorded());
    assert_eq!(bound.evaluate(&subject).await.result.expect("a verdict"), recorded());

    let mut review = bound.review(&crate::subject(Stage::Output, "")).await.expect("a review");
    let mut cleared = Vec::new();
    for piece in ["é世😀 Is Blue", "bird on ", "time, or HERON TW", "O?"] {
        cleared.push(review.push(piece).await.expect("progress").cleared);
    }
    assert_eq!(cleared, [13, 25, 34, 44]);
    assert_eq!(review.finish().await.expect("a verdict"), recorded());
}

#[tokio::test]
async fn a_policy_of_0_1_0_blocks_by_its_rule() {
    let policy = runtime().load(V0_1_0.into()).await.expect("it loads");
    let bound = policy.bind(&json!({"names": ["Bluebird"], "action": "block"})).await.expect("it is bound");
    let verdict = bound.evaluate(&subject(Stage::Input, "bluebird?")).await.result.expect("a verdict");
    assert_eq!(verdict, Verdict { decision: Decision::Block("code-name".to_owned()), findings: vec![found(0, 8)] });
}

#[tokio::test]
async fn a_version_that_this_host_does_not_know_is_refused_with_those_that_it_knows() {
    let later = with_version(b"@0.9.0");
    let Err(LoadError::WrongWorld(why)) = runtime().load(later.into()).await else { panic!("not refused") };
    assert!(why.contains("a version that this host knows: 0.1.0"), "{why}");
}

/// The same component, as if its interfaces were of another version.
fn with_version(version: &[u8; 6]) -> Vec<u8> {
    let package = b"gavel:plugin/";
    let mut bytes = V0_1_0.to_vec();
    let places: Vec<usize> =
        bytes.windows(package.len()).enumerate().filter(|(_, b)| b == package).map(|(at, _)| at).collect();
    for place in places {
        let name = bytes.get_mut(place..place + 40).expect("a name is not at the end");
        let at = name.windows(version.len()).position(|part| part == b"@0.1.0");
        if let Some(part) = at.and_then(|at| name.get_mut(at..at + version.len())) {
            part.copy_from_slice(version);
        }
    }
    bytes
}

/// What of an interface is more than comments and layout.
fn meant(wit: &str) -> String {
    let code = wit.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    code.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_released_interface_is_not_changed() {
    for (now, released) in [
        (include_str!("../../../../wit/types.wit"), include_str!("../released/0.1.0/wit/types.wit")),
        (include_str!("../../../../wit/policy.wit"), include_str!("../released/0.1.0/wit/policy.wit")),
        (include_str!("../../../../wit/provider.wit"), include_str!("../released/0.1.0/wit/provider.wit")),
    ] {
        // A newer version's files are another package, and may differ.
        if now.starts_with("package gavel:plugin@0.1.0;") {
            assert_eq!(meant(now), meant(released), "change the package's version: 0.1.0 is released");
        }
    }
}
