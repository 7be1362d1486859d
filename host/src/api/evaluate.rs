//! A policy tried out on a text.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::{Path, State};
use gavel_log::judged::{Decision, Message, Role, Stage, Subject};
use gavel_log::record::{DecisionKind, PolicyError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::clock::now_ms;
use crate::object::all_objects;
use crate::plugins::{DryRun, DryRunError};
use crate::schema;
use crate::turn::{FindingView, Reason};

/// Most earlier messages, and most facts.
const MAX_HISTORY: usize = 200;
const MAX_FACTS: usize = 64;
/// Seconds after which a full pool is worth another try.
const BUSY_SECONDS: u64 = 1;

/// What a policy is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EvaluationQuestion, examples(json!({
    "text": "My card is 4111 1111 1111 1111.", "stage": "input", "config": {"action": "redact"},
})))]
pub(super) struct Question {
    /// At most as many bytes as a message may have.
    text: String,
    /// What the text is.
    #[serde(default = "input")]
    #[schema(value_type = schema::Stage)]
    stage: Stage,
    /// The policy's configuration, which its schema judges.
    #[serde(default)]
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// The model that the policy is told of.
    #[serde(default)]
    model: String,
    /// The provider that the policy is told of.
    #[serde(default)]
    provider: String,
    /// The tool's name, at the two stages of tools.
    tool: Option<String>,
    /// What else it is told, by name: at most 64.
    #[serde(default)]
    facts: BTreeMap<String, String>,
    /// The conversation so far, oldest first, for a policy that asks for it.
    #[serde(default, deserialize_with = "all_objects")]
    #[schema(max_items = 200)]
    history: Vec<Earlier>,
}

/// An earlier message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EarlierMessage)]
struct Earlier {
    #[schema(value_type = schema::Role)]
    role: Role,
    content: String,
}

fn input() -> Stage {
    Stage::Input
}

impl Question {
    fn faults(&self, message_bytes: usize) -> Vec<FieldError> {
        let bounds = [
            ("/text", self.text.len(), message_bytes, "bytes"),
            ("/history", self.history.len(), MAX_HISTORY, "messages"),
            ("/facts", self.facts.len(), MAX_FACTS, "facts"),
        ];
        let over = bounds.into_iter().filter(|(_, size, most, _)| size > most);
        over.map(|(pointer, _, most, what)| field(pointer, format!("must have at most {most} {what}"))).collect()
    }

    fn into_subject(self) -> (Value, Subject) {
        let history = self.history.into_iter();
        let subject = Subject {
            stage: self.stage,
            text: self.text,
            tool: self.tool,
            model: self.model,
            provider: self.provider,
            now_ms: u64::try_from(now_ms()).unwrap_or(0),
            facts: self.facts.into_iter().collect(),
            history: history.map(|said| Message { role: said.role, parts: vec![said.content] }).collect(),
        };
        (Value::Object(self.config), subject)
    }
}

/// What a policy said.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluation, examples(json!({
    "policy": "pii", "version": "0.1.0",
    "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "decision": "redact",
    "reason": {"policy": "pii", "rule": "card", "summary": "A payment card number."},
    "findings": [{"rule": "card", "summary": "A payment card number.", "severity": "high", "span": [11, 30], "detail": ""}],
    "edits": [{"span": [11, 30], "replacement": "[redacted:card]"}], "text": "My card is [redacted:card].",
    "error": null, "micros": 2100,
})))]
pub(super) struct Evaluation {
    /// Its name.
    policy: String,
    /// Its version.
    version: String,
    /// Its component, as `sha256:<hex>`.
    digest: String,
    /// What it decided; null where it gave no verdict.
    #[schema(required, value_type = Option<schema::Decision>)]
    decision: Option<DecisionKind>,
    /// Why, for `redact` and `block`.
    #[schema(required)]
    reason: Option<Reason>,
    /// What it found.
    findings: Vec<FindingView>,
    /// What it replaces.
    edits: Vec<EditView>,
    /// The text after the edits; null where it gave no verdict.
    #[schema(required)]
    text: Option<String>,
    /// Why it gave no verdict.
    #[schema(required, value_type = Option<schema::PolicyError>)]
    error: Option<PolicyError>,
    /// How long it took, in microseconds: configured anew, which a bound policy need not be.
    micros: u64,
}

