//! A turn's spans, by the GenAI semantic conventions of OpenTelemetry. No text, no key, no user.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use gavel_store::Agent;
use http::HeaderValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};

use super::frame::{FinishReason, Usage};
use super::timing::{Point, Timing};
use crate::telemetry::traces;

/// Steps of a turn, between two of its points.
const STEPS: [(&str, Point, Point); 4] = [
    ("review input", Point::Prompted, Point::Judged),
    ("seal input", Point::Judged, Point::InputSealed),
    ("review output", Point::FirstDelta, Point::OutputJudged),
    ("seal output", Point::OutputJudged, Point::OutputSealed),
];

/// What a turn has come to.
pub(super) struct Ended<'a> {
    pub(super) reason: FinishReason,
    pub(super) usage: Usage,
    /// The code of a fault, where there was one.
    pub(super) fault: Option<&'a str>,
}

/// The spans of one turn; where nothing is traced, only its place in its caller's trace.
pub(super) struct TurnTrace {
    /// Where the turn's own span is the newest one.
    turn: Context,
    /// What both spans are told, if the turn's is recorded: else there is nothing to end.
    attributes: Option<Vec<KeyValue>>,
    /// Where the provider's is.
    provider: OnceLock<Context>,
    began: SystemTime,
}

impl TurnTrace {
    /// Begins the turn's span, below that of the request that the turn belongs to.
    pub(super) fn begin(agent: &Agent, timing: &Timing) -> Self {
        let parent = Context::current();
        let now = SystemTime::now();
        let began = now.checked_sub(timing.elapsed()).unwrap_or(now);
        let none = Self { turn: parent.clone(), attributes: None, provider: OnceLock::new(), began };
        if !traces::are_on() {
            return none;
        }
        let attributes = attributes(agent);
        let describe = |span: SpanBuilder| span.with_start_time(began).with_attributes(attributes.clone());
        match traces::begin(format!("chat {}", agent.model), describe, &parent) {
            Some(turn) if turn.span().is_recording() => Self { turn, attributes: Some(attributes), ..none },
            Some(turn) => Self { turn, ..none },
            None => none,
        }
    }

    /// Begins the provider's span, and gives what its requests carry on.
    pub(super) fn call_provider(&self) -> Option<HeaderValue> {
        let Some(attributes) = &self.attributes else { return traces::traceparent(&self.turn) };
        let context = self.provider.get_or_init(|| {
            let describe = |span: SpanBuilder| span.with_kind(SpanKind::Client).with_attributes(attributes.clone());
            traces::begin("provider", describe, &self.turn).unwrap_or_else(|| self.turn.clone())
        });
        traces::traceparent(context)
    }

    /// Ends all of them.
    pub(super) fn end(&self, timing: &Timing, ended: &Ended<'_>) {
        if self.attributes.is_none() {
            return;
        }
        for (name, from, to) in STEPS {
            if let (Some(from), Some(to)) = (timing.at(from), timing.at(to)) {
                let step = traces::begin(name, |span| span.with_start_time(self.at(from)), &self.turn);
                if let Some(step) = step {
                    step.span().end_with_timestamp(self.at(to));
                }
            }
        }
        if let Some(provider) = self.provider.get() {
            let span = provider.span();
            if let Some(fault) = ended.fault {
                span.set_attribute(KeyValue::new("error.type", fault.to_owned()));
                span.set_status(Status::error(""));
            }
            span.end_with_timestamp(self.at(timing.at(Point::LastDelta).unwrap_or_else(|| timing.elapsed())));
        }
        let span = self.turn.span();
        let reasons = Array::String(vec![StringValue::from(ended.reason.as_str())]);
        span.set_attribute(KeyValue::new("gen_ai.response.finish_reasons", Value::Array(reasons)));
        span.set_attribute(KeyValue::new("gen_ai.usage.input_tokens", integer(ended.usage.input_tokens)));
        span.set_attribute(KeyValue::new("gen_ai.usage.output_tokens", integer(ended.usage.output_tokens)));
        if ended.reason == FinishReason::Error {
            span.set_attribute(KeyValue::new("error.type", ended.fault.unwrap_or("internal").to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
    }

    fn at(&self, since: Duration) -> SystemTime {
        self.began.checked_add(since).unwrap_or(self.began)
    }
}

fn attributes(agent: &Agent) -> Vec<KeyValue> {
    vec![
        KeyValue::new("gen_ai.operation.name", "chat"),
        KeyValue::new("gen_ai.provider.name", agent.provider.clone()),
        KeyValue::new("gen_ai.request.model", agent.model.clone()),
        KeyValue::new("gen_ai.agent.id", agent.id.to_string()),
    ]
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
