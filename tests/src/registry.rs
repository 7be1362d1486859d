//! An OCI registry in the story's process: the pull half of the distribution specification, and what goes wrong with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::serve::Listener;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use gavel_log::Hash;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Authority, Signer};

/// What a component's layer is called.
pub const WASM_LAYER: &str = "application/wasm";
/// The token that the registry's service gives.
const TOKEN: &str = "registry-token-zebra";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const DIGEST: &str = "docker-content-digest";

/// A running registry.
pub struct Registry {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    addr: SocketAddr,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By repository, and there by tag and by digest.
    manifests: BTreeMap<(String, String), Bytes>,
    blobs: BTreeMap<String, Bytes>,
    access: Access,
    fault: Option<Fault>,
    /// What was asked of anything, and with which credential.
    asked: Vec<(String, Option<String>)>,
}

/// Whom a registry lets in.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Everyone.
    #[default]
    Open,
    /// Everyone who has got a token first.
    Token,
    /// Who has got a token with this name and password.
    Login(&'static str, &'static str),
    /// Who shows this name and password.
    Basic(&'static str, &'static str),
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Whatever is asked for is answered so.
    Status(u16),
    /// Blobs are others than they should be.
    OtherBlobs,
    /// Manifests are others than they should be.
    OtherManifests,
    /// Blobs have no end.
    EndlessBlobs,
    /// Manifests have no end.
    EndlessManifests,
    /// Blobs do not come.
    Stall,
    /// Blobs are said to be elsewhere: there, and the blob's path behind it.
    Elsewhere(String),
    /// Tokens are said to be had there.
    TokensFrom(String),
}

/// An artifact as it was pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// `127.0.0.1:port/repository:tag`.
    pub by_tag: String,
    /// `127.0.0.1:port/repository@sha256:…`.
    pub by_digest: String,
    repository: String,
    manifest: Hash,
}

impl Registry {
    /// An empty registry that lets everyone in.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        Self::serve(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port"))
    }

    /// The same over TLS, with a certificate of this authority's.
    pub async fn start_with_tls(authority: &Authority) -> Self {
        Self::serve(authority.listen().await)
    }

    fn serve(listener: impl Listener<Addr = SocketAddr>) -> Self {
        let addr = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared { addr, kept: Mutex::default() });
        let router = Router::new()
            .route("/token", get(token))
            .route("/v2/{*path}", get(of_repository))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { addr, shared }
    }

    /// What references call it.
    #[must_use]
    pub fn name(&self) -> String {
        self.addr.to_string()
    }

    /// Configuration under which a server pulls from it.
    #[must_use]
    pub fn allowed(&self) -> String {
        format!("[plugins.oci]\ninsecure = [\"{}\"]\n", self.name())
    }

    /// Takes a component in, as `wkg oci push` would push it.
    pub fn push(&self, repository: &str, tag: &str, component: &[u8]) -> Pushed {
        let layer = self.push_blob(WASM_LAYER, component);
        self.push_layers(repository, tag, &[layer])
    }

    /// Takes an artifact of these layers in.
    pub fn push_layers(&self, repository: &str, tag: &str, layers: &[Value]) -> Pushed {
        let config = self.push_blob("application/vnd.wasm.config.v0+json", b"{}");
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.push_manifest(repository, tag, &manifest)
    }

    /// Takes a manifest in, whatever it says.
    pub fn push_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Pushed {
        let bytes = Bytes::from(manifest.to_string());
        let manifest = Hash::of(&bytes);
        let mut kept = self.shared.kept();
        for name in [tag.to_owned(), manifest.tagged()] {
            kept.manifests.insert((repository.to_owned(), name), bytes.clone());
        }
        let at = format!("{}/{repository}", self.addr);
        let by_digest = format!("{at}@{}", manifest.tagged());
        Pushed { by_tag: format!("{at}:{tag}"), by_digest, repository: repository.to_owned(), manifest }
    }

    /// Takes a blob in: its descriptor.
    pub fn push_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Hash::of(bytes).tagged();
        self.shared.kept().blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Takes in what `cosign sign` pushes: a signature by this key of a payload that names `named`, kept as one of `of`.
    pub fn sign(&self, of: &Pushed, named: &Pushed, signer: &Signer) {
        let image = json!({"docker-manifest-digest": named.manifest.tagged()});
        let critical = json!({"identity": {"docker-reference": named.repository}, "image": image,
                              "type": "cosign container image signature"});
        let payload = json!({"critical": critical, "optional": null}).to_string();
        let mut layer = self.push_blob(SIMPLE_SIGNING, payload.as_bytes());
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signer.signs(payload.as_bytes())});
        self.push_layers(&of.repository, &format!("sha256-{}.sig", of.manifest), &[layer]);
    }

    /// Lets only some in from now on.
    pub fn lets_in(&self, access: Access) {
        self.shared.kept().access = access;
    }

    /// Goes wrong from now on.
    pub fn fails(&self, fault: Fault) {
        self.shared.kept().fault = Some(fault);
    }

    /// Is well again.
    pub fn recovers(&self) {
        self.shared.kept().fault = None;
    }

    /// The paths that were asked for, each with the credential that was shown.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Option<String>)> {
        self.shared.kept().asked.clone()
    }
}

