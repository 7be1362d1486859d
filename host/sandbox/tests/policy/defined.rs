//! A verdict is defined by a fresh instance: whatever is made quicker must give the same.

use gavel_log::judged::{Edit, Stage, Verdict};
use gavel_sandbox::CodeCache;
use gavel_sandbox::policy::{BindError, PolicyLimits, PolicyRuntime};

use crate::{bound, components, runtime, subject};

const TEXTS: [&str; 6] = [
    "",
    "Nothing to see here.",
    "Mail jane.doe@example.org, call +44 20 7946 0958, pay with 4111 1111 1111 1111.",
    "IBAN DE89 3704 0044 0532 0130 00 and 世界 and 536-90-4399",
    "key AKIAIOSFODNN7EXAMPLE password = \"kX9#vQ2m!Lp7Zt4w\"",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY----- done",
];

#[tokio::test]
async fn snapshot_definition_and_stream_give_the_same_verdict() {
    let runtime = runtime();
    for package in ["gavel-policy-pii", "gavel-policy-secrets"] {
        let policy = bound(&runtime, package).await;
        assert!(policy.warm().await && policy.streams(), "{package}");
        for text in TEXTS {
            let subject = subject(Stage::Output, text);
            let quick = policy.evaluate(&subject).await.result.expect("a verdict");
            let defined = policy.evaluate_by_definition(&subject).await.result.expect("a verdict");
            assert_eq!(quick, defined, "{package}: {text}");
            for size in 1..=7 {
                assert_eq!(streamed(&policy, text, size).await, defined, "{package}: {text} in pieces of {size}");
            }
        }
    }
}

async fn streamed(policy: &std::sync::Arc<gavel_sandbox::policy::BoundPolicy>, text: &str, size: usize) -> Verdict {
    let mut review = policy.review(&subject(Stage::Output, "")).await.expect("a review");
    let (mut at, mut cleared, mut edits) = (0, 0, Vec::<Edit>::new());
    while at < text.len() {
        let end = text.ceil_char_boundary((at + size).min(text.len()));
        let progress = review.push(&text[at..end]).await.expect("progress");
        at = end;
        assert!(progress.cleared >= cleared);
        cleared = progress.cleared;
        edits.extend(progress.edits);
    }
    review.finish().await.expect("a verdict")
}

#[tokio::test]
async fn cached_code_is_used_when_it_is_authentic_and_made_again_when_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let bytes: std::sync::Arc<[u8]> = components::build("gavel-policy-hostile").into();
    let start = |key: [u8; 32]| {
        let cache = CodeCache::open(directory.path().to_owned(), key, 1 << 30).expect("a cache");
        PolicyRuntime::new(PolicyLimits::default(), Some(cache.into())).expect("an engine")
    };
    let digest = start([1; 32]).load(bytes.clone()).await.expect("a policy").digest;
    let files = || std::fs::read_dir(directory.path()).expect("a directory").map(|file| file.expect("a file").path());
    assert_eq!(files().count(), 1);
    let file = files().next().expect("one");
    let kept = std::fs::read(&file).expect("code");
    // A changed byte, a foreign key, a cut file: each time the code is made anew, and the file is whole again.
    for broken in [
        {
            let mut bytes = kept.clone();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        },
        kept[..kept.len() / 2].to_vec(),
        Vec::new(),
    ] {
        std::fs::write(&file, broken).expect("written");
        assert_eq!(start([1; 32]).load(bytes.clone()).await.expect("a policy").digest, digest);
        assert_eq!(std::fs::read(&file).expect("code"), kept);
    }
    start([2; 32]).load(bytes).await.expect("a policy");
    assert_ne!(std::fs::read(&file).expect("code")[..32], kept[..32], "another key makes another tag");
}

#[tokio::test]
async fn a_configuration_is_held_against_the_schema() {
    let runtime = runtime();
    let component = runtime.load(components::build("gavel-policy-pii").into()).await.expect("a policy");
    let refused = component.bind(&serde_json::json!({ "actions": { "card": "shred" }, "colour": 1 })).await;
    let Err(BindError::Schema(faults)) = refused else { panic!("not refused") };
    assert!(faults.iter().any(|fault| fault.pointer == "/actions/card"), "{faults:?}");
}
