//! What a verdict costs: a fresh sandbox from the snapshot and one evaluation of 360 bytes, for each bundled policy, with
//! and without fuel, and by the definition (configured for each evaluation); and one push of a streaming review.
//!
//! `GAVEL_BENCH_POLICIES` names more components, separated by spaces, and `GAVEL_BENCH_CONFIG` the configuration that they
//! are bound to; `GAVEL_BENCH_SECOND_CONFIG` is one more, whose snapshot is made after the first's. `GAVEL_BENCH_CROWD` is a number of configurations of `secrets` that are bound at once, and used in turn.

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
    // As a turn on a quiet server finds it: the thread has slept, and caches have been others'.
    runtime.block_on(spread(&format!("evaluate/{name} after a pause"), 1000, async || {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        policy.evaluate(subject).await.elapsed
    }));
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

/// What a policy costs in whatever language: from its bytes to its verdict, and how much of its limits it needs.
fn others(_: &mut Criterion) {
    let Ok(files) = std::env::var("GAVEL_BENCH_POLICIES") else { return };
    let config = std::env::var("GAVEL_BENCH_CONFIG").unwrap_or_else(|_| "{}".into());
    let config: serde_json::Value = serde_json::from_str(&config).expect("the configuration is JSON");
    let runtime = Runtime::new().expect("a runtime");
    for file in files.split_whitespace() {
        let bytes: Arc<[u8]> = std::fs::read(file).expect("a component").into();
        println!("{file}: {:.1} MB", bytes.len() as f64 / 1e6);
        runtime.block_on(async {
            let policies = PolicyRuntime::new(PolicyLimits::default(), None).expect("an engine");
            let component = timed("compile and describe", policies.load(Arc::clone(&bytes))).await.expect("a policy");
            let policy = timed("bind", component.bind(&config)).await.expect("a binding");
            let before = resident_bytes();
            let made = timed("snapshot", policy.warm()).await;
            if let Ok(config) = std::env::var("GAVEL_BENCH_SECOND_CONFIG") {
                let config = serde_json::from_str(&config).expect("the configuration is JSON");
                let second = component.bind(&config).await.expect("a binding");
                timed("snapshot of a second configuration", second.warm()).await;
            }
            println!(
                "  snapshot made: {made}, {:.1} MB of code, {:.1} MB more resident",
                policies.snapshot_bytes() as f64 / 1e6,
                resident_bytes().saturating_sub(before) as f64 / 1e6,
            );
            let short = subject(Stage::Input, &text());
            spread("fresh", 1000, async || policy.evaluate(&short).await.elapsed).await;
            for (kib, rounds) in [(0, 500), (16, 100), (64, 50)] {
                let text = if kib == 0 { text() } else { text().repeat((kib << 10) / 360) };
                two(&policy, &subject(Stage::Input, &text), rounds).await;
            }
            spread("by definition", 200, async || policy.evaluate_by_definition(&short).await.elapsed).await;
        });
        for bytes_of_text in [360, 64 << 10] {
            let needed = [1, 2, 5, 10, 20, 50, 100, 200].into_iter().find(|&evaluate_ms| {
                runtime.block_on(async {
                    let limits = PolicyLimits { evaluate_ms, snapshot_bytes: 0, ..PolicyLimits::default() };
                    let policies = PolicyRuntime::new(limits, None).expect("an engine");
                    let Ok(component) = policies.load(Arc::clone(&bytes)).await else { return false };
                    let Ok(policy) = component.bind(&config).await else { return false };
                    let long = subject(Stage::Input, &text().repeat(bytes_of_text / 360));
                    let evaluation = policy.evaluate(&long).await;
                    println!("  {evaluate_ms} nominal ms: {:?} in {:?}", evaluation.result.is_ok(), evaluation.elapsed);
                    evaluation.result.is_ok()
                })
            });
            println!("  needs at most {needed:?} nominal ms for {bytes_of_text} bytes");
        }
    }
}

