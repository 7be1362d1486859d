//! The operator's configuration.

use gavel_provider_completions::base_url::BaseUrl;
use gavel_sdk::provider::Error;
use serde::Deserialize;

/// Hex digits of an account's id.
const ACCOUNT_DIGITS: usize = 32;
/// Most tokens that may be asked for.
const MAX_TOKENS: u32 = 1 << 20;

/// JSON Schema of the configuration. The host reads `base_url`'s default too: it is what `{base-url}` stands for.
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "account_id": {
      "description": "The account that is asked and billed. Without it every chat is refused.",
      "type": "string",
      "pattern": "^[0-9a-fA-F]{32}$"
    },
    "base_url": {
      "description": "Where the API is: what stands before /accounts.",
      "type": "string",
      "pattern": "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$",
      "maxLength": 2048,
      "default": "https://api.cloudflare.com/client/v4"
    },
    "max_tokens": {
      "description": "Tokens of an answer at most, where the request does not say. The vendor's own default is 256.",
      "type": "integer",
      "minimum": 1,
      "maximum": 1048576,
      "default": 1024
    }
  },
  "additionalProperties": false
}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    account_id: Option<String>,
    #[serde(default = "cloudflare")]
    base_url: String,
    #[serde(default = "default_tokens")]
    max_tokens: u32,
}

fn cloudflare() -> String {
    "https://api.cloudflare.com/client/v4".to_owned()
}

fn default_tokens() -> u32 {
    1024
}

/// Where requests go, and what they ask for unless told otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) base: BaseUrl,
    /// A server starts without it: its operator may not use this provider.
    account_id: Option<String>,
    pub(crate) max_tokens: u32,
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let is_account = |id: &str| id.len() == ACCOUNT_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if written.account_id.as_deref().is_some_and(|id| !is_account(id)) {
            return Err(format!("account_id must be {ACCOUNT_DIGITS} hex digits"));
        }
        if !(1..=MAX_TOKENS).contains(&written.max_tokens) {
            return Err(format!("max_tokens must be 1 to {MAX_TOKENS}"));
        }
        let base = BaseUrl::parse(&written.base_url)?;
        Ok(Self { base, account_id: written.account_id, max_tokens: written.max_tokens })
    }

    /// The path of a call, such as `/run/@cf/…`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`], which says what the operator has to set, where there is no account.
    pub(crate) fn path(&self, call: &str) -> Result<String, Error> {
        let account = self.account_id.as_deref().ok_or_else(|| {
            let why = "the operator has set no account: config.account_id of the provider takes its 32 hex digits";
            Error::InvalidRequest(why.to_owned())
        })?;
        Ok(format!("/accounts/{account}/ai{call}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_schema_are_ours() {
        let config = Config::parse("{}").unwrap();
        assert_eq!((config.base.authority.as_str(), config.base.path.as_str()), ("api.cloudflare.com", "/client/v4"));
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["properties"]["base_url"]["default"], cloudflare());
        assert_eq!(schema["properties"]["max_tokens"]["default"], default_tokens());
        assert_eq!(schema["properties"]["max_tokens"]["maximum"], MAX_TOKENS);
    }

    #[test]
    fn an_account_is_needed_for_a_call_and_not_for_a_start() {
        let Err(Error::InvalidRequest(why)) = Config::parse("{}").unwrap().path("/run/m") else { panic!() };
        assert!(why.contains("account_id"), "{why}");
        let config = Config::parse(r#"{"account_id":"023e105f4ecef8ad9ca31a8372d0c353"}"#).unwrap();
        assert_eq!(config.path("/run/m").unwrap(), "/accounts/023e105f4ecef8ad9ca31a8372d0c353/ai/run/m");
    }

    #[test]
    fn what_is_written_wrongly_is_refused() {
        for wrong in [
            r#"{"account_id":"023e105f"}"#,
            r#"{"account_id":"023e105f4ecef8ad9ca31a8372d0c35/"}"#,
            r#"{"base_url":"api.cloudflare.com"}"#,
            r#"{"max_tokens":0}"#,
            r#"{"key":"x"}"#,
        ] {
            assert!(Config::parse(wrong).is_err(), "{wrong}");
        }
    }
}
