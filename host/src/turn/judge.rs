//! Judging one stage: all bound policies on the original text, side by side, and what follows from their verdicts.

use std::sync::Arc;

use futures_util::future::join_all;
use gavel_log::judged::{Decision, Edit, Message, Stage, Subject, Verdict};
use gavel_log::record::{DecisionKind, Enforcement, Mode, OnError, PolicyError};
use gavel_sandbox::policy::{CallError, Evaluation};

use super::frame::Reason;
use super::gate::{Cleared, PolicyEdits, clear_whole};
use crate::plugins::{BoundBinding, BoundSet};

/// What the turn tells every policy besides the text.
#[derive(Clone)]
pub(crate) struct SubjectFrame {
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) now_ms: u64,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) history: Vec<Message>,
}

/// Where in a turn a text stands: its stage, and at the two tool stages the tool's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) stage: Stage,
    pub(crate) tool: Option<&'a str>,
}

impl From<Stage> for Place<'_> {
    fn from(stage: Stage) -> Self {
        Self { stage, tool: None }
    }
}

impl SubjectFrame {
    /// The subject as the record commits to it: with the history, whichever policies asked for it.
    pub(crate) fn subject<'a>(&self, place: impl Into<Place<'a>>, text: &str) -> Subject {
        let Place { stage, tool } = place.into();
        Subject {
            stage,
            text: text.to_owned(),
            tool: tool.map(str::to_owned),
            model: self.model.clone(),
            provider: self.provider.clone(),
            now_ms: self.now_ms,
            facts: self.facts.clone(),
            history: self.history.clone(),
        }
    }

    /// The subject as this policy is given it.
    pub(crate) fn subject_for<'a>(&self, binding: &BoundBinding, place: impl Into<Place<'a>>, text: &str) -> Subject {
        let mut subject = self.subject(place, text);
        if !binding.policy.component().manifest.needs_history {
            subject.history.clear();
        }
        subject
    }
}

/// One policy's answer, whether it judged whole or while the text was written.
pub(crate) struct Answer {
    pub(crate) binding: Arc<BoundBinding>,
    pub(crate) result: Result<Verdict, PolicyError>,
    pub(crate) micros: u64,
}

impl Answer {
    /// An answer from a call; its words go to the operator's log, never to a chat.
    pub(crate) fn new(binding: Arc<BoundBinding>, evaluation: Evaluation) -> Self {
        let micros = u64::try_from(evaluation.elapsed.as_micros()).unwrap_or(u64::MAX);
        let result = evaluation.result.map_err(|error| report(&binding, &error));
        Self { binding, result, micros }
    }

    /// What follows from it: its decision, or what its binding does on failure.
    pub(crate) fn decision(&self) -> DecisionKind {
        match (&self.result, self.binding.on_error) {
            (Ok(verdict), _) => (&verdict.decision).into(),
            (Err(_), OnError::Block) => DecisionKind::Block,
            (Err(_), OnError::Allow) => DecisionKind::Allow,
        }
    }

    fn edits(&self) -> &[Edit] {
        match &self.result {
            Ok(Verdict { decision: Decision::Redact(edits), .. }) => edits,
            _ => &[],
        }
    }

    fn reason(&self) -> Reason {
        let rule = match &self.result {
            Ok(Verdict { decision: Decision::Block(rule), .. }) => Some(rule.clone()),
            Ok(verdict) => verdict.findings.first().map(|finding| finding.rule.clone()),
            Err(_) => None,
        };
        let summary = rule.as_ref().and_then(|rule| self.binding.policy.rules.summary(rule));
        Reason {
            policy: self.binding.name().to_owned(),
            summary: summary.unwrap_or("The policy gave no verdict.").to_owned(),
            rule: rule.unwrap_or_else(|| "policy-error".into()),
        }
    }
}

