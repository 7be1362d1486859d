//! What is said of a verdict that was computed again, beside what was recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use gavel_log::judged::{Severity, Stage, Subject};
use gavel_log::record::{Coverage, Enforcement, Mode, Outcome as StageOutcome};
use gavel_log::{Field, RecordSecret};
use gavel_sandbox::policy::{PolicyComponent, PolicyLimits, PolicyRuntime};
use serde_json::{Value, json};

use super::*;
use crate::plugins::bundled_policy;

/// The parts of one policy, here in memory.
struct House {
    component: Arc<PolicyComponent>,
    configs: BTreeMap<Hash, Value>,
    engine: Engine,
}

impl Parts for House {
    async fn component(&self, digest: &Hash) -> Result<Arc<PolicyComponent>, String> {
        if *digest == self.component.digest { Ok(self.component.clone()) } else { Err("no such component".into()) }
    }

    fn config(&self, digest: &Hash) -> Result<Value, String> {
        self.configs.get(digest).cloned().ok_or_else(|| "no such configuration".into())
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// A record of one verdict by `pii`, as a turn would have made it.
struct Case {
    house: House,
    record: Record,
    material: Material,
    secret: RecordSecret,
}

impl Case {
    async fn new(text: &str) -> Self {
        let runtime = PolicyRuntime::new(PolicyLimits { max_instances: 4, ..PolicyLimits::default() }, None).unwrap();
        let component = runtime.load(bundled_policy("pii").unwrap().into()).await.unwrap();
        let config = json!({"action": "redact"});
        let digest = Hash::of(jcs::to_string(&config).unwrap().as_bytes());
        let engine = crate::turn::engine(runtime.limits_digest());
        let subject = Subject {
            stage: Stage::Output,
            text: text.into(),
            tool: None,
            model: "m".into(),
            provider: "p".into(),
            now_ms: 7,
            facts: vec![],
            history: vec![],
        };
        let verdict = component.bind(&config).await.unwrap().evaluate(&subject).await.result.unwrap();
        let secret = RecordSecret::from_bytes([9; 32]);
        let (findings, more) = counted(&verdict.findings);
        let recorded = VerdictRecord {
            component: component.digest,
            config: digest,
            decision: DecisionKind::from(&verdict.decision),
            enforcement: Enforcement::Enforce,
            error: None,
            findings,
            more,
            on_error: OnError::Block,
            policy: "pii".into(),
            reproducible: true,
            verdict: Some(secret.commit_verdict(0, &verdict).unwrap()),
            version: component.manifest.version.clone(),
        };
        let record = Record {
            v: 1,
            agent: "a".into(),
            session: "s".into(),
            message: None,
            stage: Stage::Output,
            mode: Mode::Enforcing,
            decision: recorded.decision,
            would: recorded.decision,
            enforced: true,
            outcome: StageOutcome::Complete,
            verdicts: vec![recorded],
            subject: None,
            content: None,
            released: None,
            edits: None,
            coverage: Coverage { received: 0, judged: 0, released: None, unjudged: 0 },
            engine: engine.clone(),
            model: "m".into(),
            provider: "p".into(),
            time: "2026-01-31T12:00:00.000Z".into(),
        };
        let material = Material { subject, streamed: None, keys: vec![Some(secret.key(&Field::Verdict(0)))] };
        let house = House { component, configs: BTreeMap::from([(digest, config)]), engine };
        Self { house, record, material, secret }
    }

    fn recorded(&mut self) -> &mut VerdictRecord {
        &mut self.record.verdicts[0]
    }

    async fn outcome(&self) -> Outcome {
        let replayed = replay(&self.record, Ok(&self.material), &self.house).await;
        assert_eq!(replayed.outcome, replayed.policies[0].outcome);
        assert_eq!(replayed.outcome == Outcome::Same, replayed.policies[0].reason.is_none());
        replayed.outcome
    }
}

const TEXT: &str = "Pay with 4111 1111 1111 1111, mail jane.doe@example.org.";

#[tokio::test]
async fn the_same_text_gives_the_same_bytes_and_another_does_not() {
    let mut case = Case::new(TEXT).await;
    assert_eq!(case.record.verdicts[0].decision, DecisionKind::Redact);
    assert_eq!(case.outcome().await, Outcome::Same);
    case.material.subject.text.push('!');
    assert_eq!(case.outcome().await, Outcome::Same, "what it found lies before");
    case.material.subject.text.insert(0, ' ');
    assert_eq!(case.outcome().await, Outcome::Different);
    case.house.engine.wasmtime = "1.0.0".into();
    assert_eq!(case.outcome().await, Outcome::NotReproducible, "another engine is no mismatch");
}

#[tokio::test]
async fn words_that_do_not_follow_from_the_verdict_are_found() {
    for lie in [
        (|recorded: &mut VerdictRecord| recorded.decision = DecisionKind::Allow) as fn(&mut VerdictRecord),
        |recorded| recorded.findings[0].count = 2,
        |recorded| recorded.findings[0].severity = Severity::Low,
        |recorded| recorded.more = 1,
        |recorded| drop(recorded.findings.pop()),
    ] {
        let mut case = Case::new(TEXT).await;
        lie(case.recorded());
        assert_eq!(case.outcome().await, Outcome::Different);
    }
    let mut case = Case::new(TEXT).await;
    // A record that was too long lists fewer, and counts the rest.
    case.recorded().findings.pop();
    case.recorded().more = 1;
    assert_eq!(case.outcome().await, Outcome::Same);
}

#[tokio::test]
async fn what_depended_on_time_is_never_a_mismatch_and_what_did_not_is() {
    let mut case = Case::new(TEXT).await;
    case.recorded().verdict = None;
    for (error, expected) in [
        (PolicyError::Deadline, Outcome::NotReproducible),
        (PolicyError::Stack, Outcome::NotReproducible),
        (PolicyError::Fuel, Outcome::Different),
        (PolicyError::Trap, Outcome::Different),
    ] {
        case.recorded().error = Some(error);
        assert_eq!(case.outcome().await, expected, "{error:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let mut case = Case::new(TEXT).await;
    let nothing = replay(&case.record, Err("erased"), &case.house).await;
    assert_eq!((nothing.outcome, nothing.policies[0].reason.as_deref()), (Outcome::Impossible, Some("erased")));
    case.material.keys.clear();
    assert_eq!(case.outcome().await, Outcome::Impossible);
    case.material.keys.push(Some(case.secret.key(&Field::Verdict(1))));
    assert_eq!(case.outcome().await, Outcome::Different, "another verdict's key");
    case.house.configs.clear();
    assert_eq!(case.outcome().await, Outcome::Impossible);
    case.recorded().component = Hash::ZERO;
    let replayed = replay(&case.record, Ok(&case.material), &case.house).await;
    assert_eq!(replayed.policies[0].reason.as_deref(), Some("no such component"));
    case.record.verdicts.clear();
    assert_eq!(replay(&case.record, Err("erased"), &case.house).await.outcome, Outcome::Same);
}
