//! Reads the configuration: file, then environment, then flags, each over the one before.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;

use super::Config;
use super::check::OutOfBounds;

/// The file that is read where it exists and none is named.
const DEFAULT_FILE: &str = "gavel.toml";
/// `GAVEL_` variables that are no configuration: secrets, and what the clients read.
const NOT_CONFIGURATION: &[&str] = &["vault_key", "vault_new_key", "url", "token", "config"];
/// At this many edits a key is no misspelling any more.
const MAX_EDITS: usize = 3;

/// What the command line says, over file and environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// `--listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `--admin-listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
    /// `--data-dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named is not there.
    #[error("{}: no such file", .0.display())]
    Missing(PathBuf),
    /// It does not read as one.
    #[error("{0}")]
    Invalid(Faults),
    /// A value is out of bounds.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

/// Reads the configuration from `file` (or `gavel.toml` where that exists), the environment and the flags.
///
/// # Errors
/// When a named file is missing, a key is unknown, or a value is of the wrong type or out of bounds.
pub fn load(file: Option<&Path>, flags: &Overrides) -> Result<Config, ConfigError> {
    let mut sources = Figment::new();
    match file {
        Some(path) if !path.is_file() => return Err(ConfigError::Missing(path.to_owned())),
        Some(path) => sources = sources.merge(Toml::file_exact(path)),
        None if Path::new(DEFAULT_FILE).is_file() => {
            sources = sources.merge(Toml::file_exact(DEFAULT_FILE));
        }
        None => {}
    }
    let config: Config = sources
        .merge(Env::prefixed("GAVEL_").ignore(NOT_CONFIGURATION).split("__"))
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|error| ConfigError::Invalid(Faults::from(error)))?;
    config.check()?;
    Ok(config)
}

/// Everything that is wrong with the configuration, one line for each fault.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl From<figment::Error> for Faults {
    fn from(errors: figment::Error) -> Self {
        Self(errors.into_iter().map(|error| described(&error)).collect())
    }
}

fn described(error: &figment::Error) -> String {
    let source = error
        .metadata
        .as_ref()
        .map(|metadata| metadata.source.as_ref().map_or_else(|| metadata.name.to_string(), ToString::to_string));
    let place = source.map_or_else(String::new, |source| format!(" ({source})"));
    if let Kind::UnknownField(field, known) = &error.kind {
        let section = section(&error.path, field);
        let key = format!("{section}{field}");
        return match nearest(field, known) {
            Some(near) => format!("unknown key {key}: did you mean {section}{near}?{place}"),
            None => format!("unknown key {key}; known here: {}{place}", known.join(", ")),
        };
    }
    if error.path.is_empty() {
        return format!("{}{place}", error.kind);
    }
    format!("{}: {}{place}", error.path.join("."), error.kind)
}

/// The sections around a key, each with a point behind it. Figment's path of an unknown key may end in the key.
fn section(path: &[String], field: &str) -> String {
    let sections = match path.split_last() {
        Some((last, sections)) if last == field => sections,
        _ => path,
    };
    sections.iter().flat_map(|section| [section.as_str(), "."]).collect()
}

