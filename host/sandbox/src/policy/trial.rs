//! Trying a policy out before anybody relies on it.

use gavel_log::judged::{Stage, Subject};
use gavel_log::record::PolicyError;
use serde_json::json;

use super::bound::{TRIALS, configure, trial};
use super::component::PolicyComponent;
use super::contract::Rules;
use super::instance::{CallError, within};
use crate::schema;

/// A configuration that every policy with only optional settings takes.
const EMPTY: &str = "{}";

/// What a policy did wrong when it was tried out.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// `configure` failed, or declared what the interface does not allow.
    #[error("configure with {{}} failed: {0}")]
    Configure(String),
    /// `evaluate` failed, or broke the interface's contract.
    #[error("evaluate failed at the stage {stage:?}: {error}")]
    Evaluate {
        /// The stage that was tried.
        stage: Stage,
        /// How it failed.
        error: CallError,
    },
}

impl PolicyComponent {
    /// Configures it with `{}`, where its schema allows that, and lets it judge the trial texts. A policy that wants other
    /// settings cannot be tried, which is no fault of it.
    ///
    /// # Errors
    /// If it traps, runs out of its limits or breaks the interface's contract.
    pub async fn try_out(&self) -> Result<(), TrialError> {
        if !schema::faults(&self.schema, &json!({})).is_empty() {
            return Ok(());
        }
        let _aside = self.runtime.aside().await;
        let rules = match configure(&self.runtime, &self.prepared, EMPTY).await {
            Ok((_, rules)) => rules,
            Err(error) if error.kind == PolicyError::Refused => return Ok(()),
            Err(error) => return Err(TrialError::Configure(error.to_string())),
        };
        let rules = Rules::declare(rules.into_iter().map(|rule| (rule.id, rule.summary)));
        let rules = rules.map_err(TrialError::Configure)?;
        for &stage in &self.manifest.stages {
            for text in TRIALS {
                let judged = self.judge_once(&rules, &trial(stage, text)).await;
                judged.map_err(|error| TrialError::Evaluate { stage, error })?;
            }
        }
        Ok(())
    }

    async fn judge_once(&self, rules: &Rules, subject: &Subject) -> Result<(), CallError> {
        let (limits, bytes) = (&self.runtime.limits, subject.text.len());
        let (mut live, _) = configure(&self.runtime, &self.prepared, EMPTY).await?;
        let place = live.place();
        let (guest, store) = live.policy(limits.evaluate_fuel(bytes))?;
        let answer = within(limits.deadline(bytes), &place, guest.call_evaluate(store, &subject.into())).await?;
        let verdict = answer.map_err(|detail| CallError::new(PolicyError::Refused, detail))?;
        Ok(rules.check_verdict(&subject.text, &super::bindings::verdict(verdict))?)
    }
}