/// A replacement.
#[derive(Serialize, ToSchema)]
#[schema(as = Edit)]
struct EditView {
    /// What is replaced, as `[start, end]` in UTF-8 bytes.
    span: [u32; 2],
    /// By what.
    replacement: String,
}

impl From<DryRun> for Evaluation {
    fn from(run: DryRun) -> Self {
        let DryRun { policy, decision, findings, text, micros } = run;
        let (manifest, digest) = (&policy.component().manifest, policy.component().digest.tagged());
        let summary = |rule: &str| policy.rules.summary(rule).unwrap_or_default().to_owned();
        let findings: Vec<_> =
            findings.into_iter().map(|finding| FindingView::of_caller(&finding, summary(&finding.rule))).collect();
        let (error, decision) = (decision.as_ref().err().copied(), decision.ok());
        let rule = match &decision {
            Some(Decision::Block(rule)) => Some(rule.clone()),
            Some(Decision::Redact(_)) => findings.first().map(|finding| finding.rule.clone()),
            _ => None,
        };
        Self {
            policy: manifest.name.clone(),
            version: manifest.version.clone(),
            digest,
            reason: rule.map(|rule| Reason { policy: manifest.name.clone(), summary: summary(&rule), rule }),
            findings,
            decision: decision.as_ref().map(DecisionKind::from),
            edits: match decision {
                Some(Decision::Redact(edits)) => edits.into_iter().map(EditView::from).collect(),
                _ => Vec::new(),
            },
            text,
            error,
            micros,
        }
    }
}

impl From<gavel_log::judged::Edit> for EditView {
    fn from(edit: gavel_log::judged::Edit) -> Self {
        Self { span: [edit.span.start, edit.span.end], replacement: edit.replacement }
    }
}

/// Try a policy out.
///
/// It is asked once, under this configuration, as it would be in a turn. Nothing is changed, and nothing is logged. A policy
/// that fails is an answer too: `decision` is null, and `error` says how.
#[utoipa::path(
    post,
    path = "/v1/policies/{name}/evaluate",
    tag = "Policies",
    operation_id = "evaluate_policy",
    params(("name" = String, Path, description = "Its name, `name@version` or `name@sha256:digest`.", example = "pii")),
    request_body = Question,
    responses(
        (status = 200, description = "What it said.", body = Evaluation),
        (status = 404, description = "There is no such policy."),
        (status = 422, description = "The policy refuses the configuration, or cannot judge the stage."),
        (status = 503, description = "Every instance of policies is taken."),
    ),
)]
pub(super) async fn evaluate(
    State(app): State<App>,
    Path(name): Path<String>,
    Json(question): Json<Question>,
) -> Result<Answer<Evaluation>, Problem> {
    let faults = question.faults(app.config.limits.message_bytes);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let (config, subject) = question.into_subject();
    Ok(Answer(app.plugins.dry_run(&name, &config, subject).await?.into()))
}

impl From<DryRunError> for Problem {
    fn from(error: DryRunError) -> Self {
        let refused = |errors| Self::with_fields(Code::InvalidConfiguration, errors);
        match error {
            DryRunError::Unknown(_) => Self::new(Code::NotFound, error.to_string()),
            DryRunError::Stage(_) => refused(vec![field("/stage", error.to_string())]),
            DryRunError::Schema(faults) => {
                let at = |pointer: &str| format!("/config{pointer}");
                refused(faults.into_iter().map(|fault| field(&at(&fault.pointer), fault.detail)).collect())
            }
            DryRunError::Refused(detail) => refused(vec![field("/config", detail)]),
            DryRunError::Busy => Self::new(Code::Busy, error.to_string()).retry_after(BUSY_SECONDS),
            DryRunError::Plugins(error) => Self::internal(&error),
        }
    }
}

fn field(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail }
}
