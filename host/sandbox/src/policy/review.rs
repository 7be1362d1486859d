//! A streaming review: one instance that judges a text while it is being written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_log::judged::{Decision, Edit, Subject, Verdict};
use gavel_log::record::PolicyError;
use wasmtime::component::ResourceAny;

use super::bindings;
use super::bound::BoundPolicy;
use super::contract::check_edits;
use super::instance::{CallError, Live, within};

/// How far a policy has cleared a text. Checked against the contract of `wit/policy.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes from the text's start that may be sent, whatever follows.
    pub cleared: usize,
    /// Edits in `previous cleared..cleared`, never changed later.
    pub edits: Vec<Edit>,
    /// The rule for which the text must not go on.
    pub blocked: Option<String>,
}

/// A review under way. It owns its instance; dropping it ends both.
pub struct Review {
    policy: Arc<BoundPolicy>,
    live: Live,
    resource: ResourceAny,
    text: String,
    cleared: usize,
    edits: Vec<Edit>,
    blocked: Option<String>,
    elapsed: Duration,
}

impl Review {
    pub(super) async fn begin(policy: Arc<BoundPolicy>, mut live: Live, subject: &Subject) -> Result<Self, CallError> {
        let started = Instant::now();
        let limits = policy.limits();
        let bytes = subject.text.len();
        let place = live.place();
        let (guest, store) = live.streaming(limits.evaluate_fuel(bytes))?;
        let subject_in: bindings::policy::Subject = subject.into();
        let resource =
            within(limits.deadline(bytes), &place, guest.review().call_constructor(store, &subject_in)).await?;
        Ok(Self {
            live,
            resource,
            text: subject.text.clone(),
            cleared: 0,
            edits: Vec::new(),
            blocked: None,
            elapsed: started.elapsed(),
            policy,
        })
    }

    /// Time spent in the policy so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Judges `text` as what follows.
    ///
    /// # Errors
    /// If the policy fails or breaks the contract; the review is then of no further use.
    pub async fn push(&mut self, text: &str) -> Result<Progress, CallError> {
        let started = Instant::now();
        let result = self.push_checked(text).await;
        self.elapsed += started.elapsed();
        result
    }

    /// The verdict on the whole text; it must agree with what was said while it was written.
    ///
    /// # Errors
    /// If the policy fails or breaks the contract.
    pub async fn finish(&mut self) -> Result<Verdict, CallError> {
        let started = Instant::now();
        let result = self.finish_checked().await;
        self.elapsed += started.elapsed();
        result
    }

    async fn push_checked(&mut self, text: &str) -> Result<Progress, CallError> {
        self.text.push_str(text);
        let limits = self.policy.limits();
        let place = self.live.place();
        let (guest, store) = self.live.streaming(limits.evaluate_fuel(text.len()))?;
        let review = guest.review();
        let answer = within(limits.deadline(text.len()), &place, review.call_push(store, self.resource, text)).await?;
        let progress = answer.map_err(|detail| CallError::new(PolicyError::Refused, detail))?;
        let progress = Progress {
            cleared: progress.cleared as usize,
            edits: bindings::edits(progress.edits),
            blocked: progress.blocked,
        };
        self.accept(&progress)?;
        Ok(progress)
    }

    fn accept(&mut self, progress: &Progress) -> Result<(), CallError> {
        if progress.cleared < self.cleared || !self.text.is_char_boundary(progress.cleared) {
            return Err(CallError::new(
                PolicyError::Inconsistent,
                "cleared goes back, past the end or into a character",
            ));
        }
        check_edits(&self.text, self.cleared, progress.cleared, &progress.edits)?;
        match (&self.blocked, &progress.blocked) {
            (Some(before), Some(now)) if before == now => {}
            (Some(_), _) => return Err(CallError::new(PolicyError::Inconsistent, "a block was taken back")),
            (None, Some(rule)) => self.policy.rules.check_rule(rule)?,
            (None, None) => {}
        }
        self.cleared = progress.cleared;
        self.edits.extend_from_slice(&progress.edits);
        self.blocked.clone_from(&progress.blocked);
        Ok(())
    }

    async fn finish_checked(&mut self) -> Result<Verdict, CallError> {
        let limits = self.policy.limits();
        let place = self.live.place();
        let (guest, store) = self.live.streaming(limits.evaluate_fuel(self.text.len()))?;
        let review = guest.review();
        let answer = within(limits.deadline(self.text.len()), &place, review.call_finish(store, self.resource)).await?;
        let verdict = self.policy.judge(&self.text, answer)?;
        self.agree(&verdict)?;
        Ok(verdict)
    }

    /// A block said before stays; edits below `cleared` are those given before.
    fn agree(&self, verdict: &Verdict) -> Result<(), CallError> {
        let inconsistent = |detail| Err(CallError::new(PolicyError::Inconsistent, detail));
        match (&verdict.decision, &self.blocked) {
            (Decision::Block(rule), Some(before)) if rule != before => inconsistent("it blocks by another rule"),
            (Decision::Block(_), _) => Ok(()),
            (_, Some(_)) => inconsistent("finish took a block back"),
            (Decision::Redact(edits), None) => {
                let below = edits.iter().take_while(|edit| (edit.span.start as usize) < self.cleared);
                if below.eq(self.edits.iter()) {
                    Ok(())
                } else {
                    inconsistent("finish changes edits that were given before")
                }
            }
            (Decision::Allow | Decision::Flag, None) if self.edits.is_empty() => Ok(()),
            (Decision::Allow | Decision::Flag, None) => inconsistent("finish takes edits back"),
        }
    }
}
