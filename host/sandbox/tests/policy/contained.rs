//! A hostile policy: each breach is an error of its own kind, and the next evaluation is as good as new.

use gavel_log::judged::{Decision, Stage};
use gavel_log::record::PolicyError;
use gavel_sandbox::policy::{BindError, LoadError, PolicyLimits, PolicyRuntime};

use crate::{bound, components, runtime, subject};

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
        ("flood at once", PolicyError::Size),
        ("name a rule by the text", PolicyError::Inconsistent),
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
        ("push panic", PolicyError::Trap),
        ("push a refusal", PolicyError::Refused),
        ("block by the text", PolicyError::Inconsistent),
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

#[tokio::test]
async fn a_review_that_loops_before_it_begins_is_an_error() {
    let runtime = runtime();
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    for (told, kind) in [("begin to loop", PolicyError::Fuel), ("begin to panic", PolicyError::Trap)] {
        let begun = policy.review(&subject(Stage::Output, &format!("do:{told}."))).await;
        assert_eq!(begun.err().expect(told).kind, kind, "{told}");
    }
    policy.review(&subject(Stage::Output, "")).await.expect("a review").finish().await.expect("a verdict");
}

/// The hostile policy, whose `describe` is told to do something else than usual.
fn described_as(told: &str) -> Vec<u8> {
    const USUAL: &[u8] = b"describe is told: do:nothing.   ";
    let mut component = components::build("gavel-policy-hostile");
    let at = component.windows(USUAL.len()).position(|bytes| bytes == USUAL).expect("the words are in its data");
    let words = format!("{:32}", format!("describe: do:{told}."));
    component.splice(at..at + USUAL.len(), words.into_bytes());
    component
}

#[tokio::test]
async fn a_hostile_describe_is_not_loaded() {
    let runtime = runtime();
    runtime.load(described_as("nothing").into()).await.expect("it is harmless");
    for (told, kind) in [
        ("loop", PolicyError::Fuel),
        ("eat memory", PolicyError::Memory),
        ("panic", PolicyError::Trap),
        ("flood", PolicyError::Size),
    ] {
        let LoadError::Describe(error) = runtime.load(described_as(told).into()).await.err().expect(told) else {
            panic!("{told}: of another kind");
        };
        assert_eq!(error.kind, kind, "{told}: {error}");
    }
}

#[tokio::test]
async fn a_hostile_configure_is_not_bound() {
    let runtime = runtime();
    let component = runtime.load(components::build("gavel-policy-hostile").into()).await.expect("a policy");
    for told in ["loop", "eat memory", "overflow", "panic", "refuse"] {
        let refused = component.bind(&serde_json::json!({ "tell": format!("do:{told}.") })).await;
        assert!(matches!(refused, Err(BindError::Refused(_))), "{told}");
    }
    component.bind(&serde_json::json!({})).await.expect("a binding");
}

#[tokio::test]
async fn what_cannot_be_snapshotted_is_judged_all_the_same() {
    // Its state is 40 MiB, more than all snapshots may have.
    let limits = PolicyLimits { evaluate_ms: 10, snapshot_bytes: 20 << 20, ..PolicyLimits::default() };
    let runtime = PolicyRuntime::new(limits, None).expect("an engine");
    let component = runtime.load(components::build("gavel-policy-hostile").into()).await.expect("a policy");
    let policy = component.bind(&serde_json::json!({ "tell": "do:take room." })).await.expect("a binding");
    assert!(!policy.warm().await);
    assert_eq!(runtime.snapshot_bytes(), 0);
    let judged = policy.evaluate(&subject(Stage::Input, "Hello.")).await;
    assert_eq!(judged.result.expect("a verdict").decision, Decision::Allow);
    let other = component.bind(&serde_json::json!({})).await.expect("a binding");
    assert!(other.warm().await, "the worker goes on");
}

#[tokio::test]
async fn a_text_in_a_detail_is_cut_off_from_rules_and_reasons() {
    let runtime = runtime();
    let policy = bound(&runtime, "gavel-policy-hostile").await;
    let told = policy.evaluate(&subject(Stage::Input, "do:tell. My card is 4111.")).await.result.expect("a verdict");
    assert_eq!(told.findings[0].rule, "declared");
    let long = policy.evaluate(&subject(Stage::Input, &format!("do:tell.{}", "x".repeat(2000)))).await;
    assert_eq!(long.result.expect_err("too long").kind, PolicyError::Size);
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
    let whole = components::build("gavel-policy-hostile");
    assert!(matches!(load(whole[..whole.len() / 2].to_vec()).await, LoadError::NotAComponent(_)));
    let provider = components::build("gavel-provider-openai");
    let LoadError::ForbiddenImport(import) = load(provider).await else { panic!("a provider is no policy") };
    assert!(import.starts_with("gavel:plugin/sink") || import.starts_with("wasi:http"), "{import}");
}
