//! What an operator lets a provider do. A manifest only asks; a grant is what counts.

use std::str::FromStr;

use http::header::{self, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::manifest::{Asks, Manifest};
use super::origin::{Origin, OriginError};

/// Stands for the key in a credential's format.
const KEY: &str = "{key}";
/// Stands for the operator's own origin in a manifest.
pub(super) const BASE_URL: &str = "{base-url}";
/// Most bytes of a credential's format.
const MAX_FORMAT_BYTES: usize = 256;

/// Why a grant cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GrantError {
    /// A header that may not carry a credential.
    #[error("the header `{0}` may not carry a credential")]
    Header(String),
    /// The format does not name the key exactly once, or is no header value.
    #[error("the credential's format must be a header value with {{key}} in it once")]
    Format,
    /// The manifest asks for the operator's own origin, and the configuration has no usable `base_url`.
    #[error("the configuration has no usable base_url")]
    BaseUrl,
    /// An origin that cannot be read.
    #[error("the origin `{0}`: {1}")]
    Origin(String, OriginError),
}

/// Which header carries the key, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialGrant {
    /// Never hop-by-hop, `host`, `content-*` or `cookie`: [`ProviderRuntime::bind`] checks it.
    ///
    /// [`ProviderRuntime::bind`]: super::ProviderRuntime::bind
    pub header: HeaderName,
    /// The header's value with `{key}` where the key goes, such as `Bearer {key}`.
    pub format: String,
    /// Whether a chat without a key is refused at once.
    pub required: bool,
}

impl CredentialGrant {
    /// A checked grant.
    ///
    /// # Errors
    /// If the header may not carry a credential or the format does not hold `{key}` once.
    pub fn new(header: &str, format: &str, required: bool) -> Result<Self, GrantError> {
        let name = HeaderName::from_str(header).map_err(|_| GrantError::Header(header.chars().take(64).collect()))?;
        let grant = Self { header: name, format: format.to_owned(), required };
        grant.check()?;
        Ok(grant)
    }

    pub(super) fn check(&self) -> Result<(), GrantError> {
        if !may_carry_credential(&self.header) {
            return Err(GrantError::Header(self.header.as_str().to_owned()));
        }
        let visible = self.format.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if self.format.len() > MAX_FORMAT_BYTES || !visible || self.format.matches(KEY).count() != 1 {
            return Err(GrantError::Format);
        }
        Ok(())
    }

    /// The header's value for a key; none if the key holds what no header value may.
    pub(super) fn value(&self, key: &SecretString) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.format.replace(KEY, key.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn may_carry_credential(name: &HeaderName) -> bool {
    let reserved = [header::HOST, header::COOKIE, header::SET_COOKIE, header::EXPECT];
    !is_hop_by_hop(name) && !reserved.contains(name) && !name.as_str().starts_with("content-")
}

/// Headers of one connection (RFC 9110 §7.6.1), which no guest sets and no credential uses.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// What a bound provider may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The only origins that it may call.
    pub origins: Vec<Origin>,
    /// How the host adds the key; none: it never does.
    pub credential: Option<CredentialGrant>,
    /// Whether those origins may be at loopback, private and other special-purpose addresses.
    pub allow_private: bool,
}

impl Grant {
    /// Grants exactly what a manifest asks for, public addresses only; meant for bundled plugins.
    ///
    /// `{base-url}` becomes the origin of the configuration's `base_url`, else of that property's default in the
    /// manifest's schema.
    ///
    /// # Errors
    /// If an origin cannot be read, `base_url` is needed and missing, or the credential's header is not allowed.
    pub fn from_manifest(manifest: &Manifest, config: &Value) -> Result<Self, GrantError> {
        Self::of(&manifest.asks(), config)
    }

    /// The same of what a manifest asks for.
    ///
    /// # Errors
    /// As above.
    pub fn of(asks: &Asks, config: &Value) -> Result<Self, GrantError> {
        let origins = asks.origins.iter().map(|asked| {
            if asked == BASE_URL {
                let text = config.get("base_url").and_then(Value::as_str).or(asks.base_url.as_deref());
                return base_url(text.ok_or(GrantError::BaseUrl)?);
            }
            asked.parse().map_err(|error| GrantError::Origin(asked.clone(), error))
        });
        let credential = asks.credential.as_ref();
        Ok(Self {
            origins: origins.collect::<Result<_, _>>()?,
            credential: credential
                .map(|asked| CredentialGrant::new(&asked.header, &asked.format, asked.required))
                .transpose()?,
            allow_private: false,
        })
    }
}

/// The origin of a `base_url`.
fn base_url(text: &str) -> Result<Origin, GrantError> {
    let url = Url::parse(text).map_err(|_| GrantError::BaseUrl)?;
    Origin::of(&url).map_err(|error| GrantError::Origin(text.chars().take(256).collect(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_connection_and_content_carry_no_credential() {
        for header in [
            "Host",
            "cookie",
            "content-type",
            "content-length",
            "Connection",
            "te",
            "upgrade",
            "transfer-encoding",
            "a b",
        ] {
            assert!(matches!(CredentialGrant::new(header, "{key}", true), Err(GrantError::Header(_))), "{header}");
        }
        assert!(CredentialGrant::new("authorization", "Bearer {key}", true).is_ok());
        assert!(CredentialGrant::new("x-api-key", "{key}", true).is_ok());
    }

    #[test]
    fn the_format_names_the_key_once() {
        for format in ["Bearer", "{key}{key}", "{key}\r\nx: y", "é{key}"] {
            assert_eq!(CredentialGrant::new("x-api-key", format, false), Err(GrantError::Format), "{format}");
        }
    }

    #[test]
    fn a_key_that_would_split_the_header_gives_no_value() {
        let grant = CredentialGrant::new("authorization", "Bearer {key}", true).unwrap();
        assert!(grant.value(&SecretString::from("a\r\nhost: b")).is_none());
        let value = grant.value(&SecretString::from("sk-1")).unwrap();
        assert_eq!((value.to_str().unwrap(), value.is_sensitive()), ("Bearer sk-1", true));
    }
}
