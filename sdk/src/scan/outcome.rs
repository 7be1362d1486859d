//! What the matches of a text amount to.

use super::{Action, Detector, Match};
use crate::policy::{Decision, Edit, Finding, Span, Verdict};

/// Most findings that a verdict lists. Further matches are still redacted, and still block.
const MOST_FINDINGS: usize = 1000;

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The rule of the first match that forbids the text, and where that match starts.
    blocked: Option<(&'static str, usize)>,
    /// Sorted and disjoint; none beyond a block.
    edits: Vec<Edit>,
    findings: Vec<Finding>,
}

impl Outcome {
    /// Takes a match whose place is counted from byte `base` of the text.
    pub(super) fn take(&mut self, detector: &Detector, action: Action, found: Match, base: usize) {
        let start = base + found.start;
        let span = Span { start: offset(start), end: offset(base + found.end) };
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding {
                rule: detector.rule.to_owned(),
                severity: detector.severity,
                span: Some(span),
                detail: detector.summary.to_owned(),
            });
        }
        match action {
            Action::Redact if self.blocked.is_none() => {
                self.edits.push(Edit { span, replacement: format!("[redacted:{}]", detector.rule) });
            }
            Action::Block => {
                self.blocked.get_or_insert((detector.rule, start));
            }
            Action::Redact | Action::Flag | Action::Off => {}
        }
    }

    /// The rule that forbids the text, and where it must stop.
    pub(super) fn blocked(&self) -> Option<(&'static str, usize)> {
        self.blocked
    }

    /// The edits from one of them on.
    pub(super) fn edits_from(&self, index: usize) -> &[Edit] {
        self.edits.get(index..).unwrap_or_default()
    }

    /// The verdict, once the text is complete.
    pub(super) fn into_verdict(self) -> Verdict {
        let decision = match self.blocked {
            Some((rule, _)) => Decision::Block(rule.to_owned()),
            None if !self.edits.is_empty() => Decision::Redact(self.edits),
            None if !self.findings.is_empty() => Decision::Flag,
            None => Decision::Allow,
        };
        Verdict { decision, findings: self.findings }
    }
}

/// The interface counts bytes in 32 bits, and no text comes near.
pub(super) fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
