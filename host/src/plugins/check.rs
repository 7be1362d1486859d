//! Whether the configuration's bindings can be bound, as far as the binary alone can tell.

use std::sync::Arc;

use gavel_sandbox::policy::{PolicyComponent, PolicyLimits, PolicyRuntime};
use gavel_store::Binding;

use super::binding::{check_stages, refused};
use super::{PluginError, bundled, policy_limits};
use crate::config::{BindingSpec, Config};

/// One to describe or configure at a time, and one to spare.
const INSTANCES: u32 = 2;

/// A list of the configuration that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {error}")]
pub struct UnboundError {
    /// The list's key.
    key: &'static str,
    /// Which of its bindings, and why.
    error: PluginError,
}

/// Binds the default and mandatory policies that the binary carries. Of others, and of other versions of these, only an
/// installation knows.
///
/// # Errors
/// The first that cannot be bound.
pub async fn check_bindings(config: &Config) -> Result<(), UnboundError> {
    let governance = &config.governance;
    for (key, list) in [
        ("governance.mandatory_policies", &governance.mandatory_policies),
        ("governance.default_policies", &governance.default_policies),
    ] {
        check_list(config, list).await.map_err(|error| UnboundError { key, error })?;
    }
    Ok(())
}

async fn check_list(config: &Config, list: &[BindingSpec]) -> Result<(), PluginError> {
    let limits = PolicyLimits { max_instances: INSTANCES, ..policy_limits(config) };
    let runtime = PolicyRuntime::new(limits, None).map_err(|error| PluginError::Engine(format!("{error:#}")))?;
    for (index, binding) in list.iter().enumerate() {
        let Some(carried) = bundled::POLICIES.iter().find(|plugin| plugin.name == binding.name()) else { continue };
        let loaded = runtime.load(carried.bytes.into()).await;
        let policy = loaded.map_err(|source| PluginError::Policy { name: carried.name.into(), source })?;
        if names(binding, &policy) {
            check(index, &binding.clone().into(), &policy).await?;
        }
    }
    Ok(())
}

/// Whether a binding follows the policy's name, or is pinned to this version.
fn names(binding: &BindingSpec, policy: &PolicyComponent) -> bool {
    let pin = binding.policy.split_once('@').map(|(_, pin)| pin);
    pin.is_none_or(|pin| pin == policy.manifest.version || pin == policy.digest.tagged())
}

async fn check(index: usize, binding: &Binding, policy: &Arc<PolicyComponent>) -> Result<(), PluginError> {
    check_stages(policy, index, binding)?;
    let bound = policy.bind_by_definition(&binding.config).await;
    bound.map(drop).map_err(|error| refused(index, binding, error))
}
