//! The operator's configuration.

use gavel_provider_completions::base_url::BaseUrl;
use serde::Deserialize;

/// Where OpenAI itself answers.
const OPENAI_HOST: &str = "api.openai.com";

/// JSON Schema of the configuration. The host reads `base_url`'s default too: it is what `{base-url}` stands for.
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "base_url": {
      "description": "Where the API is: what stands before /chat/completions.",
      "type": "string",
      "pattern": "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$",
      "maxLength": 2048,
      "default": "https://api.openai.com/v1"
    },
    "organization": {
      "description": "Sent as OpenAI-Organization.",
      "type": "string",
      "pattern": "^[!-~]+$",
      "maxLength": 128
    }
  },
  "additionalProperties": false
}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "openai")]
    base_url: String,
    organization: Option<String>,
}

fn openai() -> String {
    format!("https://{OPENAI_HOST}/v1")
}

/// Where requests go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// What stands before `/chat/completions`.
    pub(crate) base: BaseUrl,
    pub(crate) organization: Option<String>,
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(Self { base: BaseUrl::parse(&written.base_url)?, organization: written.organization })
    }

    /// Whether OpenAI itself is asked: it knows fields that others do not.
    pub(crate) fn is_openai(&self) -> bool {
        self.base.authority.eq_ignore_ascii_case(OPENAI_HOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_openai() {
        let config = Config::parse("{}").unwrap();
        assert!(config.is_openai() && config.base.secure);
        assert_eq!(config.base.path, "/v1");
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["properties"]["base_url"]["default"], openai());
    }

    #[test]
    fn what_is_written_wrongly_is_refused() {
        assert_eq!(Config::parse(r#"{"organization":"org-1"}"#).unwrap().organization.as_deref(), Some("org-1"));
        assert!(Config::parse(r#"{"base_url":"h/v1"}"#).is_err());
        assert!(Config::parse(r#"{"key":"sk-1"}"#).is_err());
    }
}
