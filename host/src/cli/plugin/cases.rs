//! The file of cases of `gavel plugin test`.

use std::collections::BTreeMap;

use gavel_log::judged::{Message, Role, Stage, Subject};
use gavel_log::record::DecisionKind;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Most bytes of a file of cases.
pub(super) const MAX_BYTES: u64 = 4 << 20;
/// Most cases of one file.
const MAX_CASES: usize = 10_000;

/// A text, and what a policy is to make of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What is so, in words.
    pub(super) name: String,
    text: String,
    #[serde(default = "input")]
    pub(super) stage: Stage,
    /// The policy's configuration.
    #[serde(default)]
    pub(super) config: Map<String, Value>,
    tool: Option<String>,
    #[serde(default = "model")]
    model: String,
    #[serde(default = "provider")]
    provider: String,
    /// When the turn began: milliseconds since the Unix epoch.
    #[serde(default)]
    now_ms: u64,
    #[serde(default)]
    facts: BTreeMap<String, String>,
    /// Oldest first.
    #[serde(default)]
    history: Vec<Earlier>,
    pub(super) expect: Expected,
}

/// An earlier message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Earlier {
    role: Role,
    text: String,
}

/// What a verdict has to be. What is not named may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) decision: DecisionKind,
    /// Of the findings and of a block: each once, in any order.
    pub(super) rules: Option<Vec<String>>,
    /// After the edits.
    pub(super) text: Option<String>,
}

fn input() -> Stage {
    Stage::Input
}

fn model() -> String {
    "model".to_owned()
}

fn provider() -> String {
    "provider".to_owned()
}

impl Case {
    pub(super) fn subject(&self) -> Subject {
        Subject {
            stage: self.stage,
            text: self.text.clone(),
            tool: self.tool.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            now_ms: self.now_ms,
            facts: self.facts.clone().into_iter().collect(),
            history: self
                .history
                .iter()
                .map(|earlier| Message { role: earlier.role, parts: vec![earlier.text.clone()] })
                .collect(),
        }
    }
}

/// Reads a file of cases; the error says where and what.
pub(super) fn parse(yaml: &str) -> Result<Vec<Case>, String> {
    let cases: Vec<Case> = serde_saphyr::from_str(yaml).map_err(|error| {
        let place = error.location().map_or_else(String::new, |at| format!("{}:{}: ", at.line(), at.column()));
        format!("{place}{}", error.without_snippet())
    })?;
    if cases.is_empty() {
        return Err("there is no case in it".to_owned());
    }
    if cases.len() > MAX_CASES {
        return Err(format!("there are over {MAX_CASES} cases in it"));
    }
    if let Some(case) = cases.iter().find(|case| case.expect.decision == DecisionKind::Unknown) {
        return Err(format!("{:?}: a policy decides allow, flag, redact or block", case.name));
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_says_what_it_has_to() {
        let cases = parse("- { name: a, text: é, stage: tool_call, tool: t, expect: { decision: redact, text: e } }\n\
             - name: b\n  text: |\n    two\n    lines\n  config: { names: [x] }\n  history: [{ role: user, text: hi }]\n  expect: { decision: allow, rules: [] }\n")
            .unwrap();
        assert_eq!((cases[0].stage, cases[0].expect.decision), (Stage::ToolCall, DecisionKind::Redact));
        assert_eq!(cases[1].subject().text, "two\nlines\n");
        assert_eq!((cases[1].subject().now_ms, cases[1].subject().facts), (0, Vec::new()));
        assert_eq!(cases[1].subject().history[0].parts, ["hi"]);
    }

    #[test]
    fn a_case_sets_all_that_a_subject_has() {
        let facts = "facts: { session.turns: '3', label.team: blue }";
        let yaml = format!(
            "- {{ name: a, text: b, now_ms: 7, model: m, provider: p, {facts}, expect: {{ decision: allow }} }}"
        );
        let subject = parse(&yaml).unwrap().remove(0).subject();
        assert_eq!((subject.now_ms, subject.model.as_str(), subject.provider.as_str()), (7, "m", "p"));
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(subject.facts, [fact("label.team", "blue"), fact("session.turns", "3")], "sorted by name");
    }

    #[test]
    fn what_does_not_parse_has_a_place() {
        for (yaml, begins) in [
            ("- name: a\n  text: b\n  expects: {}\n", "3:"),
            ("- name: a\n  text: [", "2:"),
            ("- name: a\n  text: b\n  stage: nowhere\n  expect: { decision: allow }\n", "3:"),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(error.starts_with(begins), "{error}");
        }
        assert!(parse("[]").unwrap_err().contains("no case"));
        assert!(parse("- { name: a, text: b, expect: { decision: unknown } }").unwrap_err().contains("decides"));
    }
}
