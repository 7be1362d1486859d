//! On random texts, at every stage and under several configurations, a bundled policy gives the same bytes from its
//! snapshot, while the text is written in random pieces, and by the definition: replays and backtests rest on it.

use std::sync::Arc;

use gavel_log::jcs;
use gavel_log::judged::{Subject, Verdict};
use gavel_sandbox::policy::BoundPolicy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::{components, runtime, subject};

/// Cases for each policy and configuration.
const CASES: u32 = 48;

fn configurations(package: &str) -> Vec<Value> {
    let rule = if package == "gavel-policy-pii" { "card" } else { "aws-access-key" };
    vec![
        json!({}),
        json!({"action": "block"}),
        json!({"action": "flag", "actions": {rule: "redact"}}),
        json!({"action": "redact", "actions": {rule: "block"}, "allow": ["example\\.org"]}),
    ]
}

/// What detectors look for, whole and cut off, between words and letters of all lengths in UTF-8.
fn text() -> impl Strategy<Value = String> {
    let found = select(vec![
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "4111111111111112",
        "jane.doe@example.org",
        "x@y.co",
        "+44 20 7946 0958",
        "DE89 3704 0044 0532 0130 00",
        "536-90-4399",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB",
        "password = \"kX9#vQ2m!Lp7Zt4w\"",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWlzLWhlcmU",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ]);
    let cut = (found.clone(), any::<Index>()).prop_map(|(found, at)| found[..at.index(found.len() + 1)].to_owned());
    let piece = prop_oneof![
        3 => found.prop_map(str::to_owned),
        2 => cut,
        2 => select(vec![" ", "\n", ", ", ".", "-", "世界 ", "é", "🂡", "\u{0}", "\t"]).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9 ]{0,12}",
        1 => any::<String>().prop_map(|text| text.chars().take(12).collect()),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

#[test]
fn snapshot_stream_and_definition_agree_on_random_texts() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for package in ["gavel-policy-pii", "gavel-policy-secrets"] {
        let loaded = tokio.block_on(runtime().load(components::build(package).into()));
        let component = loaded.expect("a policy");
        for config in configurations(package) {
            let policy = tokio.block_on(async {
                let policy = component.bind(&config).await.expect("a binding");
                assert!(policy.warm().await, "{package} has no snapshot");
                policy
            });
            let stages = select(policy.component().manifest.stages.clone());
            let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
            let case = (text(), stages, vec(1_usize..40, 1..8));
            let judged = runner.run(&case, |(text, stage, sizes)| {
                let subject = subject(stage, &text);
                let [quick, streamed, defined] = tokio.block_on(async {
                    let quick = policy.evaluate(&subject).await.result;
                    let defined = policy.evaluate_by_definition(&subject).await.result;
                    [quick.expect("a verdict"), streamed(&policy, &subject, &sizes).await, defined.expect("a verdict")]
                });
                prop_assert_eq!(bytes(&quick), bytes(&defined));
                prop_assert_eq!(bytes(&streamed), bytes(&defined));
                Ok(())
            });
            judged.unwrap_or_else(|failure| panic!("{package} under {config}: {failure}"));
        }
    }
}

/// What a record commits to.
fn bytes(verdict: &Verdict) -> String {
    jcs::to_string(verdict).expect("a verdict has a canonical form")
}

/// Judged while it is written, in pieces of these sizes, over and over.
async fn streamed(policy: &Arc<BoundPolicy>, subject: &Subject, sizes: &[usize]) -> Verdict {
    let mut review = policy.review(&Subject { text: String::new(), ..subject.clone() }).await.expect("a review");
    let (text, mut at) = (&subject.text, 0);
    for size in sizes.iter().cycle() {
        if at == text.len() {
            break;
        }
        let end = text.ceil_char_boundary((at + size).min(text.len()));
        review.push(&text[at..end]).await.expect("progress");
        at = end;
    }
    review.finish().await.expect("a verdict")
}
