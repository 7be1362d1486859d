//! `policy.wit`: subjects in, verdicts out. Two worlds export the interface, each with types of its own that
//! are alike in everything but their path: the conversions are written once, for both.

use crate::policy::{
    Attachment, Decision, Edit, Finding, Manifest, Progress, Rule, Severity, Span, Stage, Subject, Verdict,
};

macro_rules! judgement {
    ($world:path) => {
        const _: () = {
            use $world as wit;

            impl From<wit::Stage> for Stage {
                fn from(stage: wit::Stage) -> Self {
                    match stage {
                        wit::Stage::Input => Self::Input,
                        wit::Stage::Output => Self::Output,
                        wit::Stage::Reasoning => Self::Reasoning,
                        wit::Stage::ToolCall => Self::ToolCall,
                        wit::Stage::ToolResult => Self::ToolResult,
                        wit::Stage::File => Self::File,
                    }
                }
            }

            impl From<Stage> for wit::Stage {
                fn from(stage: Stage) -> Self {
                    match stage {
                        Stage::Input => Self::Input,
                        Stage::Output => Self::Output,
                        Stage::Reasoning => Self::Reasoning,
                        Stage::ToolCall => Self::ToolCall,
                        Stage::ToolResult => Self::ToolResult,
                        Stage::File => Self::File,
                    }
                }
            }

            impl From<wit::Attachment> for Attachment {
                fn from(wit::Attachment { media_type, size, sha256, data }: wit::Attachment) -> Self {
                    Self { media_type, size, sha256, data }
                }
            }

            impl From<wit::Subject> for Subject {
                fn from(subject: wit::Subject) -> Self {
                    Self {
                        stage: subject.stage.into(),
                        text: subject.text,
                        tool: subject.tool,
                        model: subject.model,
                        provider: subject.provider,
                        now_ms: subject.now_ms,
                        facts: subject.facts,
                        attachments: subject.attachments.into_iter().map(Into::into).collect(),
                        history: subject.history.into_iter().map(Into::into).collect(),
                    }
                }
            }

            impl From<Manifest> for wit::Manifest {
                fn from(manifest: Manifest) -> Self {
                    Self {
                        name: manifest.name,
                        version: manifest.version,
                        summary: manifest.summary,
                        stages: manifest.stages.into_iter().map(Into::into).collect(),
                        config_schema: manifest.config_schema,
                        needs_history: manifest.needs_history,
                        needs_attachments: manifest.needs_attachments,
                    }
                }
            }

            impl From<Rule> for wit::Rule {
                fn from(Rule { id, summary }: Rule) -> Self {
                    Self { id, summary }
                }
            }

            impl From<Span> for wit::Span {
                fn from(Span { start, end }: Span) -> Self {
                    Self { start, end }
                }
            }

            impl From<Severity> for wit::Severity {
                fn from(severity: Severity) -> Self {
                    match severity {
                        Severity::Low => Self::Low,
                        Severity::Medium => Self::Medium,
                        Severity::High => Self::High,
                        Severity::Critical => Self::Critical,
                    }
                }
            }

            impl From<Finding> for wit::Finding {
                fn from(Finding { rule, severity, span, detail }: Finding) -> Self {
                    Self { rule, severity: severity.into(), span: span.map(Into::into), detail }
                }
            }

            impl From<Edit> for wit::Edit {
                fn from(Edit { span, replacement }: Edit) -> Self {
                    Self { span: span.into(), replacement }
                }
            }

            impl From<Decision> for wit::Decision {
                fn from(decision: Decision) -> Self {
                    match decision {
                        Decision::Allow => Self::Allow,
                        Decision::Flag => Self::Flag,
                        Decision::Redact(edits) => Self::Redact(edits.into_iter().map(Into::into).collect()),
                        Decision::Block(rule) => Self::Block(rule),
                    }
                }
            }

            impl From<Verdict> for wit::Verdict {
                fn from(Verdict { decision, findings }: Verdict) -> Self {
                    Self { decision: decision.into(), findings: findings.into_iter().map(Into::into).collect() }
                }
            }
        };
    };
}

judgement!(crate::bindings::policy_plugin::exports::gavel::plugin::policy);
judgement!(crate::bindings::streaming_policy_plugin::exports::gavel::plugin::policy);

impl From<Progress> for crate::bindings::streaming_policy_plugin::exports::gavel::plugin::streaming::Progress {
    fn from(Progress { cleared, edits, blocked }: Progress) -> Self {
        Self { cleared, edits: edits.into_iter().map(Into::into).collect(), blocked }
    }
}