/// What two evaluations take, on one task and as a turn has them made.
async fn two(policy: &Arc<BoundPolicy>, subject: &Subject, rounds: usize) {
    let bytes = subject.text.len();
    spread(&format!("two of {bytes} bytes on one task"), rounds, async || {
        let started = std::time::Instant::now();
        futures_util::future::join(policy.evaluate(subject), policy.evaluate(subject)).await;
        started.elapsed()
    })
    .await;
    spread(&format!("two of {bytes} bytes side by side"), rounds, async || {
        let started = std::time::Instant::now();
        let one = || Arc::clone(policy).evaluate_beside_others(subject.clone());
        futures_util::future::join(one(), one()).await;
        started.elapsed()
    })
    .await;
}

/// Many agents, each with its own configuration: what it takes to bind them, to judge by them in turn, and to hold them.
fn crowd(_: &mut Criterion) {
    let Some(count) = std::env::var("GAVEL_BENCH_CROWD").ok().and_then(|count| count.parse::<usize>().ok()) else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let limits = PolicyLimits { snapshot_bytes: 64 << 20, ..PolicyLimits::default() };
        let policies = PolicyRuntime::new(limits, None).expect("an engine");
        let bytes = bundled_policy("secrets").expect("a bundled policy");
        let component = policies.load(bytes.into()).await.expect("a policy");
        let before = resident_bytes();
        let mib = || resident_bytes().saturating_sub(before) as f64 / f64::from(1 << 20);
        let configs: Vec<_> = configurations(&component.manifest.config_schema).take(count).collect();
        println!("{} configurations of secrets, {} MiB for snapshots", configs.len(), 64);
        let started = std::time::Instant::now();
        let mut bound = Vec::with_capacity(count);
        for config in &configs {
            bound.push(component.bind(config).await.expect("a binding"));
        }
        println!("  bound in {:?}, {:.0} MiB more resident", started.elapsed(), mib());
        let short = subject(Stage::Input, &text());
        for round in 1..=3 {
            let mut policies_in_turn = bound.iter().cycle();
            let next = async || policies_in_turn.next().expect("one").evaluate(&short).await.elapsed;
            spread(&format!("round {round}"), bound.len(), next).await;
            let warm = bound.iter().filter(|policy| policy.has_snapshot()).count();
            let held = policies.snapshot_bytes() as f64 / f64::from(1 << 20);
            println!("  {warm} have snapshots, of {held:.0} MiB; {:.0} MiB more resident", mib());
        }
    });
}

/// Different configurations: an action for each rule, counted through.
fn configurations(schema: &serde_json::Value) -> impl Iterator<Item = serde_json::Value> {
    let rules = schema.pointer("/properties/actions/properties").and_then(serde_json::Value::as_object);
    let rules: Vec<String> = rules.expect("it has actions").keys().cloned().collect();
    (0_usize..).map(move |number| {
        let mut rest = number;
        let actions: serde_json::Map<_, _> = rules
            .iter()
            .map(|rule| {
                let action = ["redact", "block", "flag"].get(rest % 3).copied().unwrap_or_default();
                rest /= 3;
                (rule.clone(), action.into())
            })
            .collect();
        serde_json::json!({ "actions": actions })
    })
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = std::time::Instant::now();
    let done = work.await;
    println!("  {what}: {:?}", started.elapsed());
    done
}

async fn spread(what: &str, times: usize, mut once: impl AsyncFnMut() -> std::time::Duration) {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        took.push(once().await);
    }
    took.sort_unstable();
    let at = |share: usize| took.get(times * share / 100).copied().unwrap_or_default();
    println!("  {what}: p50 {:?}, p99 {:?}", at(50), at(99));
}

/// Bytes of this process in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

criterion_group!(benches, others, crowd, evaluations, pushes);
criterion_main!(benches);
