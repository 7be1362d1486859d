//! The file of cases of `gavel plugin test`.

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

impl Case {
    pub(super) fn subject(&self) -> Subject {
        Subject {
            stage: self.stage,
            text: self.text.clone(),
            tool: self.tool.clone(),
            model: "model".to_owned(),
            provider: "provider".to_owned(),
            now_ms: 0,
            facts: Vec::new(),
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
        assert_eq!(cases[1].subject().history[0].parts, ["hi"]);
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
