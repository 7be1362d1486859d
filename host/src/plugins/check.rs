//! Whether the configuration's bindings can be bound: as far as the binary alone can tell, and to a version that would serve
//! them.

use std::sync::Arc;

use gavel_sandbox::policy::{PolicyComponent, PolicyLimits, PolicyRuntime};
use gavel_store::Binding;

use super::binding::{check_stages, refused};
use super::catalogue::{Catalogue, split};
use super::{InstallError, PluginError, Plugins, bundled, policy_limits};
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
        if names(&binding.policy, &policy) {
            check(index, &binding.clone().into(), &policy).await?;
        }
    }
    Ok(())
}

impl Plugins {
    /// Whether a version that is to be installed takes the configuration of the operator's bindings that it would serve. One
    /// that does not would stop every turn that they are mandatory for.
    pub(super) async fn serves_the_operator(
        &self,
        catalogue: &Catalogue,
        policy: &Arc<PolicyComponent>,
    ) -> Result<(), InstallError> {
        let manifest = &policy.manifest;
        let version = semver::Version::parse(&manifest.version);
        let theirs = self.operators_bindings.iter().filter(|binding| binding.name() == manifest.name);
        for binding in theirs.filter(|binding| names(&binding.policy, policy)) {
            let serving = catalogue.policy(&binding.policy);
            let goes_on =
                serving.zip(version.as_ref().ok()).is_some_and(|(old, new)| old.version.cmp_precedence(new).is_gt());
            if goes_on {
                continue;
            }
            if let Err(error) = check(0, binding, policy).await {
                return Err(InstallError::Binding(error.to_string()));
            }
        }
        Ok(())
    }
}

/// Whether a binding follows the policy's name, or is pinned to this version.
fn names(binding: &str, policy: &PolicyComponent) -> bool {
    let (_, pin) = split(binding);
    pin.is_none_or(|pin| pin == policy.manifest.version || pin == policy.digest.tagged())
}

async fn check(index: usize, binding: &Binding, policy: &Arc<PolicyComponent>) -> Result<(), PluginError> {
    check_stages(policy, index, binding)?;
    let bound = policy.bind_by_definition(&binding.config).await;
    bound.map(drop).map_err(|error| refused(index, binding, error))
}
