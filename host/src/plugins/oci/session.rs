//! The requests of one pull: where they may go, what they carry, and what is read of the answers.

use std::error::Error as _;

use futures_util::StreamExt as _;
use gavel_sandbox::provider::{Prohibited, Reach};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use oci_spec::distribution::Reference;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::login::{Challenge, TokenAnswer};
use super::{OciError, Registries};

/// Most places that a blob leads to before it is there.
const MAX_REDIRECTS: usize = 5;
/// Most bytes of a token service's answer.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// One pull from one repository.
pub(super) struct Session<'a> {
    registries: &'a Registries,
    reference: &'a Reference,
    /// `https://registry/v2/repository/`.
    base: Url,
    /// What the registry lets this server in with; it is shown to nobody else.
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    pub(super) fn new(registries: &'a Registries, reference: &'a Reference) -> Result<Self, OciError> {
        let registry = reference.resolve_registry();
        let scheme = if registries.config.insecure.contains(&registry.to_lowercase()) { "http" } else { "https" };
        let base = format!("{scheme}://{registry}/v2/{}/", reference.repository());
        let base = base.parse().map_err(|error| OciError::Reference(format!("{registry} is no registry: {error}")))?;
        Ok(Self { registries, reference, base, authorization: None })
    }

    /// Asks for something of the repository; none where it is not there.
    pub(super) async fn get(&mut self, path: &str, accept: &'static str) -> Result<Option<Response>, OciError> {
        let url = self.base.join(path).map_err(|error| self.unavailable(error.to_string()))?;
        let mut response = self.follow(url.clone(), accept).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.log_in(response.headers()).await?;
            response = self.follow(url, accept).await?;
        }
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.succeeded(&response)?;
        Ok(Some(response))
    }

    /// The whole of an answer, of which no more is held than may be.
    pub(super) async fn body(&self, response: Response, max: u64) -> Result<Vec<u8>, OciError> {
        let too_large = || self.mismatch(format!("more than {max} bytes"));
        if response.content_length().is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let (mut bytes, mut body) = (Vec::new(), response.bytes_stream());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| self.failed(error, &self.base))?;
            if (bytes.len() + chunk.len()) as u64 > max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Asks, and goes where the answer leads: registries keep blobs in object stores.
    async fn follow(&self, mut url: Url, accept: &'static str) -> Result<Response, OciError> {
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client(&url)?.get(url.clone()).header(ACCEPT, accept);
            if let Some(authorization) = self.authorization.as_ref().filter(|_| url.origin() == self.base.origin()) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.map_err(|error| self.failed(error, &url))?;
            let Some(location) = redirect(&response) else { return Ok(response) };
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| self.unavailable("it leads to another place and does not say which".to_owned()))?;
        }
        Err(self.unavailable(format!("it leads to more than {MAX_REDIRECTS} other places")))
    }

    /// The client for a URL: over TLS and to public addresses only, unless the operator names the host.
    fn client(&self, url: &Url) -> Result<&Client, OciError> {
        let Registries { config, public, private_allowed, .. } = self.registries;
        let host = authority(url);
        let insecure = config.insecure.contains(&host);
        match url.scheme() {
            "https" => {}
            "http" if insecure => {}
            "http" => return Err(OciError::Insecure(host)),
            other => return Err(self.unavailable(format!("it leads to a URL of the scheme {other}"))),
        }
        let allow_private = insecure || config.private.contains(&host);
        if !(Reach { allow_private }).admits(url) {
            return Err(OciError::Private(host));
        }
        Ok(if allow_private { private_allowed } else { public })
    }

    /// Gets what the registry wants to see: a token of the service that it names, or name and password.
    async fn log_in(&mut self, headers: &HeaderMap) -> Result<(), OciError> {
        let login = self.registries.logins.get(self.reference.registry());
        let credential = match (Challenge::of(headers), login) {
            (Some(Challenge::Bearer { realm, service }), _) => {
                let token = self.token(realm, service).await?;
                format!("Bearer {}", token.expose_secret())
            }
            (Some(Challenge::Basic), Some(login)) => login.basic(),
            (Some(Challenge::Basic), None) | (None, _) => return Err(self.unauthorized()),
        };
        let credential = SecretString::from(credential);
        let mut authorization = HeaderValue::try_from(credential.expose_secret())
            .map_err(|_| self.unavailable("its token cannot stand in a header".to_owned()))?;
        authorization.set_sensitive(true);
        self.authorization = Some(authorization);
        Ok(())
    }

    /// The token service is the registry's choice; its login goes there and nowhere else, over TLS as to the registry.
    async fn token(&self, mut realm: Url, service: Option<String>) -> Result<SecretString, OciError> {
        realm.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.reference.repository()));
        if let Some(service) = service {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client(&realm)?.get(realm.clone());
        if let Some(login) = self.registries.logins.get(self.reference.registry()) {
            let mut basic = HeaderValue::try_from(login.basic()).map_err(|_| self.unauthorized())?;
            basic.set_sensitive(true);
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request.send().await.map_err(|error| self.failed(error, &realm))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(self.unavailable("its token service is not there".to_owned()));
        }
        self.succeeded(&response)?;
        let answer = zeroize::Zeroizing::new(self.body(response, MAX_TOKEN_BYTES).await?);
        let answer: Option<TokenAnswer> = serde_json::from_slice(&answer).ok();
        answer
            .and_then(TokenAnswer::token)
            .ok_or_else(|| self.unavailable("its token service gave no token".to_owned()))
    }

    fn succeeded(&self, response: &Response) -> Result<(), OciError> {
        let registry = self.registry();
        match response.status() {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unauthorized()),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds =
                    response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
                Err(OciError::RateLimited { registry, retry_after: seconds })
            }
            status => Err(self.unavailable(format!("it answered {}", status.as_u16()))),
        }
    }

    fn failed(&self, error: reqwest::Error, url: &Url) -> OciError {
        let error = error.without_url();
        let mut cause = error.source();
        let mut words = error.to_string();
        while let Some(inner) = cause {
            if inner.is::<Prohibited>() {
                return OciError::Private(authority(url));
            }
            words = inner.to_string();
            cause = inner.source();
        }
        if error.is_timeout() {
            return OciError::Timeout { registry: self.registry(), within: super::CONNECT_DEADLINE };
        }
        self.unavailable(words)
    }

    fn unauthorized(&self) -> OciError {
        let login = self.registries.logins.contains_key(self.reference.registry());
        let detail = if login {
            "it refuses the login of plugins.oci.auth"
        } else {
            "it wants a login, and plugins.oci.auth has none for it"
        };
        OciError::Unauthorized { registry: self.registry(), detail }
    }

    pub(super) fn unavailable(&self, detail: String) -> OciError {
        OciError::Unavailable { registry: self.registry(), detail }
    }

    pub(super) fn mismatch(&self, detail: String) -> OciError {
        OciError::Mismatch { registry: self.registry(), detail }
    }

    fn registry(&self) -> String {
        self.reference.registry().to_owned()
    }
}

/// Where an answer leads, if it leads elsewhere; the inner none where it does not say.
fn redirect(response: &Response) -> Option<Option<&str>> {
    let elsewhere = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    elsewhere.then(|| response.headers().get(LOCATION).and_then(|location| location.to_str().ok()))
}

/// Host and port as the configuration writes them.
fn authority(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}
