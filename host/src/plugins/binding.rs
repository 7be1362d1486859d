//! Binding: an agent's policies with their configurations, made once and kept for the next turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_log::record::MAX_POLICIES;
use gavel_sandbox::policy::{self, BoundPolicy, PolicyComponent};
use gavel_store::Binding;

use super::catalogue::{Catalogue, split};
use super::{BoundBinding, BoundSet, PluginError, Plugins};

/// What a bound policy takes besides its configuration: its rules, most of all.
const BOUND_POLICY_BYTES: usize = 4 << 10;

impl Plugins {
    /// Bindings that somebody wishes for an agent, bound. They find what is listed alone, while those that an agent has may
    /// be pinned to what is no longer.
    ///
    /// # Errors
    /// Which binding cannot be bound, and why.
    pub async fn bind(&self, own: &[Binding]) -> Result<Arc<BoundSet>, PluginError> {
        let catalogue = self.catalogue();
        let unlisted = own.iter().position(|binding| catalogue.policy(&binding.policy).is_none());
        if let Some((index, binding)) = unlisted.and_then(|index| Some((index, own.get(index)?))) {
            return Err(PluginError::UnknownPolicy { index, policy: binding.policy.clone() });
        }
        self.bind_all(&[], own).await
    }

    /// The operator's mandatory bindings and an agent's own, bound in this order. An own binding of a policy that the
    /// operator has made mandatory since has no effect: it would give a second verdict under one name.
    ///
    /// # Errors
    /// Which binding cannot be bound, and why.
    pub async fn bind_all(&self, mandatory: &[Binding], own: &[Binding]) -> Result<Arc<BoundSet>, PluginError> {
        let catalogue = self.catalogue();
        let (digest, json_bytes) = bindings_digest(&(mandatory, own))?;
        let key = (catalogue.generation, digest);
        if let Some(set) = self.sets.get(&key) {
            return Ok(set);
        }
        let own = own.iter().enumerate().filter(|(_, own)| !mandatory.iter().any(|theirs| theirs.name() == own.name()));
        let all: Vec<_> =
            mandatory.iter().enumerate().map(|place| (true, place)).chain(own.map(|place| (false, place))).collect();
        if all.len() > MAX_POLICIES {
            return Err(PluginError::TooMany);
        }
        let mut bound = Vec::with_capacity(all.len());
        for (is_mandatory, (index, binding)) in all {
            let policy = self.bind_one(&catalogue, index, binding).await?;
            bound.push(Arc::new(BoundBinding { mandatory: is_mandatory, ..policy }));
        }
        let bytes = json_bytes + bound.len() * BOUND_POLICY_BYTES;
        Ok(self.sets.keep(key, Arc::new(BoundSet::new(bound)), bytes))
    }

    /// One binding, bound: what a turn that began now would ask.
    ///
    /// # Errors
    /// Why it cannot be bound.
    pub async fn resolve(&self, binding: &Binding) -> Result<BoundBinding, PluginError> {
        self.bind_one(&self.catalogue(), 0, binding).await
    }

    async fn bind_one(
        &self,
        catalogue: &Catalogue,
        index: usize,
        binding: &Binding,
    ) -> Result<BoundBinding, PluginError> {
        let component = self.policy_of(catalogue, index, &binding.policy).await?;
        let stages = check_stages(&component, index, binding)?;
        let policy = self.bound_policy(&component, &binding.config).await;
        let policy = policy.map_err(|error| refused(index, binding, error))?;
        Ok(BoundBinding {
            policy,
            enforcement: binding.enforcement,
            on_error: binding.on_error,
            release: binding.release,
            mandatory: false,
            stages,
        })
    }

    /// The component that a binding names. One that is pinned to a digest may be off the list by now: its bytes are kept, and
    /// whoever was bound to them stays so.
    async fn policy_of(
        &self,
        catalogue: &Catalogue,
        index: usize,
        named: &str,
    ) -> Result<Arc<PolicyComponent>, PluginError> {
        let unknown = || PluginError::UnknownPolicy { index, policy: named.to_owned() };
        if let Some(version) = catalogue.policy(named) {
            return self.component(&version.digest).await;
        }
        let (name, pin) = split(named);
        let digest = pin.and_then(|pin| Hash::parse_tagged(pin).ok()).ok_or_else(unknown)?;
        if catalogue.distrusts(&digest) {
            return Err(unknown());
        }
        match self.component(&digest).await {
            Ok(component) if component.manifest.name == name => Ok(component),
            Ok(_) | Err(PluginError::UnknownComponent(_) | PluginError::Policy { .. }) => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// Lets go of what was bound of versions that nobody follows any more: who is pinned to one binds it again.
    pub(super) fn forget_replaced(&self, old: &Catalogue, new: &Catalogue) {
        self.sets.forget(|_| true);
        let followed = |catalogue: &Catalogue| -> BTreeSet<_> { catalogue.followed_policies().collect() };
        let replaced: BTreeSet<_> = followed(old).difference(&followed(new)).copied().collect();
        self.bound.forget(|(component, _)| replaced.contains(component));
    }

    async fn bound_policy(
        &self,
        component: &Arc<PolicyComponent>,
        config: &serde_json::Value,
    ) -> Result<Arc<BoundPolicy>, policy::BindError> {
        let json = gavel_log::jcs::to_string(config).map_err(|error| policy::BindError::Refused(error.to_string()))?;
        let key = (component.digest, Hash::of(json.as_bytes()));
        if let Some(policy) = self.bound.get(&key) {
            return Ok(policy);
        }
        // Two turns may bind the same, which costs each one call of `configure`. To wait for one another here would have
        // one slow `configure` hold up everybody.
        let policy = component.bind(config).await?;
        Ok(self.bound.keep(key, policy, json.len() + BOUND_POLICY_BYTES))
    }
}

/// Finds a bound set again. Bindings that are spelled differently are other ones here: that costs a second set, no more.
/// Gives the bytes of their JSON, too.
fn bindings_digest(bindings: &(&[Binding], &[Binding])) -> Result<(Hash, usize), PluginError> {
    let json = serde_json::to_vec(bindings).map_err(|error| PluginError::Engine(error.to_string()))?;
    Ok((Hash::of(&json), json.len()))
}

/// The stages that a binding is asked at: those that it names, if its policy can judge them all; else the policy's.
pub(super) fn check_stages(
    component: &PolicyComponent,
    index: usize,
    binding: &Binding,
) -> Result<Vec<Stage>, PluginError> {
    let able = &component.manifest.stages;
    let Some(named) = &binding.stages else { return Ok(able.clone()) };
    match named.iter().find(|stage| !able.contains(stage)) {
        Some(stage) => Err(PluginError::Stage { index, policy: binding.policy.clone(), stage: stage_name(*stage) }),
        None => Ok(named.clone()),
    }
}

/// Why a policy is not bound.
pub(super) fn refused(index: usize, binding: &Binding, error: policy::BindError) -> PluginError {
    let policy = binding.policy.clone();
    match error {
        policy::BindError::Schema(faults) => PluginError::Schema { index, policy, faults },
        other => PluginError::Refused { index, policy, detail: other.to_string() },
    }
}

fn stage_name(stage: Stage) -> String {
    serde_json::to_value(stage).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
