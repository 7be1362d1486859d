//! The policy `released-policy`: keeps the code names of internal projects out of conversations.
//!
//! It is made of one detector, which the SDK tries along the text. Since a detector reads through a cursor that notes
//! whether it ever asked for what has not been written yet, the same code judges whole texts and texts under way.

use gavel_sdk::scan::{ByteSet, Cursor, Detector, Found, Scan, ScanPolicy};
use serde::Deserialize;

/// What a word is made of. A name inside a longer word is none: `Blue` is not found in `Bluebird`.
const WORD: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"_"));

/// What the policy looks for.
#[derive(Debug)]
pub struct CodeNames;

/// The policy, as its tests know it.
pub type Policy = ScanPolicy<CodeNames>;

gavel_sdk::export_streaming_policy!(Policy);

/// Of the configuration, what is this policy's own: `{"names": ["Bluebird", "Project Heron"]}`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    names: Vec<String>,
}

impl Scan for CodeNames {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Keeps the code names of internal projects out of conversations.";

    // The host refuses a configuration that breaks this schema, and says where, before the policy sees it.
    const SETTINGS: &'static str = r#"{
        "names": {
            "type": "array",
            "default": [],
            "maxItems": 1000,
            "items": { "type": "string", "minLength": 2, "maxLength": 64 },
            "description": "Code names, found as whole words, without regard to the case of ASCII letters."
        }
    }"#;

    fn detectors() -> Vec<Detector> {
        vec![code_name(Vec::new())]
    }

    fn configured(settings_json: &str) -> Result<Vec<Detector>, String> {
        let settings: Settings = serde_json::from_str(settings_json).map_err(|error| error.to_string())?;
        Ok(vec![code_name(settings.names)])
    }
}

fn code_name(mut names: Vec<String>) -> Detector {
    // Of two names that begin alike, the longer is tried first.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let starts: Vec<u8> = names.iter().filter_map(|name| name.bytes().next()).collect();
    let both_cases = [starts.to_ascii_lowercase(), starts.to_ascii_uppercase()].concat();
    let longest = names.first().map_or(0, String::len);
    Detector::new("code-name", "The code name of an internal project.", move |cursor| find(cursor, &names))
        .starts(ByteSet::of(&both_cases))
        .follows(WORD.complement())
        // A name, and the byte that shows that the word ends there.
        .reach(longest + 1)
}

fn find(cursor: &mut Cursor<'_>, names: &[String]) -> Option<Found> {
    for name in names {
        if cursor.eat_str_ignoring_case(name) && cursor.peek().is_none_or(|next| !WORD.contains(next)) {
            return Some(cursor.found());
        }
        cursor.seek(0);
    }
    None
}