impl Shared {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says what stands against answering it.
    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Fault>, Box<Response>> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut kept = self.kept();
        kept.asked.push((path.to_owned(), shown.clone()));
        if let Some(Fault::Status(status)) = kept.fault {
            let status = StatusCode::from_u16(status).expect("a status");
            return Err(Box::new((status, [(header::RETRY_AFTER, "7")], "no").into_response()));
        }
        let realm = match &kept.fault {
            Some(Fault::TokensFrom(realm)) => realm.clone(),
            _ => format!("http://{}/token", self.addr),
        };
        let bearer = format!(r#"Bearer realm="{realm}",service="zebra",scope="repository:all:pull""#);
        let (wanted, challenge) = match &kept.access {
            Access::Open => return Ok(kept.fault.clone()),
            Access::Token | Access::Login(..) => (format!("Bearer {TOKEN}"), bearer),
            Access::Basic(name, password) => (basic(name, password), r#"Basic realm="zebra""#.to_owned()),
        };
        if shown.as_ref() == Some(&wanted) {
            return Ok(kept.fault.clone());
        }
        Err(Box::new((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()))
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

async fn token(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut kept = shared.kept();
    kept.asked.push((format!("/token?{}", query.unwrap_or_default()), shown.clone()));
    match &kept.access {
        Access::Login(name, password) if shown != Some(basic(name, password)) => {
            StatusCode::UNAUTHORIZED.into_response()
        }
        _ => Json(json!({"token": TOKEN, "expires_in": 300})).into_response(),
    }
}

async fn of_repository(State(shared): State<Arc<Shared>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let fault = match shared.admit(&format!("/v2/{path}"), &headers) {
        Ok(fault) => fault,
        Err(refused) => return *refused,
    };
    if let Some((repository, named)) = path.split_once("/manifests/") {
        return shared.manifest(repository, named, fault.as_ref());
    }
    let Some((_, digest)) = path.split_once("/blobs/") else { return StatusCode::NOT_FOUND.into_response() };
    if matches!(fault, Some(Fault::Stall)) {
        return std::future::pending().await;
    }
    shared.blob(&path, digest, fault.as_ref())
}

impl Shared {
    fn manifest(&self, repository: &str, named: &str, fault: Option<&Fault>) -> Response {
        let kept = self.kept();
        let Some(bytes) = kept.manifests.get(&(repository.to_owned(), named.to_owned())) else {
            let errors = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]});
            return (StatusCode::NOT_FOUND, Json(errors)).into_response();
        };
        let headers = [(header::CONTENT_TYPE.as_str(), MANIFEST.to_owned()), (DIGEST, Hash::of(bytes).tagged())];
        match fault {
            Some(Fault::OtherManifests) => (headers, [&bytes[..], b" "].concat()).into_response(),
            Some(Fault::EndlessManifests) => (headers, endless()).into_response(),
            _ => (headers, bytes.clone()).into_response(),
        }
    }

    fn blob(&self, path: &str, digest: &str, fault: Option<&Fault>) -> Response {
        let kept = self.kept();
        let Some(bytes) = kept.blobs.get(digest) else { return StatusCode::NOT_FOUND.into_response() };
        match fault {
            Some(Fault::OtherBlobs) => {
                let mut other = bytes.to_vec();
                other[0] ^= 1;
                other.into_response()
            }
            Some(Fault::EndlessBlobs) => endless().into_response(),
            Some(Fault::Elsewhere(place)) => {
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{place}/v2/{path}"))]).into_response()
            }
            _ => bytes.clone().into_response(),
        }
    }
}

fn endless() -> Body {
    let chunk = Bytes::from(vec![b' '; 64 * 1024]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, std::convert::Infallible>(chunk.clone())))
}
