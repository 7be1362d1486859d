//! The operator's configuration.

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
    /// `https` rather than `http`.
    pub(crate) secure: bool,
    /// Host and port.
    pub(crate) authority: String,
    /// What stands before `/chat/completions`; no slash at its end.
    pub(crate) path: String,
    pub(crate) organization: Option<String>,
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let url = written.base_url.as_str();
        let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("base_url must begin with https:// or http://".into()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || rest.contains(['@', '?', '#']) || rest.contains(char::is_whitespace) {
            return Err("base_url must be scheme, host and path alone".into());
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { secure, authority: authority.to_owned(), path, organization: written.organization })
    }

    /// Whether OpenAI itself is asked: it knows fields that others do not.
    pub(crate) fn is_openai(&self) -> bool {
        self.authority.eq_ignore_ascii_case(OPENAI_HOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_openai() {
        let config = Config::parse("{}").unwrap();
        assert!(config.is_openai() && config.secure);
        assert_eq!(config.path, "/v1");
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["properties"]["base_url"]["default"], openai());
    }

    #[test]
    fn a_base_url_is_taken_apart() {
        let config = Config::parse(r#"{"base_url":"http://127.0.0.1:11434/api/v1/","organization":"org-1"}"#).unwrap();
        assert_eq!(
            (config.secure, config.authority.as_str(), config.path.as_str()),
            (false, "127.0.0.1:11434", "/api/v1")
        );
        assert_eq!(Config::parse(r#"{"base_url":"http://h"}"#).unwrap().path, "");
        for url in ["h/v1", "ftp://h", "https://", "https:///v1", "https://u@h/v1", "https://h/v1?a=b", "https://h/ v1"]
        {
            assert!(Config::parse(&format!(r#"{{"base_url":"{url}"}}"#)).is_err(), "{url}");
        }
        assert!(Config::parse(r#"{"key":"sk-1"}"#).is_err());
    }
}
