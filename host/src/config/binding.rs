//! A binding as people write it, in the configuration and in the API alike.

use gavel_log::judged::Stage;
use gavel_log::record::{Enforcement, OnError};
use gavel_store::{Binding, Release};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::schema;

/// A policy bound to an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Binding, examples(json!({"policy": "pii", "config": {"action": "redact"}, "enforcement": "enforce"})))]
pub struct BindingSpec {
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
