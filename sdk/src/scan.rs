//! Detectors that are written once and judge both whole texts and texts under way.
//!
//! A [`Detector`] reads through a [`Cursor`], and the cursor notes whether the detector ever looked past the
//! end of what has been written so far. A position at which some detector did is *pending*: what comes next
//! might change the answer, so nothing from there on is cleared, and it is looked at again when more has
//! come. Everywhere else the answer cannot change. So a streamed verdict equals the verdict on the whole text
//! by construction, for any detector that is a function of what it reads.
//!
//! A text is scanned from left to right. At each position the detectors that can begin there are tried (two
//! tables of 256 entries say which: one for the byte, one for the byte before it); the longest match wins,
//! ties by the detectors' order; scanning goes on after its end. No detector reads further than its
//! [`reach`](Detector::reach), so what is pending is bounded.
//!
//! [`ScanPolicy`] makes a whole policy of some detectors, with the configuration that the bundled ones share:
//!
//! ```
//! use gavel_sdk::policy::{Decision, Policy, Severity, Stage, Subject};
//! use gavel_sdk::scan::{ByteSet, Detector, Scan, ScanPolicy};
//!
//! /// Finds ticket numbers such as `TKT-12345`.
//! struct Tickets;
//!
//! impl Scan for Tickets {
//!     const NAME: &'static str = "tickets";
//!     const VERSION: &'static str = "1.0.0";
//!     const SUMMARY: &'static str = "Finds ticket numbers.";
//!
//!     fn detectors() -> Vec<Detector> {
//!         vec![
//!             Detector::new("ticket", "A ticket number.", |cursor| {
//!                 cursor.eat_str("TKT-").then_some(())?;
//!                 (cursor.take_while(&ByteSet::DIGITS) >= 4).then(|| cursor.found())
//!             })
//!             .starts(ByteSet::of(b"T"))
//!             .reach(32)
//!             .severity(Severity::Low),
//!         ]
//!     }
//! }
//!
//! gavel_sdk::export_streaming_policy!(ScanPolicy<Tickets>);
//!
//! let policy = ScanPolicy::<Tickets>::configure(r#"{"actions": {"ticket": "flag"}}"#)?;
//! let verdict = policy.evaluate(&Subject::text(Stage::Output, "see TKT-12345"))?;
//! assert_eq!(verdict.decision, Decision::Flag);
//! # Ok::<(), String>(())
//! ```
//!
//! What is looked for may depend on the configuration: [`Scan::SETTINGS`] describes what it holds besides, and
//! [`Scan::configured`] makes the detectors of it.
//!
//! ```
//! use gavel_sdk::policy::{Decision, Policy, Stage, Subject};
//! use gavel_sdk::scan::{Detector, Scan, ScanPolicy};
//!
//! /// Finds one word, which the configuration names.
//! struct Word;
//!
//! fn detector(word: String) -> Detector {
//!     Detector::new("word", "A word.", move |cursor| {
//!         (!word.is_empty() && cursor.eat_str(&word)).then(|| cursor.found())
//!     })
//! }
//!
//! impl Scan for Word {
//!     const NAME: &'static str = "word";
//!     const VERSION: &'static str = "1.0.0";
//!     const SUMMARY: &'static str = "Finds one word.";
//!     const SETTINGS: &'static str = r#"{"word": {"type": "string", "maxLength": 64}}"#;
//!
//!     fn detectors() -> Vec<Detector> {
//!         vec![detector(String::new())]
//!     }
//!
//!     fn configured(settings_json: &str) -> Result<Vec<Detector>, String> {
//!         let settings: serde_json::Value = serde_json::from_str(settings_json).map_err(|error| error.to_string())?;
//!         Ok(vec![detector(settings["word"].as_str().unwrap_or_default().to_owned())])
//!     }
//! }
//!
//! let policy = ScanPolicy::<Word>::configure(r#"{"word": "heron", "action": "block"}"#)?;
//! let verdict = policy.evaluate(&Subject::text(Stage::Input, "a heron"))?;
//! assert_eq!(verdict.decision, Decision::Block("word".to_owned()));
//! assert!(ScanPolicy::<Word>::configure(r#"{"colour": "blue"}"#).is_err());
//! # Ok::<(), String>(())
//! ```

mod bytes;
mod config;
mod cursor;
mod detector;
mod outcome;
mod policy;

pub use bytes::ByteSet;
pub use config::Action;
pub use cursor::{Cursor, Found, LOOK_BEHIND};
pub use detector::{Detector, Detectors, Match, Step};
pub use policy::{Review, Scan, ScanPolicy};
