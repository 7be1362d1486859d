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
