//! Logs on standard error, as text or JSON lines.
//!
//! What is logged names identifiers, codes and times: never a chat's text, a plugin's words, a token or a key.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log_level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Another part of the process has set one up already.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the process's logging. `RUST_LOG`, where set, replaces `level`: both are filters such as `info` or
/// `gavel=debug,warn`. Libraries are heard up to `info` only, whatever the filter says.
///
/// # Errors
/// When `level` is no filter, or logging is set up already.
pub fn init(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::try_new(level)?,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => logs.finish().with(filter_fn(may_speak)).try_init()?,
        LogFormat::Json => logs.json().finish().with(filter_fn(may_speak)).try_init()?,
    }
    Ok(())
}

/// Below `info` libraries write what they carry: a socket's frames, a request's headers. The filter cannot ask for that.
fn may_speak(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("gavel") || *metadata.level() <= Level::INFO
}
