//! Snapshots are made in the background, and bounded: whether there is one is never seen in a verdict.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gavel_log::judged::Stage;
use gavel_sandbox::CodeCache;
use gavel_sandbox::policy::{BoundPolicy, PolicyComponent, PolicyLimits, PolicyRuntime};
use serde_json::json;

use crate::{components, subject};

const TEXT: &str = "Mail jane.doe@example.org, pay with 4111 1111 1111 1111.";

async fn component(limits: PolicyLimits, cache: Option<CodeCache>) -> Arc<PolicyComponent> {
    let runtime = PolicyRuntime::new(limits, cache.map(Arc::new)).expect("an engine");
    runtime.load(components::build("gavel-policy-pii").into()).await.expect("a policy")
}

async fn bound(component: &Arc<PolicyComponent>, action: &str) -> Arc<BoundPolicy> {
    component.bind(&json!({ "actions": { "card": action } })).await.expect("a binding")
}

async fn used(policy: &BoundPolicy, times: usize) {
    for _ in 0..times {
        policy.evaluate(&subject(Stage::Input, TEXT)).await.result.expect("a verdict");
    }
}

#[tokio::test]
async fn a_policy_judges_alike_before_and_after_its_snapshot_is_there() {
    let policy = bound(&component(PolicyLimits::default(), None).await, "redact").await;
    assert!(!policy.has_snapshot(), "binding waits for no compiler");
    let before = policy.evaluate(&subject(Stage::Input, TEXT)).await.result.expect("a verdict");
    let mut review = policy.review(&subject(Stage::Output, "")).await.expect("a review");
    assert!(policy.warm().await);
    review.push(TEXT).await.expect("a review under way goes on in its instance");
    assert_eq!(review.finish().await.expect("a verdict"), before);
    assert_eq!(policy.evaluate(&subject(Stage::Input, TEXT)).await.result.expect("a verdict"), before);
}

#[tokio::test]
async fn machine_code_is_bounded() {
    let whole = component(PolicyLimits::default(), None).await;
    let policy = bound(&whole, "flag").await;
    assert!(policy.warm().await);
    let one = whole.runtime().snapshot_bytes();
    assert!(one > 100_000, "{one}");

    let component = component(PolicyLimits { snapshot_bytes: one * 3 / 2, ..PolicyLimits::default() }, None).await;
    let held = || component.runtime().snapshot_bytes();
    let (first, second) = (bound(&component, "flag").await, bound(&component, "block").await);
    assert!(first.warm().await);
    // Both are used alike, so neither drives out the other's.
    for _ in 0..20 {
        used(&second, 2).await;
        used(&first, 1).await;
    }
    assert!(first.has_snapshot() && !second.warm().await);
    assert!(held() <= one * 3 / 2);
    drop(first);
    assert_eq!(held(), 0, "what nobody is bound to is gone");
    assert!(second.warm().await, "and its room is another's");
}

#[tokio::test]
async fn without_room_there_is_none_and_every_verdict() {
    let component = component(PolicyLimits { snapshot_bytes: 0, ..PolicyLimits::default() }, None).await;
    let policy = bound(&component, "flag").await;
    assert!(!policy.warm().await);
    used(&policy, 3).await;
    assert_eq!(component.runtime().snapshot_bytes(), 0);
}

#[tokio::test]
async fn code_on_disk_is_pruned_by_last_use_and_halves_of_a_crash_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = |limit| CodeCache::open(directory.path().to_owned(), [1; 32], limit).expect("a cache");
    let files = || {
        let files = std::fs::read_dir(directory.path()).expect("a directory").map(|file| file.expect("a file"));
        let mut files: Vec<_> = files.map(|file| (file.metadata().expect("it is there").len(), file.path())).collect();
        files.sort_unstable();
        files
    };
    let old = SystemTime::now() - Duration::from_secs(3600);
    let age = |path: &std::path::Path| {
        std::fs::File::open(path).and_then(|file| file.set_modified(old)).expect("its time is set");
    };

    // The component's code, and the snapshot's, which is used after it.
    let bytes = 1 << 30;
    assert!(bound(&component(PolicyLimits::default(), Some(open(bytes))).await, "flag").await.warm().await);
    let whole = files();
    assert_eq!(whole.len(), 2);
    whole.iter().for_each(|(_, path)| age(path));
    let (young, dead) = (directory.path().join("aa.01"), directory.path().join("bb.02"));
    std::fs::write(&young, "half").expect("written");
    std::fs::write(&dead, "half").expect("written");
    age(&dead);

    // Loading the component marks its use; the snapshot is what was used longest ago.
    let loaded = component(PolicyLimits::default(), Some(open(bytes))).await;
    assert!(young.exists() && !dead.exists());
    drop(loaded);
    let total: u64 = whole.iter().map(|(size, _)| size).sum();
    drop(open(total - 1));
    let kept: Vec<_> = files().into_iter().filter(|(_, path)| *path != young).collect();
    assert_eq!(kept.len(), 1);
    let used_last = std::fs::metadata(&kept[0].1).and_then(|file| file.modified()).expect("its time");
    assert!(used_last > old + Duration::from_secs(60));
}
