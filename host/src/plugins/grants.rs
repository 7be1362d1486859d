//! What providers may do. A manifest asks; what counts is what the binary, the configuration or an administrator granted.
//!
//! What is compared are origins, never the words of a manifest: `{base-url}` stands for what the operator configured, and
//! where nothing is configured for a default that the plugin's author may change.

use gavel_sandbox::provider::{Asks, Grant, GrantError, Origin};
use gavel_store::PluginGrant;
use serde_json::Value;
use url::Url;

use crate::config::ProviderConfig;

/// Why a version may not serve a configured provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// It asks for more than is granted.
    Ungranted,
    /// What it asks for cannot be granted to anyone.
    Impossible(GrantError),
}

/// What is granted to the plugins of one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Granted {
    /// What its bundled versions ask for.
    pub(super) bundled: Vec<Asks>,
    /// What administrators approved.
    pub(super) approved: PluginGrant,
}

impl Granted {
    /// The grant of a version for a configured provider: all that it asks for, if all of it is granted.
    pub(super) fn of(&self, asks: &Asks, config: &ProviderConfig) -> Result<Grant, Withheld> {
        let mut grant = Grant::of(asks, &config.config).map_err(Withheld::Impossible)?;
        let allowed = self.allowed(config);
        let origins = grant.origins.iter().all(|origin| allowed.origins.contains(&origin.to_string()));
        let credential = credential_of(&grant).is_none_or(|credential| allowed.credentials.contains(&credential));
        if !(origins && credential) {
            return Err(Withheld::Ungranted);
        }
        grant.allow_private = config.allow_private;
        Ok(grant)
    }

    /// Everything that the providers with these configurations may be granted.
    pub(super) fn whole<'a>(&self, configs: impl Iterator<Item = &'a ProviderConfig>) -> PluginGrant {
        configs.map(|config| self.allowed(config)).fold(self.approved.clone(), joined)
    }

    /// Everything that a provider with this configuration may be granted.
    fn allowed(&self, config: &ProviderConfig) -> PluginGrant {
        let mut allowed = self.approved.clone();
        for asks in &self.bundled {
            // A bundled version that needs a base_url has none to be granted.
            if let Ok(grant) = Grant::of(asks, &config.config) {
                add(&mut allowed, &grant);
            }
        }
        let own = config.origins.iter().filter_map(|origin| origin.parse().ok());
        allowed.origins.extend(own.chain(configured_base_url(config)).map(|origin: Origin| origin.to_string()));
        let credential = config.credential.as_ref();
        allowed.credentials.extend(credential.map(|own| (own.header.to_ascii_lowercase(), own.format.clone())));
        allowed
    }
}

/// What a version asks for under these configurations, or under none where there is no such provider yet.
pub(super) fn asked<'a>(asks: &Asks, configs: impl Iterator<Item = &'a ProviderConfig>) -> PluginGrant {
    let mut configs: Vec<&Value> = configs.map(|config| &config.config).collect();
    if configs.is_empty() {
        configs.push(&Value::Null);
    }
    let mut asked = PluginGrant::default();
    for config in configs {
        // Of what needs a base_url and finds none, the configuration will have to name it, and so grants it.
        let named = config.get("base_url").is_some() || asks.base_url.is_some();
        let origins = asks.origins.iter().filter(|origin| named || !origin.starts_with('{')).cloned().collect();
        if let Ok(grant) = Grant::of(&Asks { origins, ..asks.clone() }, config) {
            add(&mut asked, &grant);
        }
    }
    asked
}

/// The operator wrote it, for this provider: it may go there.
fn configured_base_url(config: &ProviderConfig) -> Option<Origin> {
    let url = Url::parse(config.config.get("base_url")?.as_str()?).ok()?;
    Origin::of(&url).ok()
}

fn credential_of(grant: &Grant) -> Option<(String, String)> {
    grant.credential.as_ref().map(|credential| (credential.header.to_string(), credential.format.clone()))
}

fn add(to: &mut PluginGrant, grant: &Grant) {
    to.origins.extend(grant.origins.iter().map(ToString::to_string));
    to.credentials.extend(credential_of(grant));
}

