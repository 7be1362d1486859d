//! Registries that plugins are pulled from, and whose plugins are accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::check::{OutOfBounds, within};

/// Most keys: a large plugin is hashed once more for each of them.
const MAX_KEYS: usize = 64;
/// Whoever asks for an installation waits for five minutes, of which the plugin's compiling needs some.
const MAX_PULL_MS: u64 = 240_000;

/// Registries that plugins are pulled from. A registry is named as in a reference, `registry.example.org` or
/// `127.0.0.1:5000`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OciConfig {
    /// Registries that are spoken to over plain HTTP, at private addresses too.
    pub insecure: BTreeSet<String>,
    /// Registries that may have a private address. They are spoken to over TLS as all others.
    pub private: BTreeSet<String>,
    /// How to log in, by registry.
    pub auth: BTreeMap<String, RegistryLogin>,
    /// Milliseconds for pulling one plugin, signatures included.
    pub timeout_ms: u64,
}

/// How to log in to a registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryLogin {
    /// The user's name.
    pub username: String,
    /// The environment variable that holds the password or token.
    pub password_env: String,
}

/// Whose plugins are accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// Whether a plugin without a signature by one of the keys is refused. Bundled ones are exempt.
    pub required: bool,
    /// Public keys as PEM: Ed25519, or ECDSA over P-256 as cosign makes them.
    pub keys: Vec<String>,
    /// Files that hold such keys, one or more in each.
    pub key_files: Vec<PathBuf>,
}

impl Default for OciConfig {
    fn default() -> Self {
        Self { insecure: BTreeSet::new(), private: BTreeSet::new(), auth: BTreeMap::new(), timeout_ms: 60_000 }
    }
}

impl OciConfig {
    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        within("plugins.oci.timeout_ms", self.timeout_ms, 1..=MAX_PULL_MS)?;
        let named = [("insecure", &self.insecure), ("private", &self.private)];
        let named = named.into_iter().flat_map(|(key, registries)| registries.iter().map(move |name| (key, name)));
        for (key, registry) in named.chain(self.auth.keys().map(|name| ("auth", name))) {
            if !is_registry(registry) {
                let detail = format!("{registry} is not of the form registry.example.org or registry.example.org:5000");
                return Err(OutOfBounds { key: format!("plugins.oci.{key}"), detail });
            }
        }
        Ok(())
    }
}

/// Whether it is written as a reference would: host and port alone, in lower case.
fn is_registry(name: &str) -> bool {
    let plain = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    // A scheme without a port of its own, so that none is left out as the usual one.
    Url::parse(&format!("oci://{name}/")).is_ok_and(|url| {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let host = url.host_str().filter(|host| !host.is_empty());
        plain(&url) && host.is_some_and(|host| format!("{}{port}", host.to_lowercase()) == name)
    })
}

impl TrustConfig {
    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        let fault = |detail: String| Err(OutOfBounds { key: "plugins.trust".to_owned(), detail });
        match self.keys.len() + self.key_files.len() {
            0 if self.required => fault("a signature is required, and there is no key to verify one with".to_owned()),
            keys if keys > MAX_KEYS => fault(format!("more than {MAX_KEYS} keys")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_perhaps_a_port() {
        for name in ["registry.example.org", "127.0.0.1:5000", "localhost:80", "registry.example.org:443", "[::1]:5000"]
        {
            assert!(is_registry(name), "{name}");
        }
        for name in [
            "",
            "https://registry.example.org",
            "registry.example.org/team",
            "user@registry.example.org",
            "Registry.example.org",
            "registry.example.org:",
            "registry.example.org?x",
            "two words",
        ] {
            assert!(!is_registry(name), "{name}");
        }
    }

    #[test]
    fn a_signature_cannot_be_required_without_a_key() {
        assert!(TrustConfig { required: true, ..TrustConfig::default() }.check().is_err());
        let keys = vec!["-----BEGIN PUBLIC KEY-----".to_owned()];
        TrustConfig { required: true, keys, ..TrustConfig::default() }.check().unwrap();
    }
}
