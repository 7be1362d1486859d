//! The contract of `wit/policy.wit` for what a policy answers. What breaks it is no verdict.

use std::collections::BTreeMap;

use gavel_log::judged::{Decision, Edit, Span, Verdict};
use gavel_log::record::PolicyError;

/// Most bytes of a replacement.
const REPLACEMENT_BYTES: usize = 256;
/// Most bytes of a finding's detail.
const DETAIL_BYTES: usize = 1024;
/// Most rules that a configuration may declare.
const MAX_RULES: usize = 256;
/// Most bytes of a rule's id, and of its summary.
const RULE_BYTES: usize = 64;
const SUMMARY_BYTES: usize = 512;

/// The rules that a configured policy may name, with the sentence shown to whoever is stopped by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<String, String>);

impl Rules {
    /// Checks what `configure` declared.
    pub(super) fn declare(rules: impl ExactSizeIterator<Item = (String, String)>) -> Result<Self, String> {
        if rules.len() > MAX_RULES {
            return Err(format!("it declares more than {MAX_RULES} rules"));
        }
        let mut declared = BTreeMap::new();
        for (id, summary) in rules {
            let valid = !id.is_empty()
                && id.len() <= RULE_BYTES
                && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !valid {
                return Err("it declares a rule whose id is not of [a-z0-9-], 1 to 64 characters".into());
            }
            if summary.len() > SUMMARY_BYTES || summary.chars().any(char::is_control) {
                return Err(format!("the summary of its rule {id} is too long or has control characters"));
            }
            if declared.insert(id.clone(), summary).is_some() {
                return Err(format!("it declares the rule {id} twice"));
            }
        }
        Ok(Self(declared))
    }

    /// The sentence for a rule.
    #[must_use]
    pub fn summary(&self, rule: &str) -> Option<&str> {
        self.0.get(rule).map(String::as_str)
    }

    /// The ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn declares(&self, rule: &str) -> bool {
        self.0.contains_key(rule)
    }

    /// A block may name declared rules only.
    pub(super) fn check_rule(&self, rule: &str) -> Result<(), PolicyError> {
        if self.declares(rule) { Ok(()) } else { Err(PolicyError::Inconsistent) }
    }

    /// A whole verdict on `text`.
    pub(super) fn check_verdict(&self, text: &str, verdict: &Verdict) -> Result<(), PolicyError> {
        match &verdict.decision {
            Decision::Allow | Decision::Flag => {}
            Decision::Redact(edits) if edits.is_empty() => return Err(PolicyError::Inconsistent),
            Decision::Redact(edits) => check_edits(text, 0, text.len(), edits)?,
            Decision::Block(rule) => self.check_rule(rule)?,
        }
        for finding in &verdict.findings {
            self.check_rule(&finding.rule)?;
            if let Some(span) = finding.span {
                check_span(text, span)?;
            }
            if finding.detail.len() > DETAIL_BYTES {
                return Err(PolicyError::Size);
            }
        }
        Ok(())
    }
}

/// Edits are sorted, disjoint, inside `from..to` of `text`, and what they put there is clean.
pub(super) fn check_edits(text: &str, from: usize, to: usize, edits: &[Edit]) -> Result<(), PolicyError> {
    let mut end = from;
    for edit in edits {
        let (start, stop) = check_span(text, edit.span)?;
        let clean = (1..=REPLACEMENT_BYTES).contains(&edit.replacement.len())
            && !edit.replacement.chars().any(char::is_control);
        if start < end || stop > to || !clean {
            return Err(PolicyError::Inconsistent);
        }
        end = stop;
    }
    Ok(())
}

fn check_span(text: &str, span: Span) -> Result<(usize, usize), PolicyError> {
    let (start, end) = (span.start as usize, span.end as usize);
    if start < end && text.is_char_boundary(start) && text.is_char_boundary(end) {
        Ok((start, end))
    } else {
        Err(PolicyError::Inconsistent)
    }
}
