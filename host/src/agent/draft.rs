//! What an agent may be made with: defaults and bounds.

use std::collections::BTreeMap;

use gavel_log::record::Mode;
use gavel_store::AgentChange;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type};

use super::AgentError;
use super::policies::{AgentPolicy, OwnPolicies};
use crate::config::Config;
use crate::object::objects;
use crate::plugins::Plugins;
use crate::schema;

/// Most characters of a name.
const MAX_NAME_CHARS: usize = 200;
/// Most labels of one agent.
const MAX_LABELS: usize = 64;
/// Most characters of a label's name or value.
const MAX_LABEL_CHARS: usize = 256;
/// Most bytes of a system prompt.
const MAX_PROMPT_BYTES: usize = 64 * 1024;

/// A field that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What a caller asks an agent to be; everything has a default.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "agent_name": "Clerk", "model": "demo", "model_provider": "demo", "governance_mode": "enforcing",
    "system_prompt": "You answer questions about invoices.", "labels": {"team": "billing"},
    "policies": [{"policy": "pii", "config": {"action": "redact"}}, {"policy": "secrets"}],
})))]
pub struct NewAgent {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, default = "My Agent")]
    pub agent_name: Option<String>,
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, default = "@cf/meta/llama-3.1-8b-instruct")]
    pub model: Option<String>,
    /// The name of a provider that exists.
    #[schema(min_length = 1, max_length = 200, default = "workers-ai")]
    pub model_provider: Option<String>,
    /// At least as strict as the installation's minimum, which is the default.
    #[schema(value_type = Option<schema::Mode>)]
    pub governance_mode: Option<Mode>,
    /// The instruction to the model: at most 64 KiB.
    #[schema(max_length = 65536)]
    pub system_prompt: Option<String>,
    /// At most 64, of 256 characters each. Policies are told them as facts.
    #[schema(schema_with = labels_or_null)]
    pub labels: Option<BTreeMap<String, String>>,
    /// None for the installation's defaults, an empty list for no policy.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 16)]
    pub policies: Option<Vec<AgentPolicy>>,
}

/// What a caller changes of an agent; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentChange, examples(json!({"governance_mode": "enforcing", "system_prompt": null})))]
pub struct ChangedAgent {
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub agent_name: Option<String>,
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub model: Option<String>,
    /// The name of a provider that exists.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub model_provider: Option<String>,
    /// At least as strict as the installation's minimum.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = schema::Mode)]
    pub governance_mode: Option<Mode>,
    /// At most 64 KiB; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 65536)]
    pub system_prompt: Option<Option<String>>,
    /// At most 64, of 256 characters each, in place of those before.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = labels)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A field that is there: what may not be null is not absent for being null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// The shape of labels.
fn labels() -> Object {
    let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).max_length(Some(MAX_LABEL_CHARS));
    ObjectBuilder::new()
        .max_properties(Some(MAX_LABELS))
        .property_names(Some(text().build()))
        .additional_properties(Some(AdditionalProperties::from(RefOr::T(Schema::Object(text().build())))))
        .description(Some("At most 64, of 256 characters each. Policies are told them as facts."))
        .build()
}

/// The shape of labels that may be null.
fn labels_or_null() -> Object {
    let mut labels = labels();
    labels.schema_type = SchemaType::from_iter([Type::Object, Type::Null]);
    labels
}

/// What an agent will be: within all bounds.
#[derive(Debug)]
pub(super) struct Traits {
    pub(super) name: String,
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) mode: Mode,
    pub(super) system_prompt: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) policies: OwnPolicies,
}

impl NewAgent {
    /// Fills in the defaults and checks every bound, naming all that is wrong at once.
    pub(super) fn checked(self, config: &Config, plugins: &Plugins) -> Result<Traits, AgentError> {
        let governance = &config.governance;
        let (minimum, mandatory) = (governance.minimum_mode, &governance.mandatory_policies);
        let traits = Traits {
            name: self.agent_name.unwrap_or_else(|| "My Agent".to_owned()),
            model: self.model.unwrap_or_else(|| "@cf/meta/llama-3.1-8b-instruct".to_owned()),
            provider: self.model_provider.unwrap_or_else(|| "workers-ai".to_owned()),
            mode: self.governance_mode.unwrap_or(minimum),
            system_prompt: self.system_prompt,
            labels: self.labels.unwrap_or_default(),
            policies: match self.policies {
                Some(wanted) => OwnPolicies::of(wanted, mandatory),
                None => OwnPolicies::default_ones(&governance.default_policies, mandatory),
            },
        };
        let mut faults = traits.faults();
        faults.extend(provider_fault(&traits.provider, plugins));
        if !faults.is_empty() {
            return Err(AgentError::Invalid(faults));
        }
        allowed(traits.mode, minimum)?;
        traits.policies.allowed()?;
        Ok(traits)
    }
}

