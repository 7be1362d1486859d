//! Policies in their sandbox: the bundled ones judge alike whichever way they are run, and a hostile one hurts only its
//! own verdict.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../components/mod.rs"]
mod components;
mod contained;
mod defined;
mod random;
mod released;
mod snapshots;

use std::sync::Arc;

use gavel_log::judged::{Stage, Subject};
use gavel_sandbox::policy::{BoundPolicy, PolicyLimits, PolicyRuntime};

fn runtime() -> Arc<PolicyRuntime> {
    PolicyRuntime::new(PolicyLimits { evaluate_ms: 10, ..PolicyLimits::default() }, None).expect("an engine")
}

async fn bound(runtime: &Arc<PolicyRuntime>, package: &str) -> Arc<BoundPolicy> {
    let component = runtime.load(components::build(package).into()).await.expect("a policy");
    component.bind(&serde_json::json!({})).await.expect("a binding")
}

fn subject(stage: Stage, text: &str) -> Subject {
    Subject {
        stage,
        text: text.to_owned(),
        tool: None,
        model: "model".into(),
        provider: "provider".into(),
        now_ms: 1,
        facts: Vec::new(),
        history: Vec::new(),
    }
}
