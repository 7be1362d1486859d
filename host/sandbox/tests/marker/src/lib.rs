//! A small policy that puts a mark for every `#`, while the text is still being written. Its name and version are texts of a
//! fixed length, so that a test can write others over them: that is another version of it, or another policy. Under a name that
//! begins with `panics` or `broken-schema` it is as the name says, and in a version `1.5NNN.0` it takes no configuration. For tests
//! alone.

use std::hint::black_box;

use gavel_sdk::policy::{
    Decision, Edit, Finding, Manifest, Policy, Progress, Rule, Severity, Span, StreamingPolicy, Subject, Verdict,
};

/// Where a test writes another name.
const NAME: &str = "marker-policy-00";
/// Where a test writes another version.
const VERSION: &str = "1.1000.0";
/// The rule.
const RULE: &str = "hash";

struct Marker;

impl Policy for Marker {
    fn manifest() -> Manifest {
        let mut manifest = Manifest::new(black_box(NAME), black_box(VERSION), "Puts a mark for every number sign.");
        if manifest.name.starts_with("broken-schema") {
            manifest.config_schema = r#"{"type":"thing"}"#.to_owned();
        }
        manifest
    }

    fn configure(_: &str) -> Result<Self, String> {
        let takes_none = black_box(VERSION).starts_with("1.5");
        if takes_none { Err("it takes no configuration any more".to_owned()) } else { Ok(Self) }
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::new(RULE, "A number sign.")]
    }

    fn evaluate(&self, subject: &Subject) -> Result<Verdict, String> {
        assert!(!black_box(NAME).starts_with("panics"), "as its name says");
        let edits = marks(&subject.text, 0);
        let finding = |edit: &Edit| Finding {
            rule: RULE.to_owned(),
            severity: Severity::Low,
            span: Some(edit.span),
            detail: String::new(),
        };
        let findings = edits.iter().map(finding).collect();
        let decision = if edits.is_empty() { Decision::Allow } else { Decision::Redact(edits) };
        Ok(Verdict { decision, findings })
    }
}

impl StreamingPolicy for Marker {
    type Review = Subject;

    fn begin(&self, subject: Subject) -> Subject {
        subject
    }

    fn push(&self, review: &mut Subject, text: &str) -> Result<Progress, String> {
        let edits = marks(text, at(review.text.len()));
        review.text.push_str(text);
        Ok(Progress { cleared: at(review.text.len()), edits, blocked: None })
    }

    fn finish(&self, review: Subject) -> Result<Verdict, String> {
        self.evaluate(&review)
    }
}

fn marks(text: &str, from: u32) -> Vec<Edit> {
    let places = text.bytes().enumerate().filter(|(_, byte)| *byte == b'#');
    let edit = |place: usize| Edit {
        span: Span { start: from + at(place), end: from + at(place) + 1 },
        replacement: "[mark]".to_owned(),
    };
    places.map(|(place, _)| edit(place)).collect()
}

fn at(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

gavel_sdk::export_streaming_policy!(Marker);