/// The known key that a misspelt one most likely meant.
fn nearest<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(field, candidate), *candidate))
        .filter(|(edits, candidate)| *edits <= MAX_EDITS && *edits < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Jail;

    fn config(toml: &str) -> Result<Config, String> {
        Figment::new().merge(Toml::string(toml)).extract::<Config>().map_err(|error| Faults::from(error).to_string())
    }

    #[test]
    fn an_empty_file_gives_the_documented_defaults() {
        let config = config("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
        assert_eq!(config.limits.message_bytes, 65_536);
        assert_eq!(config.limits.output_bytes, 1_048_576);
        assert_eq!(config.limits.file_bytes, 104_857_600);
        assert_eq!(config.store.cache_mib, 64);
        assert!(config.providers.contains_key("demo"));
        let policies: Vec<_> = config.governance.default_policies.iter().map(|b| b.policy.as_str()).collect();
        assert_eq!(policies, ["pii", "secrets"]);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let fault = config("[limits]\nmesage_bytes = 3").unwrap_err();
        assert!(fault.contains("limits.mesage_bytes"), "{fault}");
        assert!(fault.contains("did you mean limits.message_bytes?"), "{fault}");
        let fault = config("lisen = \"127.0.0.1:1\"").unwrap_err();
        assert!(fault.contains("did you mean listen?"), "{fault}");
        let fault = config("[providers.x]\nplugin = \"openai\"\nallow_privat = true").unwrap_err();
        assert!(fault.contains("allow_private"), "{fault}");
    }

    #[test]
    fn a_key_that_resembles_none_lists_what_is_known() {
        let fault = config("[store]\nzzzzzzzz = 1").unwrap_err();
        assert!(fault.contains("known here: cache_mib"), "{fault}");
    }

    #[test]
    fn a_file_may_change_a_bundled_provider_and_add_another() {
        let config = config(
            "[providers.openai]\nallow_private = true\nconfig = { base_url = \"http://127.0.0.1:1/v1\" }\n\
             [providers.local]\nplugin = \"openai\"",
        )
        .unwrap();
        let openai = &config.providers["openai"];
        assert!(openai.allow_private);
        assert_eq!(openai.api_key_env.as_deref(), Some("OPENAI_API_KEY"));
        assert_eq!(config.providers["local"].plugin, "openai");
        assert_eq!(config.providers["local"].api_key_env, None, "a key is granted, not inherited");
    }

    #[test]
    fn another_plugin_under_a_bundled_name_inherits_no_key() {
        let config = config("[providers.openai]\nplugin = \"stranger\"").unwrap();
        assert_eq!(config.providers["openai"].api_key_env, None);
    }

    #[test]
    fn a_new_provider_without_a_plugin_is_refused() {
        let fault = config("[providers.x]\nallow_private = true").unwrap_err();
        assert!(fault.contains("names no plugin"), "{fault}");
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own type")]
    fn flags_come_before_the_environment_and_the_environment_before_the_file() {
        Jail::expect_with(|jail| {
            jail.create_file("gavel.toml", "listen = \"127.0.0.1:1\"\n[log]\norigin = \"file/log\"")?;
            jail.set_env("GAVEL_LOG__ORIGIN", "env/log");
            jail.set_env("GAVEL_LISTEN", "127.0.0.1:2");
            jail.set_env("GAVEL_VAULT_KEY", "no configuration");
            let flags = Overrides {
                listen: Some("127.0.0.1:3".parse().map_err(|_| "address".to_owned())?),
                ..Overrides::default()
            };
            let config = load(None, &flags).map_err(|error| error.to_string())?;
            assert_eq!(config.listen.port(), 3);
            assert_eq!(config.log.origin.as_deref(), Some("env/log"));
            Ok(())
        });
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own type")]
    fn the_default_file_may_be_missing_and_a_named_one_may_not() {
        Jail::expect_with(|_| {
            assert!(load(None, &Overrides::default()).is_ok());
            let named = load(Some(Path::new("other.toml")), &Overrides::default());
            assert!(matches!(named, Err(ConfigError::Missing(_))));
            Ok(())
        });
    }

    #[test]
    fn whoever_is_named_in_no_tier_is_in_the_free_one() {
        let tiers = config("[tiers.pro]\nusers = [\"alice\"]\nstorage_bytes = 5").unwrap().tiers;
        assert_eq!(tiers["free"].requests_per_minute, Some(60));
        assert_eq!(tiers["free"].messages_per_month, Some(10_000));
        assert_eq!((tiers["pro"].storage_bytes, tiers["pro"].requests_per_minute), (Some(5), None));
        let free = &config("[tiers.free]\nmessages_per_month = 5").unwrap().tiers["free"];
        assert_eq!((free.messages_per_month, free.requests_per_minute), (Some(5), None));
    }

    #[test]
    fn a_user_is_in_one_tier() {
        let twice = config("[tiers.one]\nusers = [\"alice\"]\n[tiers.two]\nusers = [\"bob\", \"alice\"]").unwrap();
        let fault = twice.check().unwrap_err().to_string();
        assert_eq!(fault, "tiers.two.users: alice is named twice: a user is in one tier");
        assert!(config("[tiers.free]\nrequests_per_minute = 0").unwrap().check().is_err());
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let mut config = config("").unwrap();
        config.limits.message_bytes = 0;
        assert!(config.check().is_err());
        config.limits.message_bytes = 1;
        config.governance.default_policies.push(BindingSpec::of("pii"));
        assert!(config.check().unwrap_err().to_string().contains("twice"));
    }

    use super::super::BindingSpec;
}