impl ChangedAgent {
    /// Checks every bound, naming all that is wrong at once.
    pub(super) fn checked(self, config: &Config, plugins: &Plugins) -> Result<AgentChange, AgentError> {
        let mut faults = Vec::new();
        let names =
            [("/agent_name", &self.agent_name), ("/model", &self.model), ("/model_provider", &self.model_provider)];
        faults.extend(names.into_iter().filter_map(|(pointer, name)| name_fault(pointer, name.as_ref()?)));
        faults.extend(self.system_prompt.iter().flatten().filter_map(|prompt| prompt_fault(prompt)));
        faults.extend(self.labels.iter().flat_map(label_faults));
        faults.extend(self.model_provider.as_ref().and_then(|provider| provider_fault(provider, plugins)));
        if !faults.is_empty() {
            return Err(AgentError::Invalid(faults));
        }
        if let Some(mode) = self.governance_mode {
            allowed(mode, config.governance.minimum_mode)?;
        }
        Ok(AgentChange {
            name: self.agent_name,
            model: self.model,
            provider: self.model_provider,
            mode: self.governance_mode,
            system_prompt: self.system_prompt,
            labels: self.labels,
            policies: None,
        })
    }
}

/// Refuses a mode that is laxer than the installation's minimum.
fn allowed(mode: Mode, minimum: Mode) -> Result<(), AgentError> {
    if mode < minimum { Err(AgentError::ModeForbidden) } else { Ok(()) }
}

fn name_fault(pointer: &str, name: &str) -> Option<FieldError> {
    let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    (!fits).then(|| fault(pointer, format!("must have 1 to {MAX_NAME_CHARS} characters")))
}

fn prompt_fault(prompt: &str) -> Option<FieldError> {
    let fits = prompt.len() <= MAX_PROMPT_BYTES;
    (!fits).then(|| fault("/system_prompt", format!("must have at most {MAX_PROMPT_BYTES} bytes")))
}

fn provider_fault(provider: &str, plugins: &Plugins) -> Option<FieldError> {
    let exists = plugins.provider_exists(provider);
    (!exists).then(|| fault("/model_provider", "there is no such provider".to_owned()))
}

fn label_faults(labels: &BTreeMap<String, String>) -> Vec<FieldError> {
    if labels.len() > MAX_LABELS {
        return vec![fault("/labels", format!("must be at most {MAX_LABELS}"))];
    }
    let fits = |text: &String| text.chars().count() <= MAX_LABEL_CHARS;
    let too_long = labels.iter().filter(|(name, value)| !(fits(name) && fits(value)));
    let told = |name: &str| {
        fault(&format!("/labels/{}", escaped(name)), format!("must have at most {MAX_LABEL_CHARS} characters"))
    };
    too_long.map(|(name, _)| told(name)).collect()
}

impl Traits {
    /// Everything that is out of bounds.
    fn faults(&self) -> Vec<FieldError> {
        let names = [("/agent_name", &self.name), ("/model", &self.model), ("/model_provider", &self.provider)];
        let mut faults: Vec<_> = names.into_iter().filter_map(|(pointer, name)| name_fault(pointer, name)).collect();
        faults.extend(self.system_prompt.as_ref().and_then(|prompt| prompt_fault(prompt)));
        faults.extend(label_faults(&self.labels));
        faults.extend(self.policies.faults.iter().cloned());
        faults
    }
}

fn fault(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail }
}

/// A name as one step of a JSON pointer, cut where it is long enough to be recognised.
fn escaped(name: &str) -> String {
    let shown: String = name.chars().take(MAX_LABEL_CHARS).collect();
    shown.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits() -> Traits {
        Traits {
            name: "a".to_owned(),
            model: "m".to_owned(),
            provider: "demo".to_owned(),
            mode: Mode::Transparent,
            system_prompt: None,
            labels: BTreeMap::new(),
            policies: OwnPolicies::default(),
        }
    }

    fn pointers(traits: &Traits) -> Vec<String> {
        traits.faults().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn names_are_counted_in_characters() {
        let mut traits = traits();
        traits.name = "é".repeat(200);
        assert_eq!(pointers(&traits), Vec::<String>::new());
        traits.name.push('é');
        traits.model.clear();
        assert_eq!(pointers(&traits), ["/agent_name", "/model"]);
    }

    #[test]
    fn prompts_and_labels_have_bounds() {
        let mut traits = traits();
        traits.system_prompt = Some("x".repeat(MAX_PROMPT_BYTES + 1));
        traits.labels.insert("a/b~".to_owned(), "x".repeat(257));
        assert_eq!(pointers(&traits), ["/system_prompt", "/labels/a~1b~0"]);
        traits.labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(pointers(&traits), ["/system_prompt", "/labels"]);
    }
}
