//! What the operator learns of one turn: its figures, its line in the log and its spans. No text, and no identifier in a metric.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gavel_log::judged::Stage;
use gavel_log::record::{DecisionKind, Mode, PolicyError};
use gavel_sandbox::provider::UpstreamObserver;
use gavel_store::Agent;
use http::{HeaderValue, StatusCode};

use super::frame::{FinishReason, Usage};
use super::judge::Judgement;
use super::timing::{Point, Timing};
use super::trace::{Ended, TurnTrace};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ResultLabels, TurnLabels, VerdictLabels};

/// Follows one turn to its end. A turn that is dropped without having ended has failed.
pub(super) struct Watch {
    timing: Timing,
    metrics: Arc<Metrics>,
    mode: Mode,
    provider: String,
    trace: Arc<TurnTrace>,
    ended: OnceLock<(FinishReason, Usage)>,
    fault: OnceLock<&'static str>,
}

impl Watch {
    /// Follows a turn that has begun.
    pub(super) fn new(timing: Timing, metrics: Arc<Metrics>, agent: &Agent) -> Self {
        timing.pass(Point::Begun);
        Self {
            trace: Arc::new(TurnTrace::begin(agent, &timing)),
            timing,
            metrics,
            mode: agent.mode,
            provider: agent.provider.clone(),
            ended: OnceLock::new(),
            fault: OnceLock::new(),
        }
    }

    /// Notes that the turn passes a point. Only the first time counts.
    pub(super) fn pass(&self, point: Point) {
        self.timing.pass(point);
    }

    /// Who follows the turn's requests to its provider.
    pub(super) fn upstream(&self) -> Arc<dyn UpstreamObserver> {
        let (metrics, trace) = (Arc::clone(&self.metrics), Arc::clone(&self.trace));
        Arc::new(Upstream { metrics, provider: self.provider.clone(), trace })
    }

    /// The provider failed, with this code.
    pub(super) fn provider_failed(&self, code: &'static str) {
        self.metrics.provider_failed(&self.provider, code);
        let _ = self.fault.set(code);
    }

    /// The turn is over, for this reason and at this cost. Only the first time counts.
    pub(super) fn ended(&self, reason: FinishReason, usage: Usage) {
        if self.ended.set((reason, usage)).is_ok() {
            self.metrics.tokens_used(&self.provider, usage.input_tokens, usage.output_tokens);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (reason, usage) = self.ended.get().copied().unwrap_or((FinishReason::Error, Usage::default()));
        let labels = TurnLabels { mode: mode_word(self.mode), finish_reason: reason.as_str() };
        self.metrics.turn_ended(&labels, self.timing.elapsed(), self.timing.at(Point::FirstChunk));
        self.timing.report(reason);
        self.trace.end(&self.timing, &Ended { reason, usage, fault: self.fault.get().copied() });
    }
}

/// Follows one chat's requests.
struct Upstream {
    metrics: Arc<Metrics>,
    provider: String,
    trace: Arc<TurnTrace>,
}

impl UpstreamObserver for Upstream {
    fn traceparent(&self) -> Option<HeaderValue> {
        self.trace.call_provider()
    }

    fn answered(&self, after: Duration, status: Option<StatusCode>) {
        self.metrics.upstream_answered(&self.provider, status.map(|status| status.as_u16()), after);
    }
}

/// Counts a stage that was judged, and the verdicts on it.
pub(super) fn count(metrics: &Metrics, judgement: &Judgement) {
    let stage = stage_word(judgement.stage);
    metrics.judged(&ResultLabels {
        stage,
        mode: mode_word(judgement.mode),
        decision: decision_word(judgement.decision()),
        enforced: judgement.enforced(),
    });
    for answer in &judgement.answers {
        let error = answer.result.as_ref().err().map(|kind| error_word(*kind));
        let decision = if error.is_some() { "error" } else { decision_word(answer.decision()) };
        let labels = VerdictLabels { policy: answer.binding.name().to_owned(), stage, decision };
        metrics.verdict(&labels, error, Duration::from_micros(answer.micros));
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Transparent => "transparent",
        Mode::Enforcing => "enforcing",
    }
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Input => "input",
        Stage::Output => "output",
        Stage::Reasoning => "reasoning",
        Stage::ToolCall => "tool_call",
        Stage::ToolResult => "tool_result",
        Stage::File => "file",
    }
}

fn decision_word(decision: DecisionKind) -> &'static str {
    match decision {
        DecisionKind::Allow => "allow",
        DecisionKind::Flag => "flag",
        DecisionKind::Redact => "redact",
        DecisionKind::Block => "block",
        DecisionKind::Unknown => "unknown",
    }
}

fn error_word(error: PolicyError) -> &'static str {
    match error {
        PolicyError::Trap => "trap",
        PolicyError::Fuel => "fuel",
        PolicyError::Deadline => "deadline",
        PolicyError::Memory => "memory",
        PolicyError::Stack => "stack",
        PolicyError::Size => "size",
        PolicyError::Inconsistent => "inconsistent",
        PolicyError::Refused => "refused",
    }
}
