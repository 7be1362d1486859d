//! What can go wrong with a provider, in words that hold no secret.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::grant::GrantError;
use crate::ConfigFault;

/// Most bytes of a detail; longer ones are cut.
pub const MAX_DETAIL_BYTES: usize = 1024;

/// What stands for a key.
const MASK: &str = "***";
/// Fewer characters than this of a key are no part of it that anyone would know.
const MIN_MASKED: usize = 4;

/// Why the runtime could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine refused its configuration.
    #[error("provider engine: {0}")]
    Engine(String),
    /// An HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(String),
}

/// Why bytes are no provider that this host runs.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component is too large.
    #[error("the component has {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The bytes are no valid component.
    #[error("not a component: {0}")]
    Compile(String),
    /// It imports what a provider is not given.
    #[error("it imports `{0}`, which a provider is not given")]
    Import(String),
    /// It does not export the provider's interface, or not as it is defined.
    #[error("it is no provider: {0}")]
    World(String),
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// Its manifest is at fault.
    #[error("manifest: {0}")]
    Manifest(#[from] super::manifest::ManifestError),
}

/// Why a provider could not be bound to a configuration.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration is not JSON.
    #[error("the configuration is no JSON: {0}")]
    Json(String),
    /// The configuration breaks the schema.
    #[error("the configuration breaks the schema in {} place(s)", .0.len())]
    Config(Vec<ConfigFault>),
    /// The grant is at fault.
    #[error("grant: {0}")]
    Grant(#[from] GrantError),
    /// The provider refused the configuration.
    #[error("the provider refused the configuration: {0}")]
    Refused(String),
    /// `configure` trapped or ran too long.
    #[error("`configure` failed: {0}")]
    Failed(String),
}

/// Why a chat failed. Details are for logs and the agent's owner; they hold no secret and no control character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The upstream refused the key.
    #[error("the provider refused the key: {0}")]
    Unauthorized(String),
    /// There is no key that may be used. The words are the host's own, and fit for the client.
    #[error("{0}")]
    NoKey(&'static str),
    /// Try again after this time, where it is known.
    #[error("the provider is rate limited")]
    RateLimited(Option<Duration>),
    /// The request was at fault.
    #[error("the provider refused the request: {0}")]
    InvalidRequest(String),
    /// The upstream was at fault before the first delta.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// The answer broke off after the first delta.
    #[error("the provider's answer broke off: {0}")]
    Interrupted(String),
    /// The chat was cancelled from the host's side.
    #[error("the chat was cancelled")]
    Cancelled,
    /// A time limit passed.
    #[error("the provider took too long: {0}")]
    Timeout(String),
    /// The component trapped or broke a limit.
    #[error("the provider's component failed: {0}")]
    Trap(String),
}

impl ProviderError {
    /// The stable code of the API's error table; none for a cancelled chat, which is no fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized(_) | Self::NoKey(_) => Some("provider_unauthorized"),
            Self::RateLimited(_) => Some("provider_rate_limited"),
            Self::InvalidRequest(_) => Some("provider_refused"),
            Self::Unavailable(_) | Self::Interrupted(_) | Self::Trap(_) => Some("provider_unavailable"),
            Self::Timeout(_) => Some("provider_timeout"),
            Self::Cancelled => None,
        }
    }
}

/// A stranger's words made fit for a log: the key masked, control characters blanked, at most [`MAX_DETAIL_BYTES`].
pub(super) fn detail(words: &str, key: Option<&SecretString>) -> String {
    let key = key.map(ExposeSecret::expose_secret).filter(|key| !key.is_empty());
    let masked = key.map_or_else(|| words.to_owned(), |key| masked(words, key));
    let mut kept = String::with_capacity(masked.len().min(MAX_DETAIL_BYTES));
    for c in masked.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + c.len_utf8() > MAX_DETAIL_BYTES {
            break;
        }
        kept.push(c);
    }
    kept
}

/// Puts `***` for the key, and for a beginning of it at the words' end: who cut the words may have cut the key.
fn masked(words: &str, key: &str) -> String {
    let mut words = words.replace(key, MASK);
    let beginnings = (MIN_MASKED..key.len()).rev().filter_map(|end| key.get(..end));
    if let Some(rest) = beginnings.into_iter().find_map(|beginning| words.strip_suffix(beginning)) {
        words = format!("{rest}{MASK}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_bounded_plain_and_without_the_key() {
        let key = SecretString::from("sk-secret");
        assert_eq!(detail("bad key sk-secret\r\n\u{1b}[31m", Some(&key)), "bad key ***   [31m");
        assert_eq!(detail(&"é".repeat(4096), None).len(), MAX_DETAIL_BYTES);
        let at_the_cut = format!("{}sk-secret", "x".repeat(MAX_DETAIL_BYTES - 4));
        assert!(!detail(&at_the_cut, Some(&key)).contains("sk-s"));
        assert_eq!(detail("bad key sk-secre", Some(&key)), "bad key ***");
        assert_eq!(detail("what a task", Some(&key)), "what a task");
    }
}