/// What both grant.
pub(super) fn joined(mut one: PluginGrant, other: PluginGrant) -> PluginGrant {
    let PluginGrant { origins, credentials } = other;
    one.origins.extend(origins);
    one.credentials.extend(credentials);
    one
}

#[cfg(test)]
mod tests {
    use gavel_sandbox::provider::CredentialRequest;
    use serde_json::json;

    use super::*;
    use crate::config::CredentialConfig;

    fn asks(origins: &[&str], format: &str, base_url: Option<&str>) -> Asks {
        let credential = CredentialRequest { header: "Authorization".into(), format: format.into(), required: true };
        Asks {
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            credential: (!format.is_empty()).then_some(credential),
            base_url: base_url.map(str::to_owned),
        }
    }

    fn config(config: Value) -> ProviderConfig {
        ProviderConfig { plugin: "acme".into(), config, ..ProviderConfig::default() }
    }

    fn bundled(asks: Asks) -> Granted {
        Granted { bundled: vec![asks], ..Granted::default() }
    }

    const BEARER: &str = "Bearer {key}";

    #[test]
    fn an_update_that_asks_for_no_more_is_granted_and_one_that_asks_for_more_is_not() {
        let granted = bundled(asks(&["https://api.acme.example"], BEARER, None));
        let may = |asks: &Asks| granted.of(asks, &config(json!({}))).is_ok();
        assert!(may(&asks(&["https://api.acme.example"], BEARER, None)));
        assert!(may(&asks(&["https://API.acme.example:443"], "", None)));
        assert!(may(&asks(&[], "", None)));
        assert!(!may(&asks(&["https://api.acme.example", "https://evil.example"], BEARER, None)));
        assert!(!may(&asks(&["http://api.acme.example"], BEARER, None)));
        assert!(!may(&asks(&["https://api.acme.example"], "{key}", None)), "another form of the header");
    }

    #[test]
    fn a_changed_default_of_the_base_url_is_another_origin() {
        let granted = bundled(asks(&["{base-url}"], BEARER, Some("https://api.acme.example/v1")));
        let moved = asks(&["{base-url}"], BEARER, Some("https://evil.example/v1"));
        assert_eq!(granted.of(&moved, &config(json!({}))), Err(Withheld::Ungranted));
        let own = config(json!({"base_url": "http://127.0.0.1:11434/v1"}));
        assert_eq!(granted.of(&moved, &own).unwrap().origins, ["http://127.0.0.1:11434".parse().unwrap()]);
    }

    #[test]
    fn the_configuration_grants_origins_and_a_credential() {
        let asks = asks(&["https://api.acme.example"], BEARER, None);
        let granted = Granted::default();
        let mut own = config(json!({}));
        assert_eq!(granted.of(&asks, &own), Err(Withheld::Ungranted));
        own.origins = vec!["https://api.acme.example/".into()];
        assert_eq!(granted.of(&asks, &own), Err(Withheld::Ungranted), "the key has no header yet");
        own.credential = Some(CredentialConfig { header: "Authorization".into(), format: BEARER.into() });
        own.allow_private = true;
        assert!(granted.of(&asks, &own).unwrap().allow_private);
    }

    #[test]
    fn what_is_approved_is_what_is_asked_for_under_each_configuration() {
        let asks = asks(&["{base-url}", "https://files.acme.example"], BEARER, Some("https://api.acme.example"));
        let own = config(json!({"base_url": "https://eu.acme.example/v1"}));
        let approved = asked(&asks, [&own, &config(json!({}))].into_iter());
        let origins = ["https://api.acme.example", "https://eu.acme.example", "https://files.acme.example"];
        assert!(approved.origins.iter().eq(origins), "{approved:?}");
        let granted = Granted { approved, ..Granted::default() };
        assert!(granted.of(&asks, &own).is_ok());
        let alone = asked(&Asks { base_url: None, ..asks }, std::iter::empty());
        assert!(alone.origins.iter().eq(["https://files.acme.example"]), "{alone:?}");
    }
}
