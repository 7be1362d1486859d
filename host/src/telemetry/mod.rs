//! What the operator learns of a running server: logs, metrics and traces.
//!
//! Invariant: none of the three holds a chat's text, a plugin's words, a token or a key. Metrics hold no identifiers either:
//! their labels are of few values, all of them the operator's own words or the program's.

mod export;
pub mod logs;
pub mod metrics;
mod process;
pub mod traces;

pub use logs::{TelemetryError, init};
pub use metrics::Metrics;
pub use process::ProcessFigures;
pub use traces::{Origin, Traces, TracesError};
