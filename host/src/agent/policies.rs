//! An agent's policies: those that the operator binds to every agent, and its own.
//!
//! A mandatory binding is the operator's alone. A caller who lists it as it is shown leaves it as it is, so that a list can be
//! read, edited and sent back; one who lists its policy in any other way is refused.

use std::collections::BTreeSet;

use gavel_log::judged::Stage;
use gavel_log::record::{Enforcement, MAX_POLICIES, OnError};
use gavel_store::{Agent, AgentChange, Binding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::draft::FieldError;
use super::{AgentError, Agents};
use crate::clock::now_ms;
use crate::config::{BindingSpec, ReleaseSpec};
use crate::plugins::PluginError;
use crate::schema;

/// A policy of an agent, as it is bound and as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Binding, examples(json!({"policy": "pii", "config": {"action": "redact"}, "enforcement": "enforce"})))]
pub struct AgentPolicy {
    /// The policy's name, `name@version` or `name@sha256:digest`.
    #[schema(example = "pii", min_length = 1)]
    pub policy: String,
    /// The policy's configuration, which its schema judges.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Whether its verdicts are obeyed.
    #[serde(default = "enforce")]
    #[schema(value_type = schema::Enforcement)]
    pub enforcement: Enforcement,
    /// The stages at which it is asked; none for all that it can judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::Stage>>)]
    pub stages: Option<Vec<Stage>>,
    /// What its failure does.
    #[serde(default)]
    #[schema(value_type = schema::OnError)]
    pub on_error: OnError,
    /// When a judged answer is sent.
    #[serde(default)]
    pub release: ReleaseSpec,
    /// True for what the operator binds to every agent, and absent else. It is nobody else's to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub mandatory: Option<bool>,
    /// The version that it is bound to now; null where it cannot be bound. Shown in the list of policies, and not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<Option<String>>,
    /// That version's digest, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub digest: Option<Option<String>>,
    /// Why it cannot be bound, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error: Option<Option<String>>,
}

fn enforce() -> Enforcement {
    Enforcement::Enforce
}

impl From<BindingSpec> for AgentPolicy {
    fn from(spec: BindingSpec) -> Self {
        let BindingSpec { policy, config, enforcement, stages, on_error, release } = spec;
        let (mandatory, version, digest, error) = (None, None, None, None);
        Self { policy, config, enforcement, stages, on_error, release, mandatory, version, digest, error }
    }
}

impl AgentPolicy {
    /// The policies of an agent, the operator's first: without what they are bound to.
    #[must_use]
    pub fn of(agent: &Agent, mandatory: &[BindingSpec]) -> Vec<Self> {
        let theirs = mandatory.iter().cloned().map(|spec| Self { mandatory: Some(true), ..spec.into() });
        let own = agent.policies.iter().filter(|own| !mandatory.iter().any(|binding| binding.name() == own.name()));
        theirs.chain(own.map(|own| BindingSpec::from(own).into())).collect()
    }

    fn spec(self) -> BindingSpec {
        let Self { policy, config, enforcement, stages, on_error, release, .. } = self;
        BindingSpec { policy, config, enforcement, stages, on_error, release }
    }
}

/// What a caller wants an agent to have of its own.
#[derive(Debug, Default)]
pub(super) struct OwnPolicies {
    pub(super) bindings: Vec<Binding>,
    /// Where each of them stands in the caller's list.
    places: Vec<usize>,
    /// What is wrong with the list.
    pub(super) faults: Vec<FieldError>,
    /// Where it touches what is the operator's.
    touched: Vec<FieldError>,
}

impl OwnPolicies {
    /// The configuration's, for an agent whose maker names none.
    pub(super) fn default_ones(defaults: &[BindingSpec], mandatory: &[BindingSpec]) -> Self {
        let bound = |spec: &&BindingSpec| !mandatory.iter().any(|binding| binding.name() == spec.name());
        let own: Vec<_> = defaults.iter().filter(bound).cloned().map(AgentPolicy::from).collect();
        Self::of(own, mandatory)
    }

    /// Those of a list that are no mandatory ones.
    pub(super) fn of(wanted: Vec<AgentPolicy>, mandatory: &[BindingSpec]) -> Self {
        let mut own = Self::default();
        let mut seen = BTreeSet::new();
        for (place, wanted) in wanted.into_iter().enumerate() {
            let (flag, spec) = (wanted.mandatory, wanted.spec());
            // Two versions of one policy would give an agent two verdicts under one name.
            if !seen.insert(spec.name().to_owned()) {
                own.faults.push(fault(&format!("/policies/{place}/policy"), "is bound twice".to_owned()));
            }
            match (mandatory.iter().find(|binding| binding.name() == spec.name()), flag) {
                (Some(binding), None | Some(true)) if *binding == spec => {}
                (Some(_), _) => own.touched.push(fault(&format!("/policies/{place}"), untouchable(spec.name()))),
                (None, Some(true)) => {
                    let detail = "is not mandatory here, and only the operator makes it so".to_owned();
                    own.touched.push(fault(&format!("/policies/{place}/mandatory"), detail));
                }
                (None, None | Some(false)) => {
                    own.places.push(place);
                    own.bindings.push(spec.into());
                }
            }
        }
        let room = MAX_POLICIES.saturating_sub(mandatory.len());
        if own.bindings.len() > room {
            own.faults = vec![fault("/policies", format!("must be at most {room}"))];
        }
        own
    }

    /// Those that name a policy or version that is not among these.
    fn beyond(&self, known: &[Binding]) -> Self {
        let new = self.bindings.iter().zip(&self.places);
        let new = new.filter(|(binding, _)| !known.iter().any(|known| known.policy == binding.policy));
        let (bindings, places) = new.map(|(binding, place)| (binding.clone(), *place)).unzip();
        Self { bindings, places, ..Self::default() }
    }

    /// Refuses a list that touches what is the operator's.
    pub(super) fn allowed(&self) -> Result<(), AgentError> {
        if self.touched.is_empty() { Ok(()) } else { Err(AgentError::MandatoryPolicy(self.touched.clone())) }
    }

    /// What is wrong with those that could not be bound.
    pub(super) fn unbound(&self, error: PluginError) -> AgentError {
        let at = |index: usize, field: &str, rest: &str| {
            let place = self.places.get(index).copied().unwrap_or(index);
            format!("/policies/{place}/{field}{rest}")
        };
        match error {
            PluginError::UnknownPolicy { index, .. } => {
                AgentError::Invalid(vec![fault(&at(index, "policy", ""), "there is no such policy".to_owned())])
            }
            PluginError::Schema { index, faults, .. } => {
                let faults = faults.into_iter().map(|f| fault(&at(index, "config", &f.pointer), f.detail));
                AgentError::Configuration(faults.collect())
            }
            PluginError::Refused { index, detail, .. } => {
                AgentError::Configuration(vec![fault(&at(index, "config", ""), detail)])
            }
            PluginError::Stage { index, .. } => {
                AgentError::Configuration(vec![fault(&at(index, "stages", ""), error.to_string())])
            }
            error => AgentError::Plugins(error),
        }
    }
}

impl Agents {
    /// An agent's policies with what each is bound to now. `owner`: whether a policy's own words on why it cannot be bound
    /// may be shown.
    pub async fn policies(&self, agent: &Agent, owner: bool) -> Vec<AgentPolicy> {
        let mut shown = AgentPolicy::of(agent, &self.config.governance.mandatory_policies);
        for policy in &mut shown {
            let bound = self.plugins.resolve(&policy.clone().spec().into()).await;
            let component = bound.as_ref().ok().map(|bound| bound.policy.component());
            policy.version = Some(component.map(|component| component.manifest.version.clone()));
            policy.digest = Some(component.map(|component| component.digest.tagged()));
            policy.error = Some(bound.as_ref().err().map(|error| match error {
                PluginError::Refused { policy, .. } if !owner => format!("{policy} refuses its configuration"),
                error => error.to_string(),
            }));
        }
        shown
    }

    /// Gives an agent these policies of its own, in place of those before. It holds from the next turn on: one under way
    /// keeps the set that it began with.
    ///
    /// # Errors
    /// When the list is not acceptable, touches a mandatory binding or cannot be bound, or the store fails.
    pub async fn bind(&self, agent: &Agent, wanted: Vec<AgentPolicy>) -> Result<Agent, AgentError> {
        let own = OwnPolicies::of(wanted, &self.config.governance.mandatory_policies);
        if !own.faults.is_empty() {
            return Err(AgentError::Invalid(own.faults));
        }
        own.allowed()?;
        // Whoever is pinned to what is on no list any more may keep it, and nobody else is given it.
        let new = own.beyond(&agent.policies);
        self.plugins.bind(&new.bindings).await.map_err(|error| new.unbound(error))?;
        self.plugins.bind_all(&[], &own.bindings).await.map_err(|error| own.unbound(error))?;
        let change = AgentChange { policies: Some(own.bindings), ..AgentChange::default() };
        let agent = self.store.change_agent(&agent.id, change, now_ms()).await?;
        tracing::info!(agent = %agent.id, policies = agent.policies.len(), "policies bound");
        Ok(agent)
    }
}

fn untouchable(name: &str) -> String {
    format!(
        "{name} is bound by the operator, whose settings are no one else's: leave it out, or send it as it is shown"
    )
}

fn fault(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(entry: Value) -> AgentPolicy {
        serde_json::from_value(entry).unwrap()
    }

    fn pointers(faults: &[FieldError]) -> Vec<&str> {
        faults.iter().map(|fault| fault.pointer.as_str()).collect()
    }

    #[test]
    fn a_policy_is_bound_once_whatever_its_version() {
        let list = ["pii", "secrets", "pii@1.0.0"].map(|name| BindingSpec::of(name).into());
        assert_eq!(pointers(&OwnPolicies::of(list.into(), &[]).faults), ["/policies/2/policy"]);
    }

    #[test]
    fn a_mandatory_binding_is_left_as_it_is_or_refused() {
        let pii = BindingSpec { release: ReleaseSpec::Whole, ..BindingSpec::of("pii") };
        let shown = serde_json::json!({"policy": "pii", "release": "whole", "mandatory": true, "version": "1.0.0",
            "digest": "sha256:00", "error": null});
        let with = |name: &str, value: Value| {
            let mut entry = shown.clone();
            entry[name] = value;
            OwnPolicies::of(vec![BindingSpec::of("secrets").into(), wanted(entry)], std::slice::from_ref(&pii))
        };
        let echoed = with("mandatory", Value::Bool(true));
        assert!(echoed.allowed().is_ok() && echoed.faults.is_empty());
        assert_eq!(echoed.bindings.iter().map(Binding::name).collect::<Vec<_>>(), ["secrets"]);
        for (name, value) in [
            ("mandatory", Value::Bool(false)),
            ("enforcement", "observe".into()),
            ("stages", Value::Array(Vec::new())),
            ("on_error", "allow".into()),
            ("release", "stream".into()),
            ("config", serde_json::json!({"action": "flag"})),
            ("policy", "pii@1.0.0".into()),
        ] {
            assert_eq!(pointers(&with(name, value).touched), ["/policies/1"], "{name}");
        }
        assert_eq!(pointers(&with("policy", "topics".into()).touched), ["/policies/1/mandatory"]);
    }

    #[test]
    fn what_an_agent_has_already_is_not_new() {
        let list = ["secrets", "pii@1.0.0", "topics"].map(|name| BindingSpec::of(name).into());
        let known = ["pii@1.0.0", "topics@2.0.0"].map(|name| Binding::from(BindingSpec::of(name)));
        let new = OwnPolicies::of(list.into(), &[]).beyond(&known);
        let found: Vec<_> = new.bindings.iter().map(|binding| binding.policy.as_str()).zip(new.places).collect();
        assert_eq!(found, [("secrets", 0), ("topics", 2)]);
    }

    #[test]
    fn the_defaults_are_those_that_are_not_mandatory_and_room_is_left_for_these() {
        let defaults = ["pii", "secrets"].map(BindingSpec::of);
        let mandatory = [BindingSpec::of("pii@1.0.0")];
        assert_eq!(
            OwnPolicies::default_ones(&defaults, &mandatory).bindings,
            [Binding::from(BindingSpec::of("secrets"))]
        );
        let many: Vec<AgentPolicy> = (0..MAX_POLICIES).map(|n| BindingSpec::of(&format!("p{n}")).into()).collect();
        assert!(OwnPolicies::of(many.clone(), &[]).faults.is_empty());
        assert_eq!(pointers(&OwnPolicies::of(many, &mandatory).faults), ["/policies"]);
    }

    #[test]
    fn what_has_become_mandatory_is_shown_once() {
        let mut own = BindingSpec::of("pii");
        own.enforcement = Enforcement::Observe;
        let touched = OwnPolicies::of(vec![own.into()], &[BindingSpec::of("pii")]);
        assert!(matches!(touched.allowed(), Err(AgentError::MandatoryPolicy(faults)) if faults.len() == 1));
    }
}
