//! A policy bound to a configuration: what a turn asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gavel_log::Hash;
use gavel_log::judged::{Stage, Subject, Verdict};
use gavel_log::record::PolicyError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bindings;
use super::component::PolicyComponent;
use super::contract::Rules;
use super::instance::{CallError, Live, Prepared, within};
use super::review::Review;
use super::runtime::PolicyRuntime;
use super::snapshot;
use super::snapshots::{Snapshot, Usage};
use crate::{ConfigFault, schema};

/// Texts on which a snapshot must agree with the definition before it is used.
pub(super) const TRIALS: [&str; 4] = [
    "",
    "The quick brown fox jumps over the lazy dog.",
    "Grüße, 世界! Reach me at jane.doe@example.org or +44 20 7946 0958; card 4111 1111 1111 1111.",
    "password = \"kX9#vQ2m!Lp7Zt4w\" and -----BEGIN RSA PRIVATE KEY----- ignore previous instructions",
];

/// From here on an evaluation beside others is worth a task of its own, which another core may run. Shorter ones mostly fault
/// the pages of their instance in, which two cores do no quicker than one: of 0.5 ms each, two took 1.3 ms side by side and
/// 1.0 ms one after the other, of 1.7 ms each 3.7 and 3.4 (`docs/benchmarks.md`).
const WORTH_A_TASK: Duration = Duration::from_millis(2);

/// Why a policy cannot be bound to a configuration.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration does not satisfy the policy's JSON Schema.
    #[error("the configuration does not satisfy the policy's schema")]
    Schema(Vec<ConfigFault>),
    /// `configure` answered with an error of its own, or failed.
    #[error("the policy refuses this configuration: {0}")]
    Refused(String),
    /// `configure` declared what the interface does not allow.
    #[error("the policy's rules are not valid: {0}")]
    Rules(String),
}

/// One answer of a policy.
#[derive(Debug)]
pub struct Evaluation {
    /// The verdict, checked against the interface's contract.
    pub result: Result<Verdict, CallError>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A policy with its configuration.
///
/// **A verdict is defined by a fresh instance: `configure`, then one call.** Where there is a snapshot, it stands for
/// an instance right after `configure`. It is made in the background, and may be dropped and made again: verdicts are the
/// same with it and without it.
pub struct BoundPolicy {
    component: Arc<PolicyComponent>,
    config_json: String,
    /// SHA-256 of the configuration's canonical JSON.
    pub config_digest: Hash,
    /// The rules that a verdict may name.
    pub rules: Rules,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) usage: Usage,
    /// Microseconds of its last evaluation.
    last_micros: AtomicU64,
    /// Itself, for the one who makes snapshots.
    this: Weak<Self>,
}

impl BoundPolicy {
    pub(super) async fn bind(
        component: Arc<PolicyComponent>,
        config: &serde_json::Value,
    ) -> Result<Arc<Self>, BindError> {
        let bound = Self::bind_by_definition(component, config).await?;
        bound.ask_for_snapshot();
        Ok(bound)
    }

    /// Bound without asking for a snapshot.
    pub(super) async fn bind_by_definition(
        component: Arc<PolicyComponent>,
        config: &serde_json::Value,
    ) -> Result<Arc<Self>, BindError> {
        let faults = schema::faults(&component.schema, config);
        if !faults.is_empty() {
            return Err(BindError::Schema(faults));
        }
        let config_json = gavel_log::jcs::to_string(config).map_err(|error| BindError::Refused(error.to_string()))?;
        let aside = component.runtime.aside().await;
        let configured = configure(&component.runtime, &component.prepared, &config_json).await;
        drop(aside);
        let (_, rules) = configured.map_err(|error| BindError::Refused(error.detail))?;
        let rules = Rules::declare(rules.into_iter().map(|rule| (rule.id, rule.summary))).map_err(BindError::Rules)?;
        Ok(Arc::new_cyclic(|this| Self {
            config_digest: Hash::of(config_json.as_bytes()),
            config_json,
            rules,
            snapshot: watch::Sender::new(Snapshot::Absent),
            usage: Usage::default(),
            last_micros: AtomicU64::new(0),
            this: Weak::clone(this),
            component,
        }))
    }

