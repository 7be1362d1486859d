//! Providers' keys of agents' own: what may be one, and what its ciphertext is bound to.

use std::fmt;

use gavel_store::AgentId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::{Vault, VaultError};

/// Bytes of a key.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 8..=4096;
/// Most characters of a key that are shown, and the part of it that they may be at most.
const MAX_PREFIX_CHARS: usize = 8;
const SHOWN_PART: usize = 4;
/// Begins the associated data of a provider's key, so that it reads like nothing else that a data key encrypts.
const PURPOSE: &[u8] = b"provider key";

/// A key as its owner gives it. It has no `Debug`, and its errors repeat nothing of it.
pub struct ApiKey(SecretString);

impl ApiKey {
    /// What is wrong with the key, if anything: it has to fit a header's value as it is (RFC 9110 §5.5).
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let key = self.0.expose_secret();
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some("must be printable ASCII without spaces, as a header can carry it".to_owned());
        }
        let (least, most) = (KEY_CHARS.start(), KEY_CHARS.end());
        (!KEY_CHARS.contains(&key.len())).then(|| format!("must have {least} to {most} characters"))
    }

    /// The first characters of an acceptable key: at most 8, and at most a quarter of it.
    #[must_use]
    pub fn prefix(&self) -> String {
        let key = self.0.expose_secret();
        key.chars().take(MAX_PREFIX_CHARS.min(key.len() / SHOWN_PART)).collect()
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

/// Serde's own errors repeat a scalar of the wrong type.
macro_rules! unrepeated {
    ($($visit:ident: $scalar:ty),*) => {$(
        fn $visit<E: Error>(self, _: $scalar) -> Result<ApiKey, E> {
            Err(E::custom("expected a string"))
        }
    )*};
}

impl Visitor<'_> for KeyVisitor {
    type Value = ApiKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<ApiKey, E> {
        Ok(ApiKey(SecretString::from(key)))
    }

    unrepeated!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
}

/// What a provider's key is bound to: it opens for this and for nothing else.
#[derive(Clone, Copy, Debug)]
pub struct KeyPlace<'a> {
    /// Whose key it is.
    pub agent: &'a AgentId,
    /// The provider's configured name.
    pub provider: &'a str,
    /// The origins that the provider is granted, each once and sorted.
    pub origins: &'a [String],
}

impl KeyPlace<'_> {
    /// The associated data: every part has its length before it, so that no two places read the same.
    fn bytes(&self) -> Vec<u8> {
        let agent = self.agent.to_string();
        let mut bytes = PURPOSE.to_vec();
        let parts = [agent.as_str(), self.provider].into_iter().chain(self.origins.iter().map(String::as_str));
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

impl Vault {
    /// Encrypts a provider's key under the agent's data key.
    ///
    /// # Errors
    /// When the data key does not open.
    pub fn seal_api_key(
        &self,
        place: KeyPlace<'_>,
        wrapped_data_key: &[u8],
        key: &ApiKey,
    ) -> Result<Vec<u8>, VaultError> {
        self.data_key(place.agent, wrapped_data_key)?.seal(&place.bytes(), key.0.expose_secret().as_bytes())
    }

    /// Decrypts what [`seal_api_key`](Self::seal_api_key) gave for the same place.
    ///
    /// # Errors
    /// When it was sealed for another agent, provider or set of origins, or is damaged.
    pub fn open_api_key(
        &self,
        place: KeyPlace<'_>,
        wrapped_data_key: &[u8],
        sealed: &[u8],
    ) -> Result<SecretString, VaultError> {
        let key = self.data_key(place.agent, wrapped_data_key)?.open(&place.bytes(), sealed)?;
        let key = Zeroizing::new(String::from_utf8(key.to_vec()).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            VaultError::Sealed
        })?);
        Ok(SecretString::from(key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn key(text: &str) -> ApiKey {
        ApiKey(SecretString::from(text))
    }

    #[test]
    fn a_key_fits_a_header_and_its_bounds() {
        for good in ["12345678", "sk-proj_0.1+2/3=~!", &"x".repeat(4096)] {
            assert_eq!(key(good).fault(), None, "{good}");
        }
        for bad in ["", "1234567", "sk-1234\n", "sk 12345678", " 12345678", "sk-1234é5678", "sk-123\u{0}45"] {
            assert!(key(bad).fault().is_some(), "{bad:?}");
        }
        assert_eq!(key(&"x".repeat(4097)).fault().unwrap(), "must have 8 to 4096 characters");
    }

    #[test]
    fn little_of_a_key_is_shown() {
        assert_eq!(key("12345678").prefix(), "12");
        assert_eq!(key("sk-0123456789").prefix(), "sk-");
        assert_eq!(key(&"sk-proj-".repeat(9)).prefix(), "sk-proj-");
    }

    #[test]
    fn an_error_repeats_nothing_of_a_key() {
        for wrong in ["123456789012", "-123456789012", "1234567890.12", "[\"123456789012\"]", "{\"123456789012\":1}"] {
            let error = serde_json::from_str::<ApiKey>(wrong).err().unwrap().to_string();
            assert!(!error.contains("1234567890") && error.contains("string"), "{error}");
        }
    }

    #[test]
    fn a_key_opens_for_its_agent_provider_and_origins_alone() {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::open(&Config { data_dir: directory.path().to_owned(), ..Config::default() }).unwrap();
        let (agent, other) = (AgentId::generate(), AgentId::generate());
        let origins = ["https://a.example".to_owned(), "https://b.example".to_owned()];
        let data_key = vault.new_data_key(&agent).unwrap();
        let place = KeyPlace { agent: &agent, provider: "openai", origins: &origins };
        let sealed = vault.seal_api_key(place, &data_key, &key("sk-0123456789")).unwrap();
        assert_ne!(sealed, vault.seal_api_key(place, &data_key, &key("sk-0123456789")).unwrap(), "a fresh nonce each");

        let opened = |place| vault.open_api_key(place, &data_key, &sealed).map(|key| key.expose_secret().to_owned());
        assert_eq!(opened(place).unwrap(), "sk-0123456789");
        for elsewhere in [
            KeyPlace { agent: &other, ..place },
            KeyPlace { provider: "openaihttps", ..place },
            KeyPlace { origins: &origins[..1], ..place },
            KeyPlace { origins: &[], ..place },
            KeyPlace { origins: &["https://a.example".to_owned(), "https://b.example:8443".to_owned()], ..place },
            KeyPlace { origins: &["https://a.examplehttps://b.example".to_owned()], ..place },
        ] {
            assert!(matches!(opened(elsewhere), Err(VaultError::Sealed)), "{elsewhere:?}");
        }
    }
}
