//! What can go wrong with plugins.

use gavel_log::Hash;
use gavel_log::record::MAX_POLICIES;
use gavel_sandbox::{ConfigFault, policy, provider};
use gavel_store::StoreError;

use super::archive::ArchiveError;
use super::trust::TrustError;

/// Why plugins could not be loaded or bound.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The engine cannot run on this machine with these limits.
    #[error("the sandbox cannot be made: {0}")]
    Engine(String),
    /// A component is no policy.
    #[error("the policy {name}: {source}")]
    Policy {
        /// Its name, where known.
        name: String,
        /// What is wrong.
        source: policy::LoadError,
    },
    /// A component is no provider.
    #[error("the provider {name}: {source}")]
    Provider {
        /// Its name, where known.
        name: String,
        /// What is wrong.
        source: provider::LoadError,
    },
    /// A configured provider cannot be bound.
    #[error("the provider {name} of the configuration: {detail}")]
    ProviderConfig {
        /// The configured name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A binding names a policy that is not installed.
    #[error("there is no policy {policy}")]
    UnknownPolicy {
        /// Its place in the list.
        index: usize,
        /// As the binding names it.
        policy: String,
    },
    /// A binding's configuration does not satisfy the policy's schema.
    #[error("the configuration of {policy} does not satisfy its schema: {}", places(.faults))]
    Schema {
        /// Its place in the list.
        index: usize,
        /// The policy.
        policy: String,
        /// Where and what.
        faults: Vec<ConfigFault>,
    },
    /// A binding names a stage that its policy cannot judge.
    #[error("{policy} cannot judge the stage {stage}")]
    Stage {
        /// Its place in the list.
        index: usize,
        /// The policy.
        policy: String,
        /// The stage.
        stage: String,
    },
    /// A policy refused its configuration.
    #[error("{policy}: {detail}")]
    Refused {
        /// Its place in the list.
        index: usize,
        /// The policy.
        policy: String,
        /// Why.
        detail: String,
    },
    /// Nothing with this digest was ever kept.
    #[error("there is no component {}", .0.tagged())]
    UnknownComponent(Hash),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A trusted key cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The watched directory cannot be made.
    #[error("the plugins' directory: {0}")]
    Directory(std::io::Error),
    /// More bindings than a record can name.
    #[error("an agent has at most {MAX_POLICIES} policies")]
    TooMany,
}

/// Faults of a configuration, each with its place.
pub(super) fn places(faults: &[ConfigFault]) -> String {
    let places: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
    places.join("; ")
}
