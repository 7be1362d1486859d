//! Asks an issuer for its keys.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::Url;

use super::keys::IssuerKeys;
use crate::config::{OidcConfig, is_secure};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);

/// Why an issuer's keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The issuer answered something else than 200.
    #[error("the issuer answered {0}")]
    Status(u16),
    /// The answer is larger than any of an issuer's.
    #[error("the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// The answer is not what it should be.
    #[error("the answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The discovery document is another issuer's (OpenID Connect Discovery §4.3).
    #[error("the discovery document is of the issuer {0}")]
    AnotherIssuer(String),
    /// The keys would be fetched in clear over a network.
    #[error("{0} is neither https nor on this machine")]
    Insecure(Url),
    /// No URL.
    #[error("no URL of keys: {0}")]
    Url(#[from] url::ParseError),
}

/// Where an issuer's keys are.
pub(super) struct Source {
    client: Client,
    issuer: String,
    keys: Option<Url>,
}

/// What is read of a discovery document (OpenID Connect Discovery §3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

impl Source {
    pub(super) fn new(config: &OidcConfig) -> Result<Self, FetchError> {
        let client = Client::builder()
            .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(DEADLINE)
            .build()?;
        Ok(Self { client, issuer: config.issuer.clone(), keys: config.jwks_url.clone() })
    }

    /// The keys as they are now.
    pub(super) async fn keys(&self) -> Result<IssuerKeys, FetchError> {
        let url = match &self.keys {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        Ok(IssuerKeys::parse(&self.get(url).await?)?)
    }

    async fn discovered(&self) -> Result<Url, FetchError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/')).parse()?;
        let discovery: Discovery = serde_json::from_slice(&self.get(url).await?)?;
        if discovery.issuer != self.issuer {
            return Err(FetchError::AnotherIssuer(discovery.issuer));
        }
        Ok(discovery.jwks_uri)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, FetchError> {
        if !is_secure(&url) {
            return Err(FetchError::Insecure(url));
        }
        let response = self.client.get(url).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let (mut bytes, mut body) = (Vec::new(), response.bytes_stream());
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}