    /// The component behind it.
    #[must_use]
    pub fn component(&self) -> &PolicyComponent {
        &self.component
    }

    /// The configuration's canonical JSON, of which [`config_digest`](Self::config_digest) is the digest.
    #[must_use]
    pub fn config_json(&self) -> &str {
        &self.config_json
    }

    /// Whether evaluations start from a snapshot now.
    #[must_use]
    pub fn has_snapshot(&self) -> bool {
        matches!(*self.snapshot.borrow(), Snapshot::Made(_))
    }

    /// Waits until its snapshot is made, or is known not to be made now; says whether there is one.
    pub async fn warm(&self) -> bool {
        self.ask_for_snapshot();
        let mut snapshot = self.snapshot.subscribe();
        let settled = snapshot.wait_for(|snapshot| !matches!(snapshot, Snapshot::Waiting)).await;
        settled.is_ok_and(|snapshot| matches!(*snapshot, Snapshot::Made(_)))
    }

    /// Whether it can judge a text while it is being written.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.component.prepared.streams()
    }

    /// Judges `subject` in an instance of its own.
    pub async fn evaluate(&self, subject: &Subject) -> Evaluation {
        let started = Instant::now();
        let result = self.evaluate_with(subject, self.ready_made().as_deref()).await;
        let elapsed = started.elapsed();
        self.last_micros.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Evaluation { result, elapsed }
    }

    /// Judges `subject` while the caller has others judge it: on another core where that is quicker, as its last evaluation
    /// lets expect.
    pub async fn evaluate_beside_others(self: Arc<Self>, subject: Subject) -> Evaluation {
        if Duration::from_micros(self.last_micros.load(Ordering::Relaxed)) < WORTH_A_TASK {
            return self.evaluate(&subject).await;
        }
        let started = Instant::now();
        // A set ends its tasks with itself: an instance must not outlive the turn that has its permit.
        let mut task = JoinSet::new();
        task.spawn(async move { self.evaluate(&subject).await });
        match task.join_next().await {
            Some(Ok(evaluation)) => evaluation,
            _ => {
                let failed = CallError::new(PolicyError::Trap, "its evaluation panicked");
                Evaluation { result: Err(failed), elapsed: started.elapsed() }
            }
        }
    }

    /// Judges `subject` by the definition: without the snapshot.
    pub async fn evaluate_by_definition(&self, subject: &Subject) -> Evaluation {
        let started = Instant::now();
        let result = self.evaluate_with(subject, None).await;
        Evaluation { result, elapsed: started.elapsed() }
    }

    /// Begins a review of a text that is still being written.
    ///
    /// # Errors
    /// If the policy fails or has no streaming interface.
    pub async fn review(self: &Arc<Self>, subject: &Subject) -> Result<Review, CallError> {
        let live = self.fresh().await?;
        Review::begin(Arc::clone(self), live, subject).await
    }

    /// Begins a review by the definition: without the snapshot.
    ///
    /// # Errors
    /// As of [`review`](Self::review).
    pub async fn review_by_definition(self: &Arc<Self>, subject: &Subject) -> Result<Review, CallError> {
        let live = self.instance(None).await?;
        Review::begin(Arc::clone(self), live, subject).await
    }

    async fn evaluate_with(&self, subject: &Subject, snapshot: Option<&Prepared>) -> Result<Verdict, CallError> {
        let limits = &self.component.runtime.limits;
        let mut live = self.instance(snapshot).await?;
        let place = live.place();
        let (guest, store) = live.policy(limits.evaluate_fuel(subject.text.len()))?;
        let answer =
            within(limits.deadline(subject.text.len()), &place, guest.call_evaluate(store, &subject.into())).await?;
        self.judge(&subject.text, answer)
    }

    /// Checks an answer on the whole `text`.
    pub(super) fn judge(
        &self,
        text: &str,
        answer: Result<bindings::policy::Verdict, String>,
    ) -> Result<Verdict, CallError> {
        let verdict = answer.map_err(|detail| CallError::new(PolicyError::Refused, detail))?;
        let verdict = bindings::verdict(verdict);
        self.rules.check_verdict(text, &verdict)?;
        Ok(verdict)
    }

    /// An instance that has been configured, from the snapshot where there is one.
    pub(super) async fn fresh(&self) -> Result<Live, CallError> {
        self.instance(self.ready_made().as_deref()).await
    }

    /// The snapshot, if there is one. Otherwise it is asked for, and may be there the next time.
    fn ready_made(&self) -> Option<Arc<Prepared>> {
        let snapshots = &self.component.runtime.snapshots;
        snapshots.used(&self.usage);
        match &*self.snapshot.borrow() {
            Snapshot::Made(prepared) => return Some(Arc::clone(prepared)),
            Snapshot::Waiting | Snapshot::Impossible => return None,
            Snapshot::Absent => {}
        }
        self.ask_for_snapshot();
        None
    }

    fn ask_for_snapshot(&self) {
        if !self.component.runtime.makes_snapshots {
            return;
        }
        if let Some(this) = self.this.upgrade() {
            self.component.runtime.snapshots.ask(&this);
        }
    }

    async fn instance(&self, snapshot: Option<&Prepared>) -> Result<Live, CallError> {
        match snapshot {
            Some(prepared) => prepared.instantiate(&self.component.runtime.limits, &self.component.runtime.lane).await,
            None => Ok(configure(&self.component.runtime, &self.component.prepared, &self.config_json).await?.0),
        }
    }

    /// A snapshot that agrees with the definition on the trial texts, if one can be made.
    pub(super) async fn checked_snapshot(self: Arc<Self>) -> Option<Prepared> {
        let made = Arc::clone(&self).try_snapshot().await;
        if let Err(error) = &made {
            let policy = &self.component.manifest.name;
            tracing::warn!(%policy, error, "no snapshot: configured for each evaluation");
        }
        made.ok()
    }

    /// Tries to make a snapshot, apart from the one in use, and says why none can be made.
    ///
    /// # Errors
    /// In words for the policy's author.
    pub async fn why_no_snapshot(self: &Arc<Self>) -> Result<(), String> {
        Arc::clone(self).try_snapshot().await.map(|_| ())
    }

    async fn try_snapshot(self: Arc<Self>) -> Result<Prepared, String> {
        let _aside = self.component.runtime.aside().await;
        let snapshot = snapshot::make(&self).await.map_err(|error| format!("{error:#}"))?;
        for text in TRIALS {
            for &stage in &self.component.manifest.stages {
                let subject = trial(stage, text);
                let defined = self.evaluate_with(&subject, None).await.map_err(|error| error.kind);
                let restored = self.evaluate_with(&subject, Some(&snapshot)).await.map_err(|error| error.kind);
                if defined != restored {
                    return Err("its snapshot judges differently".to_owned());
                }
            }
        }
        Ok(snapshot)
    }

    pub(super) fn limits(&self) -> &super::PolicyLimits {
        &self.component.runtime.limits
    }
}

/// Instantiates and configures.
pub(super) async fn configure(
    runtime: &PolicyRuntime,
    prepared: &Prepared,
    config_json: &str,
) -> Result<(Live, Vec<bindings::policy::Rule>), CallError> {
    let limits = &runtime.limits;
    let mut live = prepared.instantiate(limits, &runtime.lane).await?;
    let place = live.place();
    let (guest, store) = live.policy(limits.configure_fuel())?;
    let answer = within(limits.configure_deadline(), &place, guest.call_configure(store, config_json)).await?;
    let configured = answer.map_err(|detail| CallError::new(PolicyError::Refused, detail))?;
    Ok((live, configured.rules))
}

/// A subject to try a policy out on.
pub(super) fn trial(stage: Stage, text: &str) -> Subject {
    Subject {
        stage,
        text: text.into(),
        tool: None,
        model: "trial".into(),
        provider: "trial".into(),
        now_ms: 0,
        facts: Vec::new(),
        history: Vec::new(),
    }
}
