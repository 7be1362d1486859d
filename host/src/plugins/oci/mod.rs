//! Plugins out of OCI registries: the pull half of the OCI distribution specification 1.1, in so far as one component
//! needs it.
//!
//! An administrator asks for a pull, and everything else is the registry's choice: where it redirects to, which service
//! gives tokens, what a manifest says and how large anything is. So each URL is checked before it is asked: TLS, and a
//! public address, in the resolver too, unless the operator named its host ([`OciConfig`]). Logins are shown to the
//! registry and its token service alone. Every size is bounded before it is held, every digest is computed here, and all
//! of it has one deadline.
//!
//! `oci-client` bounds neither manifests nor redirects, and lets nobody choose its resolver; so the requests are our own.

mod artifact;
mod error;
mod login;
mod session;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_log::Hash;
use gavel_sandbox::provider::Reach;
use oci_spec::distribution::Reference;
use reqwest::Client;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::artifact::{Blob, MAX_PAYLOAD_BYTES};
use self::session::Session;
use super::trust::SignedPayload;
use crate::config::{OciConfig, RegistryLogin};

pub use error::OciError;

/// Most bytes of a manifest. Registries take 4 MiB; a plugin's has some hundred bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Most pulls at once: each holds a component.
const MAX_PULLS: usize = 4;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The kinds of manifests that registries know. An index is asked for too, so as to say that it is one.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.oci.image.index.v1+json";
const ANYTHING: &str = "*/*";
/// What a registry says that a manifest's digest is.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Where plugins are pulled from.
pub struct Registries {
    config: OciConfig,
    logins: BTreeMap<String, Login>,
    public: Client,
    private_allowed: Client,
    pulls: Semaphore,
}

/// A login whose password was found in the environment.
struct Login {
    username: String,
    password: SecretString,
}

/// A plugin as a registry gave it.
pub struct Pulled {
    /// The component. Its digest is the one that the manifest names.
    pub bytes: Vec<u8>,
    /// The manifest's digest.
    pub manifest: Hash,
    /// Where exactly it came from: the reference, with the manifest's digest.
    pub source: String,
    /// What is signed of it there; none where that was not asked for.
    pub signatures: Vec<SignedPayload>,
}

impl Registries {
    /// Reads the logins out of the environment.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn open(config: &OciConfig) -> Result<Self, reqwest::Error> {
        let mut logins = BTreeMap::new();
        for (registry, login) in &config.auth {
            match Login::find(login) {
                Some(found) => drop(logins.insert(registry.clone(), found)),
                None => tracing::warn!(registry, variable = login.password_env, "a registry's password is not set"),
            }
        }
        Ok(Self {
            logins,
            config: config.clone(),
            public: client(false)?,
            private_allowed: client(true)?,
            pulls: Semaphore::new(MAX_PULLS),
        })
    }

    /// Pulls one plugin: `registry/repository:tag` or `registry/repository@sha256:…`, with what is signed of it where
    /// that is wanted.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn pull(&self, reference: &str, signatures: bool) -> Result<Pulled, OciError> {
        let reference = parsed(reference)?;
        let _permit = self.pulls.try_acquire().map_err(|_| OciError::Busy)?;
        let within = Duration::from_millis(self.config.timeout_ms);
        let registry = || reference.registry().to_owned();
        timeout(within, self.pulled(&reference, signatures))
            .await
            .unwrap_or_else(|_| Err(OciError::Timeout { registry: registry(), within }))
    }

    async fn pulled(&self, reference: &Reference, signatures: bool) -> Result<Pulled, OciError> {
        let mut session = Session::new(self, reference)?;
        let wanted = match reference.digest() {
            Some(digest) => Some(sha256(digest)?),
            None => None,
        };
        let named = wanted.map_or_else(|| reference.tag().unwrap_or_default().to_owned(), |digest| digest.tagged());
        let (bytes, manifest) =
            session.manifest(&named, wanted).await?.ok_or_else(|| OciError::NotFound(reference.to_string()))?;
        let component = session.blob(artifact::component(&bytes)?).await?;
        let signatures = if signatures { session.signatures(manifest).await? } else { Vec::new() };
        Ok(Pulled { bytes: component, manifest, source: exactly(reference, manifest), signatures })
    }
}

