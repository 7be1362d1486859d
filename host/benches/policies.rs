//! What a verdict costs: a fresh sandbox from the snapshot and one evaluation of 360 bytes, for each bundled policy, with
//! and without fuel, and by the definition (configured for each evaluation); and one push of a streaming review.

#![expect(clippy::expect_used, reason = "a bench may stop")]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use gavel::plugins::bundled_policy;
use gavel_log::judged::{Stage, Subject};
use gavel_sandbox::policy::{BoundPolicy, PolicyLimits, PolicyRuntime};
use tokio::runtime::Runtime;

const POLICIES: [&str; 2] = ["pii", "secrets"];

/// English text of 360 bytes with one e-mail address and one card number.
fn subject(stage: Stage, text: &str) -> Subject {
    Subject {
        stage,
        text: text.to_owned(),
        tool: None,
        model: "bench".into(),
        provider: "bench".into(),
        now_ms: 0,
        facts: Vec::new(),
        history: Vec::new(),
    }
}

fn text() -> String {
    let mut text = "Thank you for the call. Please send the invoice to jane.doe@example.org, and charge the card \
        4111 1111 1111 1111 as we agreed on Tuesday. "
        .to_owned();
    while text.len() < 360 {
        text.push_str("The quick brown fox jumps over the lazy dog, and then some. ");
    }
    text.truncate(360);
    text
}

fn bound(runtime: &Runtime, name: &str, metered: bool) -> Arc<BoundPolicy> {
    runtime.block_on(async {
        let limits = PolicyLimits { metered, ..PolicyLimits::default() };
        let policies = PolicyRuntime::new(limits, None).expect("an engine");
        let bytes = bundled_policy(name).expect("a bundled policy");
        let component = policies.load(bytes.into()).await.expect("a policy");
        let bound = component.bind(&serde_json::json!({})).await.expect("a binding");
        assert!(bound.warm().await, "{name} has no snapshot");
        bound
    })
}

fn evaluations(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let subject = subject(Stage::Input, &text());
    for name in POLICIES {
        let mut group = criterion.benchmark_group(format!("evaluate/{name}"));
        for (metered, label) in [(true, "fresh"), (false, "fresh-without-fuel")] {
            let policy = bound(&runtime, name, metered);
            group.bench_function(label, |bencher| {
                bencher
                    .to_async(&runtime)
                    .iter(|| async { policy.evaluate(&subject).await.result.expect("a verdict") });
            });
        }
        let policy = bound(&runtime, name, true);
        group.bench_function("by-definition", |bencher| {
            bencher
                .to_async(&runtime)
                .iter(|| async { policy.evaluate_by_definition(&subject).await.result.expect("a verdict") });
        });
        group.finish();
        percentiles(&runtime, name, &policy, &subject);
    }
}

/// criterion reports means; the tail is measured beside it.
fn percentiles(runtime: &Runtime, name: &str, policy: &BoundPolicy, subject: &Subject) {
    const EVALUATIONS: usize = 20_000;
    let mut micros: Vec<u128> = runtime.block_on(async {
        let mut micros = Vec::with_capacity(EVALUATIONS);
        for _ in 0..EVALUATIONS {
            micros.push(policy.evaluate(subject).await.elapsed.as_nanos());
        }
        micros
    });
    micros.sort_unstable();
    let at = |share: usize| micros.get(EVALUATIONS * share / 100).copied().unwrap_or_default() as f64 / 1000.0;
    println!("evaluate/{name}: p50 {:.1} µs, p99 {:.1} µs", at(50), at(99));
}

fn pushes(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for name in POLICIES {
        let policy = bound(&runtime, name, true);
        criterion.bench_function(&format!("review.push/{name}"), |bencher| {
            bencher.to_async(&runtime).iter_custom(|pushes| {
                let policy = Arc::clone(&policy);
                async move {
                    let mut review = policy.review(&subject(Stage::Output, "")).await.expect("a review");
                    let started = std::time::Instant::now();
                    for push in 0..pushes {
                        let word = if push % 8 == 7 { "fox.\n" } else { "word " };
                        review.push(word).await.expect("progress");
                    }
                    started.elapsed()
                }
            });
        });
    }
}

criterion_group!(benches, evaluations, pushes);
criterion_main!(benches);
