//! The providers that an agent may name: those that every installation has, and the operator's own.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Names that exist with or without a file, each served by the bundled plugin of the same name, and the
/// environment variable that holds its key where an agent's vault has none.
const BUNDLED: &[(&str, Option<&str>)] = &[
    ("anthropic", Some("ANTHROPIC_API_KEY")),
    ("demo", None),
    ("gemini", Some("GEMINI_API_KEY")),
    ("openai", Some("OPENAI_API_KEY")),
    ("workers-ai", Some("CLOUDFLARE_API_TOKEN")),
];

/// One provider: a plugin with its configuration and what the operator grants it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The plugin that serves it.
    pub plugin: String,
    /// The plugin's configuration, which its schema judges.
    #[serde(default)]
    pub config: Value,
    /// The environment variable that holds the key where the agent's vault has none.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Whether loopback and private addresses may be called.
    #[serde(default)]
    pub allow_private: bool,
    /// Origins that it may call besides those that the binary grants a bundled plugin.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The header that may carry its key, besides the one that the binary grants.
    #[serde(default)]
    pub credential: Option<CredentialConfig>,
}

/// A header that may carry a provider's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialConfig {
    /// Its name.
    pub header: String,
    /// Its value, with `{key}` where the key goes.
    pub format: String,
}

/// What a file may say of one provider: of a bundled one only what changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderPatch {
    plugin: Option<String>,
    config: Option<Value>,
    api_key_env: Option<String>,
    allow_private: Option<bool>,
    origins: Option<Vec<String>>,
    credential: Option<CredentialConfig>,
}

/// The providers that every installation has.
pub(super) fn bundled() -> BTreeMap<String, ProviderConfig> {
    let provider = |plugin: &str, key: Option<&str>| ProviderConfig {
        plugin: plugin.to_owned(),
        config: Value::Object(Map::new()),
        api_key_env: key.map(str::to_owned),
        ..ProviderConfig::default()
    };
    BUNDLED.iter().map(|(name, key)| ((*name).to_owned(), provider(name, *key))).collect()
}

/// Reads `[providers.*]` over the bundled ones.
pub(super) fn with_bundled<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, ProviderConfig>, D::Error> {
    let patches = BTreeMap::<String, ProviderPatch>::deserialize(input)?;
    let mut providers = bundled();
    for (name, patch) in patches {
        let provider = merged(&name, patch, providers.remove(&name)).map_err(D::Error::custom)?;
        providers.insert(name, provider);
    }
    Ok(providers)
}

fn merged(name: &str, patch: ProviderPatch, base: Option<ProviderConfig>) -> Result<ProviderConfig, String> {
    let plugin = patch
        .plugin
        .or_else(|| base.as_ref().map(|base| base.plugin.clone()))
        .ok_or_else(|| format!("providers.{name} names no plugin"))?;
    // What was granted to one plugin is not another's.
    let base = base.filter(|base| base.plugin == plugin);
    let base =
        base.unwrap_or_else(|| ProviderConfig { config: Value::Object(Map::new()), ..ProviderConfig::default() });
    let config = patch.config.unwrap_or(base.config);
    if !config.is_object() {
        return Err(format!("providers.{name}.config is no table"));
    }
    Ok(ProviderConfig {
        plugin,
        config,
        api_key_env: patch.api_key_env.or(base.api_key_env),
        allow_private: patch.allow_private.unwrap_or(base.allow_private),
        origins: patch.origins.unwrap_or(base.origins),
        credential: patch.credential.or(base.credential),
    })
}
