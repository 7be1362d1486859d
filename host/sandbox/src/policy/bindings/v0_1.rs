//! The host's side of the policy worlds of `gavel:plugin@0.1.0`, and the way between its types and the log's.

use gavel_log::judged;

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "streaming-policy-plugin",
    exports: { default: async },
});

pub(in crate::policy) use exports::gavel::plugin::{policy, streaming};
use gavel::plugin::types;

impl From<judged::Stage> for policy::Stage {
    fn from(stage: judged::Stage) -> Self {
        match stage {
            judged::Stage::Input => Self::Input,
            judged::Stage::Output => Self::Output,
            judged::Stage::Reasoning => Self::Reasoning,
            judged::Stage::ToolCall => Self::ToolCall,
            judged::Stage::ToolResult => Self::ToolResult,
            judged::Stage::File => Self::File,
        }
    }
}

impl From<policy::Stage> for judged::Stage {
    fn from(stage: policy::Stage) -> Self {
        match stage {
            policy::Stage::Input => Self::Input,
            policy::Stage::Output => Self::Output,
            policy::Stage::Reasoning => Self::Reasoning,
            policy::Stage::ToolCall => Self::ToolCall,
            policy::Stage::ToolResult => Self::ToolResult,
            policy::Stage::File => Self::File,
        }
    }
}

impl From<policy::Severity> for judged::Severity {
    fn from(severity: policy::Severity) -> Self {
        match severity {
            policy::Severity::Low => Self::Low,
            policy::Severity::Medium => Self::Medium,
            policy::Severity::High => Self::High,
            policy::Severity::Critical => Self::Critical,
        }
    }
}

impl From<judged::Role> for types::Role {
    fn from(role: judged::Role) -> Self {
        match role {
            judged::Role::System => Self::System,
            judged::Role::User => Self::User,
            judged::Role::Assistant => Self::Assistant,
            judged::Role::Tool => Self::Tool,
        }
    }
}

impl From<&judged::Subject> for policy::Subject {
    fn from(subject: &judged::Subject) -> Self {
        Self {
            stage: subject.stage.into(),
            text: subject.text.clone(),
            tool: subject.tool.clone(),
            model: subject.model.clone(),
            provider: subject.provider.clone(),
            now_ms: subject.now_ms,
            facts: subject.facts.clone(),
            attachments: Vec::new(),
            history: subject.history.iter().map(Into::into).collect(),
        }
    }
}

impl From<&judged::Message> for types::Message {
    fn from(message: &judged::Message) -> Self {
        Self { role: message.role.into(), parts: message.parts.iter().cloned().map(types::Part::Text).collect() }
    }
}

fn span(span: policy::Span) -> judged::Span {
    judged::Span { start: span.start, end: span.end }
}

/// Edits as the log knows them.
pub(in crate::policy) fn edits(edits: Vec<policy::Edit>) -> Vec<judged::Edit> {
    edits.into_iter().map(|edit| judged::Edit { span: span(edit.span), replacement: edit.replacement }).collect()
}

/// A verdict as the log knows it.
pub(in crate::policy) fn verdict(verdict: policy::Verdict) -> judged::Verdict {
    judged::Verdict {
        decision: match verdict.decision {
            policy::Decision::Allow => judged::Decision::Allow,
            policy::Decision::Flag => judged::Decision::Flag,
            policy::Decision::Redact(list) => judged::Decision::Redact(edits(list)),
            policy::Decision::Block(rule) => judged::Decision::Block(rule),
        },
        findings: verdict
            .findings
            .into_iter()
            .map(|finding| judged::Finding {
                rule: finding.rule,
                severity: finding.severity.into(),
                span: finding.span.map(span),
                detail: finding.detail,
            })
            .collect(),
    }
}
