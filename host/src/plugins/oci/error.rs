//! Why a plugin could not be pulled.

use std::time::Duration;

use gavel_sandbox::policy::MAX_COMPONENT_BYTES;

/// Why a plugin could not be pulled. No error holds a credential, nor a URL that a registry signed.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// It names no artifact.
    #[error("{0}")]
    Reference(String),
    /// The registry, or where it leads, is at an address that nothing is fetched from.
    #[error(
        "{0} is at a private or otherwise special address, and the configuration does not allow it (plugins.oci.private)"
    )]
    Private(String),
    /// What it leads to would be fetched in clear.
    #[error("{0} would be asked over plain HTTP, and the configuration does not allow it (plugins.oci.insecure)")]
    Insecure(String),
    /// It wants another login, or does not let this one pull.
    #[error("{registry} does not let this server pull: {detail}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Whether there was a login.
        detail: &'static str,
    },
    /// It has no such artifact.
    #[error("{0} is not in the registry")]
    NotFound(String),
    /// It has been asked too often.
    #[error("{registry} has been asked too often")]
    RateLimited {
        /// The registry.
        registry: String,
        /// When it says that it may be asked again.
        retry_after: Option<u64>,
    },
    /// It takes too long.
    #[error("{registry} did not give the plugin within {within:?}")]
    Timeout {
        /// The registry.
        registry: String,
        /// What it had.
        within: Duration,
    },
    /// It cannot be reached, failed or broke off.
    #[error("{registry}: {detail}")]
    Unavailable {
        /// The registry.
        registry: String,
        /// What happened.
        detail: String,
    },
    /// What it gave is not what was asked for.
    #[error("{registry} gave something else than what was asked for: {detail}")]
    Mismatch {
        /// The registry.
        registry: String,
        /// What differs.
        detail: String,
    },
    /// The artifact is no plugin.
    #[error("the artifact is no plugin: {0}")]
    NoPlugin(String),
    /// The component is too large.
    #[error("the component has {0} bytes, more than the {MAX_COMPONENT_BYTES} allowed")]
    TooLarge(u64),
    /// As many plugins are being pulled as may be at once.
    #[error("other plugins are being pulled")]
    Busy,
}

impl OciError {
    /// The stable code of `docs/api.md`'s table.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reference(_) => "invalid_request",
            Self::Private(_) | Self::Insecure(_) => "registry_forbidden",
            Self::Unauthorized { .. } => "registry_unauthorized",
            Self::NotFound(_) => "registry_not_found",
            Self::RateLimited { .. } => "registry_rate_limited",
            Self::Timeout { .. } => "registry_timeout",
            Self::Unavailable { .. } => "registry_unavailable",
            Self::Mismatch { .. } => "registry_mismatch",
            Self::NoPlugin(_) => "invalid_plugin",
            Self::TooLarge(_) => "payload_too_large",
            Self::Busy => "busy",
        }
    }
}
