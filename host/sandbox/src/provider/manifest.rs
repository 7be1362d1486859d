//! A provider's manifest, checked before anything believes it.

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bindings::exports::gavel::plugin::provider as wit;
use super::grant::{BASE_URL, CredentialGrant, GrantError};
use super::origin::{Origin, OriginError};
use crate::{check_plugin_name, schema};

const MAX_SUMMARY_BYTES: usize = 1024;
const MAX_ORIGINS: usize = 32;

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// The name is not kebab-case or too long.
    #[error("{0}")]
    Name(String),
    /// The version is no semantic version.
    #[error("the version is no semantic version: {0}")]
    Version(String),
    /// The summary is too long or holds control characters.
    #[error("the summary must be plain text of at most {MAX_SUMMARY_BYTES} bytes")]
    Summary,
    /// Too many origins.
    #[error("it asks for more than {MAX_ORIGINS} origins")]
    Origins,
    /// An origin that cannot be read.
    #[error("the origin `{0}`: {1}")]
    Origin(String, OriginError),
    /// A credential that could never be granted.
    #[error("{0}")]
    Credential(#[from] GrantError),
    /// The schema is no usable JSON Schema of draft 2020-12.
    #[error("the configuration's schema: {0}")]
    Schema(String),
}

/// The credential that a provider asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRequest {
    /// The header's name.
    pub header: String,
    /// Its value with `{key}` in it.
    pub format: String,
    /// Whether the provider is useless without.
    pub required: bool,
}

/// What a provider says of itself and asks for; nothing in it is a right.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Kebab-case, at most 64 bytes.
    pub name: String,
    /// Its semantic version.
    pub version: semver::Version,
    /// One line for people, at most 1 KiB.
    pub summary: String,
    /// Origins, or `{base-url}` for the one that the operator's configuration names; at most 32.
    pub origins: Vec<String>,
    /// The credential it asks for.
    pub credential: Option<CredentialRequest>,
    /// JSON Schema, draft 2020-12, of its configuration.
    pub config_schema: Value,
}

/// What a provider asks its operator for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    /// Origins, or `{base-url}` for the one that the operator's configuration names.
    pub origins: Vec<String>,
    /// The credential.
    pub credential: Option<CredentialRequest>,
    /// What `{base-url}` stands for where the configuration names none: the schema's default.
    pub base_url: Option<String>,
}

impl Manifest {
    /// What it asks for.
    #[must_use]
    pub fn asks(&self) -> Asks {
        let default = self.config_schema.pointer("/properties/base_url/default").and_then(Value::as_str);
        Asks {
            origins: self.origins.clone(),
            credential: self.credential.clone(),
            base_url: default.map(str::to_owned),
        }
    }
}

/// Checks what `describe` gave and compiles the schema.
pub(super) fn check(manifest: wit::Manifest) -> Result<(Manifest, Validator), ManifestError> {
    check_plugin_name(&manifest.name).map_err(ManifestError::Name)?;
    let version =
        semver::Version::parse(&manifest.version).map_err(|error| ManifestError::Version(error.to_string()))?;
    if manifest.summary.len() > MAX_SUMMARY_BYTES || manifest.summary.chars().any(char::is_control) {
        return Err(ManifestError::Summary);
    }
    if manifest.origins.len() > MAX_ORIGINS {
        return Err(ManifestError::Origins);
    }
    for origin in manifest.origins.iter().filter(|origin| *origin != BASE_URL) {
        let refused = |error| ManifestError::Origin(origin.chars().take(256).collect(), error);
        origin.parse::<Origin>().map_err(refused)?;
    }
    let credential = manifest.credential.map(|asked| CredentialRequest {
        header: asked.header,
        format: asked.format,
        required: asked.required,
    });
    if let Some(asked) = &credential {
        CredentialGrant::new(&asked.header, &asked.format, asked.required)?;
    }
    let (config_schema, validator) = schema::compile(&manifest.config_schema).map_err(ManifestError::Schema)?;
    let checked = Manifest {
        name: manifest.name,
        version,
        summary: manifest.summary,
        origins: manifest.origins,
        credential,
        config_schema,
    };
    Ok((checked, validator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> wit::Manifest {
        wit::Manifest {
            name: "open-ai2".into(),
            version: "1.2.3".into(),
            summary: "Speaks.".into(),
            origins: vec!["https://api.openai.com".into(), "{base-url}".into()],
            credential: Some(wit::Credential {
                header: "authorization".into(),
                format: "Bearer {key}".into(),
                required: true,
            }),
            config_schema: r#"{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}"#
                .into(),
        }
    }

    #[test]
    fn a_good_manifest_passes_and_its_schema_judges() {
        let (checked, validator) = check(manifest()).unwrap();
        assert_eq!(checked.version, semver::Version::new(1, 2, 3));
        assert!(crate::schema::faults(&validator, &serde_json::json!({"n": 1})).is_empty());
        let found = crate::schema::faults(&validator, &serde_json::json!({"n": "secret", "m": 1}));
        assert_eq!(found.len(), 2);
        assert!(found.iter().any(|fault| fault.pointer == "/n"));
        assert!(found.iter().all(|fault| !fault.detail.contains("secret")));
    }

    #[test]
    fn each_fault_is_named() {
        let refused = |change: fn(&mut wit::Manifest)| {
            let mut bad = manifest();
            change(&mut bad);
            check(bad).err()
        };
        assert!(matches!(refused(|m| m.name = "Open_AI".into()), Some(ManifestError::Name(_))));
        assert!(matches!(refused(|m| m.version = "1.2".into()), Some(ManifestError::Version(_))));
        assert_eq!(refused(|m| m.summary = "a\nb".into()), Some(ManifestError::Summary));
        assert_eq!(refused(|m| m.origins = vec!["{base-url}".into(); 33]), Some(ManifestError::Origins));
        assert!(matches!(refused(|m| m.origins.push("openai".into())), Some(ManifestError::Origin(..))));
        assert!(matches!(refused(|m| m.config_schema = "{".into()), Some(ManifestError::Schema(_))));
        assert!(matches!(refused(|m| m.config_schema = r#"{"type":"thing"}"#.into()), Some(ManifestError::Schema(_))));
        assert!(matches!(
            refused(|m| m.config_schema = r#"{"$ref":"https://example.org/other"}"#.into()),
            Some(ManifestError::Schema(_))
        ));
        assert!(matches!(
            refused(|m| m.credential.as_mut().unwrap().header = "host".into()),
            Some(ManifestError::Credential(_))
        ));
    }
}
