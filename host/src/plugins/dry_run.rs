//! A policy asked once, outside of any turn. Nothing of it is recorded.

use std::sync::Arc;

use gavel_log::apply_edits;
use gavel_log::judged::{Decision, Finding, Subject};
use gavel_log::record::PolicyError;
use gavel_sandbox::ConfigFault;
use gavel_sandbox::policy::{BindError, BoundPolicy};
use serde_json::Value;

use super::{PluginError, Plugins};

/// Why a policy is not asked.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// No policy is installed under the name.
    #[error("there is no policy {0}")]
    Unknown(String),
    /// It cannot judge the subject's stage.
    #[error("{0} cannot judge this stage")]
    Stage(String),
    /// The configuration does not satisfy its schema.
    #[error("the configuration does not satisfy the policy's schema")]
    Schema(Vec<ConfigFault>),
    /// It refuses the configuration.
    #[error("{0}")]
    Refused(String),
    /// Every instance is taken.
    #[error("every instance of policies is taken")]
    Busy,
    /// The plugins failed.
    #[error(transparent)]
    Plugins(#[from] PluginError),
}

/// What a policy said of a subject.
pub struct DryRun {
    /// The policy that was asked.
    pub policy: Arc<BoundPolicy>,
    /// What it decided, or why it did not.
    pub decision: Result<Decision, PolicyError>,
    /// What it found.
    pub findings: Vec<Finding>,
    /// The text after its edits; none where it gave no verdict.
    pub text: Option<String>,
    /// How long it took.
    pub micros: u64,
}

impl Plugins {
    /// Asks the policy of this name, version or digest about a subject, by the definition of a verdict: a configuration that
    /// is asked for once is worth no snapshot.
    ///
    /// # Errors
    /// When it cannot be asked. A failure of the policy is an answer.
    pub async fn dry_run(&self, named: &str, config: &Value, mut subject: Subject) -> Result<DryRun, DryRunError> {
        let catalogue = self.catalogue();
        let version = catalogue.policy(named).ok_or_else(|| DryRunError::Unknown(named.to_owned()))?;
        let component = self.component(&version.digest).await?;
        let manifest = &component.manifest;
        if !manifest.stages.contains(&subject.stage) {
            return Err(DryRunError::Stage(manifest.name.clone()));
        }
        if !manifest.needs_history {
            subject.history.clear();
        }
        let _permit = self.policies.permits(1).ok_or(DryRunError::Busy)?;
        let policy = component.bind_by_definition(config).await.map_err(|error| match error {
            BindError::Schema(faults) => DryRunError::Schema(faults),
            other => DryRunError::Refused(other.to_string()),
        })?;
        let evaluation = policy.evaluate_by_definition(&subject).await;
        let micros = u64::try_from(evaluation.elapsed.as_micros()).unwrap_or(u64::MAX);
        let (decision, findings, text) = match evaluation.result {
            Ok(verdict) => {
                let edits = match &verdict.decision {
                    Decision::Redact(edits) => edits.as_slice(),
                    Decision::Allow | Decision::Flag | Decision::Block(_) => &[],
                };
                let text = apply_edits(&subject.text, edits).ok();
                (Ok(verdict.decision), verdict.findings, text)
            }
            Err(error) => (Err(error.kind), Vec::new(), None),
        };
        Ok(DryRun { policy, decision, findings, text, micros })
    }
}
