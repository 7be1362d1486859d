//! A binding as people write it.

use gavel_log::judged::Stage;
use gavel_log::record::{Enforcement, OnError};
use gavel_store::{Binding, Release};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A policy bound to agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindingSpec {
    /// The policy's name, `name@version` or `name@sha256:digest`.
    pub policy: String,
    /// The policy's configuration, which its schema judges.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Whether its verdicts are obeyed.
    #[serde(default = "enforce")]
    pub enforcement: Enforcement,
    /// The stages at which it is asked; none for all that it can judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<Stage>>,
    /// What its failure does.
    #[serde(default)]
    pub on_error: OnError,
    /// When a judged answer is sent.
    #[serde(default)]
    pub release: ReleaseSpec,
}

/// When a judged answer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Release)]
pub enum ReleaseSpec {
    /// As it is cleared.
    #[default]
    Stream,
    /// When all of it was judged.
    Whole,
}

fn enforce() -> Enforcement {
    Enforcement::Enforce
}

impl BindingSpec {
    /// The policy's name alone, without version or digest.
    #[must_use]
    pub fn name(&self) -> &str {
        self.policy.split('@').next().unwrap_or_default()
    }

    /// The policy's newest version with its own defaults, enforced.
    #[must_use]
    pub fn of(policy: &str) -> Self {
        Self {
            policy: policy.to_owned(),
            config: Map::new(),
            enforcement: Enforcement::Enforce,
            stages: None,
            on_error: OnError::default(),
            release: ReleaseSpec::default(),
        }
    }
}

impl From<BindingSpec> for Binding {
    fn from(spec: BindingSpec) -> Self {
        Self {
            policy: spec.policy,
            config: Value::Object(spec.config),
            enforcement: spec.enforcement,
            stages: spec.stages,
            on_error: spec.on_error,
            release: match spec.release {
                ReleaseSpec::Stream => Release::Stream,
                ReleaseSpec::Whole => Release::Whole,
            },
        }
    }
}

impl From<&Binding> for BindingSpec {
    fn from(binding: &Binding) -> Self {
        Self {
            policy: binding.policy.clone(),
            config: binding.config.as_object().cloned().unwrap_or_default(),
            enforcement: binding.enforcement,
            stages: binding.stages.clone(),
            on_error: binding.on_error,
            release: match binding.release {
                Release::Stream => ReleaseSpec::Stream,
                Release::Whole => ReleaseSpec::Whole,
            },
        }
    }
}
