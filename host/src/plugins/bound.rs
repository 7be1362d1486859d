//! An agent's policies, bound and ready to be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_log::record::{Enforcement, Mode, OnError};
use gavel_sandbox::policy::BoundPolicy;
use gavel_store::Release;

/// One binding of an agent, ready to be asked.
pub struct BoundBinding {
    /// The policy with its configuration.
    pub policy: Arc<BoundPolicy>,
    /// What the binding does with its verdicts.
    pub enforcement: Enforcement,
    /// What it does when the policy fails.
    pub on_error: OnError,
    /// Whether it clears text as it goes, or only when it has seen all of it.
    pub release: Release,
    /// Whether it is the operator's: enforced whatever the agent's mode.
    pub mandatory: bool,
    /// The stages that it judges.
    pub stages: Vec<Stage>,
}

impl BoundBinding {
    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.policy.component().manifest.name
    }

    /// Whether its verdicts are obeyed in this mode.
    #[must_use]
    pub fn enforces(&self, mode: Mode) -> bool {
        self.mandatory || (mode == Mode::Enforcing && self.enforcement == Enforcement::Enforce)
    }
}

/// The bindings of an agent, taken once for a turn.
pub struct BoundSet {
    /// In binding order.
    pub bindings: Vec<Arc<BoundBinding>>,
    /// Of everything that decides a verdict: components, configurations, enforcement, failure, stages.
    digest: Hash,
    /// Whether the configurations of all of them are stored.
    recorded: AtomicBool,
}

impl BoundSet {
    pub(super) fn new(bindings: Vec<Arc<BoundBinding>>) -> Self {
        let mut described = Vec::new();
        for binding in &bindings {
            described.extend_from_slice(binding.policy.component().digest.as_bytes());
            described.extend_from_slice(binding.policy.config_digest.as_bytes());
            // The digest is compared only with digests of this program; another form means judging once more.
            let rest = (binding.enforcement, binding.on_error, binding.mandatory, &binding.stages);
            described.extend_from_slice(format!("{rest:?};").as_bytes());
        }
        Self { digest: Hash::of(&described), bindings, recorded: AtomicBool::new(false) }
    }

    /// Whether the configurations of all of them are stored, so that records may name them.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Acquire)
    }

    /// Notes that they are.
    pub(crate) fn set_recorded(&self) {
        self.recorded.store(true, Ordering::Release);
    }

    /// What a text was judged by in this mode. In transparent mode only mandatory bindings are obeyed, so what they let
    /// pass has yet to be judged when the agent becomes enforcing.
    pub(crate) fn digest_in(&self, mode: Mode) -> Hash {
        let mode = match mode {
            Mode::Transparent => 0,
            Mode::Enforcing => 1,
        };
        let mut described = self.digest.as_bytes().to_vec();
        described.push(mode);
        Hash::of(&described)
    }

    /// Whether any binding is obeyed in this mode.
    pub(crate) fn enforces(&self, mode: Mode) -> bool {
        self.bindings.iter().any(|binding| binding.enforces(mode))
    }

    /// Whether any policy wants the conversation so far.
    pub(crate) fn needs_history(&self) -> bool {
        self.bindings.iter().any(|binding| binding.policy.component().manifest.needs_history)
    }

    /// The bindings that judge a stage.
    pub(crate) fn at(&self, stage: Stage) -> Vec<Arc<BoundBinding>> {
        self.bindings.iter().filter(|binding| binding.stages.contains(&stage)).cloned().collect()
    }
}