/// Reports a failed call to the operator, and gives what the record says of it.
pub(crate) fn report(binding: &BoundBinding, error: &CallError) -> PolicyError {
    // A refusal's words are the plugin's own, and may repeat the text: they reach no log.
    let engine = if error.kind == PolicyError::Refused { "" } else { error.detail.as_str() };
    tracing::warn!(policy = binding.name(), kind = ?error.kind, engine, "a policy gave no verdict");
    error.kind
}

/// All answers on one stage of one message.
pub(crate) struct Judgement {
    pub(crate) stage: Stage,
    pub(crate) mode: Mode,
    pub(crate) answers: Vec<Answer>,
}

impl Judgement {
    /// Asks every binding of the stage about the whole text, side by side. Order never changes a verdict.
    pub(crate) async fn of<'a>(
        set: &BoundSet,
        frame: &SubjectFrame,
        place: impl Into<Place<'a>>,
        mode: Mode,
        text: &str,
    ) -> Self {
        let place = place.into();
        let answers = evaluate_all(set.at(place.stage), frame, place, text).await;
        Self { stage: place.stage, mode, answers }
    }

    /// What the enforcing bindings decide together; in transparent mode what they would have decided. Where a mandatory
    /// binding changes or stops something in transparent mode, it is that: what was decided is what was done.
    pub(crate) fn decision(&self) -> DecisionKind {
        self.combined(|answer| self.decides(answer))
    }

    /// Whether an answer counts for the decision.
    fn decides(&self, answer: &Answer) -> bool {
        if self.enforced() {
            answer.binding.enforces(self.mode)
        } else {
            answer.binding.enforcement == Enforcement::Enforce
        }
    }

    /// What all bindings decide together.
    pub(crate) fn would(&self) -> DecisionKind {
        self.combined(|_| true)
    }

    fn combined(&self, counts: impl Fn(&Answer) -> bool) -> DecisionKind {
        let decisions = self.answers.iter().filter(|answer| counts(answer)).map(Answer::decision);
        decisions.max().unwrap_or(DecisionKind::Allow)
    }

    /// Whether a verdict that is obeyed changes or stops something.
    pub(crate) fn enforced(&self) -> bool {
        self.obeyed() >= DecisionKind::Redact
    }

    /// Whether it stops something.
    pub(crate) fn blocks(&self) -> bool {
        self.obeyed() == DecisionKind::Block
    }

    /// What the bindings that are obeyed in this mode decide together.
    fn obeyed(&self) -> DecisionKind {
        self.combined(|answer| answer.binding.enforces(self.mode))
    }

    /// The first binding behind a redaction or block.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let decision = self.decision();
        if decision < DecisionKind::Redact {
            return None;
        }
        self.answers.iter().find(|answer| self.decides(answer) && answer.decision() == decision).map(Answer::reason)
    }

    /// The text that passes, with the edits of the enforcing bindings; in transparent mode all of it.
    pub(crate) fn passed(&self, text: &str) -> (Cleared, Vec<Edit>) {
        let edits: Vec<_> = self
            .answers
            .iter()
            .filter(|answer| answer.binding.enforces(self.mode))
            .map(|answer| PolicyEdits { policy: answer.binding.name(), edits: answer.edits() })
            .collect();
        clear_whole(text, &edits)
    }

    /// Whether any enforcing policy was asked.
    pub(crate) fn enforcing(&self) -> bool {
        self.answers.iter().any(|answer| answer.binding.enforces(self.mode))
    }
}

/// Asks these bindings about the whole text, side by side.
pub(crate) async fn evaluate_all<'a>(
    bindings: Vec<Arc<BoundBinding>>,
    frame: &SubjectFrame,
    place: impl Into<Place<'a>>,
    text: &str,
) -> Vec<Answer> {
    let place = place.into();
    let alone = bindings.len() == 1;
    join_all(bindings.into_iter().map(|binding| async move {
        let subject = frame.subject_for(&binding, place, text);
        let evaluation = match alone {
            true => binding.policy.evaluate(&subject).await,
            false => Arc::clone(&binding.policy).evaluate_beside_others(subject).await,
        };
        Answer::new(binding, evaluation)
    }))
    .await
}
