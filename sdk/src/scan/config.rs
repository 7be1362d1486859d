//! The configuration that scanning policies share.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Detector;

/// Most patterns in `allow`.
const MOST_PATTERNS: usize = 256;
/// Most bytes in one of them.
const LONGEST_PATTERN: usize = 256;

/// What to do with a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Replace it.
    #[default]
    Redact,
    /// Forbid the text.
    Block,
    /// Report it.
    Flag,
    /// Do not look for it.
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    action: Action,
    actions: BTreeMap<String, Action>,
    allow: Vec<String>,
}

impl Config {
    /// Reads the configuration, and sets apart what the policy's own `settings`, the properties of a schema, name.
    pub(super) fn parse(json: &str, settings: &str) -> Result<(Self, String), String> {
        let fault = |error: serde_json::Error| format!("the configuration: {error}");
        let own = properties(settings)?;
        let members: Map<String, Value> = serde_json::from_str(json).map_err(fault)?;
        let (own, shared): (Map<_, _>, Map<_, _>) = members.into_iter().partition(|(name, _)| own.contains_key(name));
        let config = Self::deserialize(Value::Object(shared)).map_err(fault)?;
        Ok((config, Value::Object(own).to_string()))
    }

    /// Holds it against the detectors that it is for.
    pub(super) fn check(&self, detectors: &[Detector]) -> Result<(), String> {
        if let Some(unknown) = self.actions.keys().find(|rule| detectors.iter().all(|known| known.rule != **rule)) {
            return Err(format!("actions: there is no rule {unknown:?}"));
        }
        if self.allow.len() > MOST_PATTERNS {
            return Err(format!("allow: more than {MOST_PATTERNS} patterns"));
        }
        if self.allow.iter().any(|pattern| pattern.is_empty() || pattern.len() > LONGEST_PATTERN) {
            return Err(format!("allow: a pattern has 1 to {LONGEST_PATTERN} bytes"));
        }
        Ok(())
    }

    pub(super) fn action(&self, rule: &str) -> Action {
        self.actions.get(rule).copied().unwrap_or(self.action)
    }

    pub(super) fn into_allowed(self) -> Vec<String> {
        self.allow
    }
}

fn properties(settings: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(settings).map_err(|error| format!("the policy's own settings: {error}"))
}

/// The JSON Schema of that configuration, with the properties of the policy's own.
pub(super) fn schema(detectors: &[Detector], settings: &str) -> String {
    let rules: Map<String, Value> = detectors
        .iter()
        .map(|detector| {
            (detector.rule.to_owned(), json!({ "$ref": "#/$defs/action", "description": detector.summary }))
        })
        .collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "action": {
                "$ref": "#/$defs/action",
                "default": "redact",
                "description": "What to do with a match of any rule that `actions` does not name."
            },
            "actions": {
                "type": "object",
                "additionalProperties": false,
                "properties": rules,
                "description": "What to do with a match, rule by rule."
            },
            "allow": {
                "type": "array",
                "maxItems": MOST_PATTERNS,
                "items": { "type": "string", "minLength": 1, "maxLength": LONGEST_PATTERN },
                "description": "What is never a finding: a pattern is compared with the whole matched text as it is \
                                written, without regard to the case of ASCII letters; `*` stands for any text."
            }
        },
        "$defs": {
            "action": {
                "enum": ["redact", "block", "flag", "off"],
                "description": "redact replaces it, block forbids the text, flag reports it, off does not look for it."
            }
        }
    });
    // A policy whose own settings are no JSON refuses every configuration, and says so.
    if let (Some(all), Ok(own)) = (schema.get_mut("properties").and_then(Value::as_object_mut), properties(settings)) {
        all.extend(own);
    }
    schema.to_string()
}

/// True if the pattern, in which `*` stands for any text, covers the whole text.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when a star has to take one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                pattern = after;
                retry = Some((after, text));
            }
            (Some((p, after)), Some((t, rest))) if p.eq_ignore_ascii_case(t) => (pattern, text) = (after, rest),
            (None, None) => return true,
            _ => {
                let Some((after_star, [_, rest @ ..])) = retry else { return false };
                (pattern, text) = (after_star, rest);
                retry = Some((after_star, rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("a", "A"),
            ("*", ""),
            ("*", "abc"),
            ("*@example.com", "ada@EXAMPLE.com"),
            ("a*b*c", "a-b-b-c"),
            ("**a", "a"),
        ] {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("a*", "ba"), ("*@example.com", "ada@example.com.evil"), ("a*b*c", "acb"), ("", "a")]
        {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
    }
}