impl Session<'_> {
    /// A manifest by tag or digest, and its digest; none where there is none.
    async fn manifest(&mut self, named: &str, wanted: Option<Hash>) -> Result<Option<(Vec<u8>, Hash)>, OciError> {
        let Some(response) = self.get(&format!("manifests/{named}"), MANIFESTS).await? else { return Ok(None) };
        let said = response.headers().get(CONTENT_DIGEST).and_then(|digest| Some(digest.to_str().ok()?.to_owned()));
        let bytes = self.body(response, MAX_MANIFEST_BYTES).await?;
        let digest = Hash::of(&bytes);
        let said = said.filter(|said| said.starts_with("sha256:"));
        for expected in wanted.map(|wanted| wanted.tagged()).into_iter().chain(said) {
            if expected != digest.tagged() {
                let detail = format!("the manifest has the digest {} and not {expected}", digest.tagged());
                return Err(self.mismatch(detail));
            }
        }
        Ok(Some((bytes, digest)))
    }

    async fn blob(&mut self, blob: Blob) -> Result<Vec<u8>, OciError> {
        let Blob { digest, size } = blob;
        let response = self.get(&format!("blobs/{}", digest.tagged()), ANYTHING).await?;
        let response = response.ok_or_else(|| self.mismatch(format!("the blob {} is missing", digest.tagged())))?;
        let bytes = self.body(response, size).await?;
        let found = Hash::of(&bytes);
        if found != digest {
            return Err(self.mismatch(format!(
                "the blob has the digest {} and not {}",
                found.tagged(),
                digest.tagged()
            )));
        }
        Ok(bytes)
    }

    /// Cosign keeps them in an image of their own, whose tag is made of the signed manifest's digest.
    async fn signatures(&mut self, of: Hash) -> Result<Vec<SignedPayload>, OciError> {
        let Some((manifest, _)) = self.manifest(&format!("sha256-{of}.sig"), None).await? else {
            return Ok(Vec::new());
        };
        let found = artifact::signatures(&manifest).map_err(|detail| {
            self.unavailable(format!("what it has as the artifact's signatures is not readable: {detail}"))
        })?;
        let mut signatures = Vec::with_capacity(found.len());
        for (payload, signature) in found {
            debug_assert!(payload.size <= MAX_PAYLOAD_BYTES);
            signatures.push(SignedPayload { payload: self.blob(payload).await?, signature });
        }
        Ok(signatures)
    }
}

impl Login {
    fn find(login: &RegistryLogin) -> Option<Self> {
        let password = std::env::var(&login.password_env).ok().filter(|password| !password.is_empty())?;
        Some(Self { username: login.username.clone(), password: password.into() })
    }

    fn basic(&self) -> String {
        let pair = zeroize::Zeroizing::new(format!("{}:{}", self.username, self.password.expose_secret()));
        format!("Basic {}", STANDARD.encode(pair.as_bytes()))
    }
}

/// Names of Docker Hub may leave their registry out. Here they may not: a name without one is a slip more often than a wish.
fn parsed(text: &str) -> Result<Reference, OciError> {
    let reference: Reference = text.parse().map_err(|error| OciError::Reference(format!("{text:?}: {error}")))?;
    let first = text.split('/').next().unwrap_or_default();
    if text.contains('/') && (first.contains(['.', ':']) || first == "localhost") {
        return Ok(reference);
    }
    Err(OciError::Reference(format!(
        "{text:?} names no registry: expected registry/repository:tag or registry/repository@sha256:…"
    )))
}

/// A reference with the manifest's digest, behind the tag where it has one.
fn exactly(reference: &Reference, manifest: Hash) -> String {
    let tag = reference.tag().map_or_else(String::new, |tag| format!(":{tag}"));
    format!("{}/{}{tag}@{}", reference.registry(), reference.repository(), manifest.tagged())
}

fn sha256(digest: &str) -> Result<Hash, OciError> {
    Hash::parse_tagged(digest)
        .map_err(|_| OciError::Reference(format!("{digest} is no SHA-256 digest in lower-case hex digits")))
}

fn client(allow_private: bool) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .dns_resolver(Reach { allow_private })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_registry() {
        let digest = Hash::of(b"x").tagged();
        for good in ["registry.example.org/team/pii:1.2.0", "127.0.0.1:5000/pii", "localhost/pii:1"] {
            parsed(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        let pinned = parsed(&format!("ghcr.io/team/pii:1@{digest}")).unwrap();
        assert_eq!((pinned.tag(), pinned.digest()), (Some("1"), Some(digest.as_str())));
        for bad in [
            "",
            "pii",
            "pii:1",
            "team/pii:1",
            "https://ghcr.io/team/pii:1",
            "ghcr.io/Team/pii:1",
            "ghcr.io/",
            "ghcr.io:80",
        ] {
            assert!(matches!(parsed(bad), Err(OciError::Reference(_))), "{bad}");
        }
        assert!(sha256("sha512:00").is_err());
    }
}
