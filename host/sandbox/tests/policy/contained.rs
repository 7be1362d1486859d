//! A hostile policy: each breach is an error of its own kind, and the next evaluation is as good as new.

use gavel_log::judged::{Decision, Stage};
use gavel_log::record::PolicyError;
use gavel_sandbox::policy::{LoadError, PolicyLimits, PolicyRuntime};

use crate::{bound, runtime, subject};

#[tokio::test]
async fn a_hostile_evaluation_is_an_error_of_its_kind() {
    let runtime = runtime();
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    for (told, kind) in [
        ("loop", PolicyError::Fuel),
        ("sleep", PolicyError::Trap),
        ("print without end", PolicyError::Fuel),
        ("eat memory", PolicyError::Memory),
        ("overflow", PolicyError::Stack),
        ("panic", PolicyError::Trap),
        ("refuse", PolicyError::Refused),
        ("flood", PolicyError::Size),
        ("undeclared", PolicyError::Inconsistent),
        ("undeclared finding", PolicyError::Inconsistent),
        ("split a character", PolicyError::Inconsistent),
        ("beyond", PolicyError::Inconsistent),
        ("beyond finding", PolicyError::Inconsistent),
        ("backward span", PolicyError::Inconsistent),
        ("overlap", PolicyError::Inconsistent),
        ("unsorted", PolicyError::Inconsistent),
        ("empty replacement", PolicyError::Inconsistent),
        ("control", PolicyError::Inconsistent),
        ("nothing to redact", PolicyError::Inconsistent),
    ] {
        let subject = subject(Stage::Input, &format!("é 世界, do:{told}. And so on."));
        for evaluation in [policy.evaluate(&subject).await, policy.evaluate_by_definition(&subject).await] {
            let error = evaluation.result.expect_err(told);
            assert_eq!(error.kind, kind, "{told}: {error}");
        }
        let harmless = policy.evaluate(&crate::subject(Stage::Input, "Hello.")).await;
        assert_eq!(harmless.result.expect("a verdict").decision, Decision::Allow, "after {told}");
    }
}

#[tokio::test]
async fn what_a_policy_prints_goes_nowhere_and_harms_nobody() {
    let runtime = runtime();
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    let printed = policy.evaluate(&subject(Stage::Input, "do:print.")).await;
    assert_eq!(printed.result.expect("a verdict").decision, Decision::Allow);
}

#[tokio::test]
async fn a_hostile_review_is_an_error_when_it_breaks_its_word() {
    let runtime = runtime();
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    for (told, kind) in [
        ("push loop", PolicyError::Fuel),
        ("clear backward", PolicyError::Inconsistent),
        ("clear beyond", PolicyError::Inconsistent),
        ("clear into a character", PolicyError::Inconsistent),
        ("edit what was cleared", PolicyError::Inconsistent),
        ("edit what is not cleared", PolicyError::Inconsistent),
        ("take a block back", PolicyError::Inconsistent),
        ("block undeclared", PolicyError::Inconsistent),
        ("forget a block", PolicyError::Inconsistent),
        ("forget an edit", PolicyError::Inconsistent),
        ("finish otherwise", PolicyError::Inconsistent),
        ("loop", PolicyError::Fuel),
    ] {
        let mut review = policy.review(&subject(Stage::Output, "")).await.expect("a review");
        let text = format!("é, do:{told}. ");
        let mut outcome = Ok(());
        for piece in [text.as_str(), "and more", ", and more"] {
            if let Err(error) = review.push(piece).await {
                outcome = Err(error);
                break;
            }
        }
        let error = match outcome {
            Err(error) => error,
            Ok(()) => review.finish().await.expect_err(told),
        };
        assert_eq!(error.kind, kind, "{told}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_looping_policy_holds_no_worker() {
    let runtime =
        PolicyRuntime::new(PolicyLimits { evaluate_ms: 500, ..PolicyLimits::default() }, None).expect("an engine");
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    let looping: Vec<_> = (0..4)
        .map(|_| {
            let policy = policy.clone();
            tokio::spawn(async move { policy.evaluate(&subject(Stage::Input, "do:loop.")).await })
        })
        .collect();
    // More loops than workers, and yet the others are judged.
    let mut judged = 0;
    while !looping.iter().all(tokio::task::JoinHandle::is_finished) {
        policy.evaluate(&subject(Stage::Input, "Hello.")).await.result.expect("a verdict");
        judged += 1;
    }
    assert!(judged > 10, "only {judged} evaluations while others looped");
    for looping in looping {
        let error = looping.await.expect("it ends").result.expect_err("a loop");
        assert_eq!(error.kind, PolicyError::Fuel);
    }
}

#[tokio::test]
async fn permits_run_out_and_come_back() {
    let limits = PolicyLimits { max_instances: 4, ..PolicyLimits::default() };
    let runtime = PolicyRuntime::new(limits, None).expect("an engine");
    let held = runtime.permits(3).expect("room for three");
    assert!(runtime.permits(2).is_none());
    drop(held);
    assert!(runtime.permits(4).is_some());
}

#[tokio::test]
async fn what_is_no_policy_is_refused_and_says_why() {
    let runtime = runtime();
    let load = async |bytes: Vec<u8>| runtime.load(bytes.into()).await.err().expect("refused");
    assert!(matches!(load(b"no wasm".to_vec()).await, LoadError::NotAComponent(_)));
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    assert!(matches!(load(core_module).await, LoadError::NotAComponent(_)));
    let whole = crate::components::build("gavel-policy-hostile");
    assert!(matches!(load(whole[..whole.len() / 2].to_vec()).await, LoadError::NotAComponent(_)));
    let provider = crate::components::build("gavel-provider-openai");
    let LoadError::ForbiddenImport(import) = load(provider).await else { panic!("a provider is no policy") };
    assert!(import.starts_with("gavel:plugin/sink") || import.starts_with("wasi:http"), "{import}");
}
