//! An OpenID Connect issuer in the story's process, with keys of every kind.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Who the issuer's tokens are for.
pub const AUDIENCE: &str = "gavel";

/// A running issuer.
pub struct Issuer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The JWK set that it shows; none while it is out of order.
    shown: Mutex<Option<Vec<Value>>>,
    addr: SocketAddr,
    asked: watch::Sender<usize>,
}

/// A key of an issuer's.
pub struct IssuerKey {
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    RsaPss(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    /// An issuer that shows these keys.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(keys: &[&IssuerKey]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared { shown: Mutex::default(), addr, asked: watch::Sender::new(0) });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(key_set))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let issuer = Self { addr, shared };
        issuer.shows(keys);
        issuer
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Shows these keys from now on.
    pub fn shows(&self, keys: &[&IssuerKey]) {
        *self.shown() = Some(keys.iter().map(|key| key.public()).collect());
    }

    /// Is out of order from now on.
    pub fn fails(&self) {
        *self.shown() = None;
    }

    /// Waits until it has been asked for its keys so many times.
    pub async fn was_asked(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        let enough = asked.wait_for(|asked| *asked >= times);
        crate::within("a look at the issuer's keys", enough).await.expect("the issuer is there");
    }

    /// How often it has been asked for its keys.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.shared.asked.borrow()
    }

    /// The claims of a token that is good for an hour.
    #[must_use]
    pub fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.name(), "sub": subject, "aud": AUDIENCE, "exp": now() + 3600, "iat": now()})
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Option<Vec<Value>>> {
        self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let name = format!("http://{}", shared.addr);
    Json(json!({"jwks_uri": format!("{name}/keys"), "issuer": name, "response_types_supported": ["code"]}))
}

async fn key_set(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    shared.asked.send_modify(|asked| *asked += 1);
    match shown {
        Some(keys) => Json(json!({"keys": keys})).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[expect(clippy::missing_panics_doc, reason = "keys can be made")]
impl IssuerKey {
    /// An RSA key for `RS256`.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        Self::new(id, Pair::Rsa(Box::new(RsaKeyPair::generate(rsa::KeySize::Rsa2048).expect("an RSA key"))))
    }

    /// An RSA key for `PS256`.
    #[must_use]
    pub fn rsa_pss(id: &str) -> Self {
        Self::new(id, Pair::RsaPss(Box::new(RsaKeyPair::generate(rsa::KeySize::Rsa2048).expect("an RSA key"))))
    }

    /// A P-256 key for `ES256`.
    #[must_use]
    pub fn ec(id: &str) -> Self {
        Self::new(id, Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key")))
    }

    /// An Ed25519 key for `EdDSA`.
    #[must_use]
    pub fn ed(id: &str) -> Self {
        Self::new(id, Pair::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key")))
    }

    fn new(id: &str, pair: Pair) -> Self {
        Self { id: id.to_owned(), pair }
    }

    /// A token with these claims, as the issuer signs it.
    #[must_use]
    pub fn signs(&self, claims: &Value) -> String {
        self.signs_under(&json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"}), claims)
    }

    /// A token with these claims under any header.
    #[must_use]
    pub fn signs_under(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", encoded(signature))
    }

    /// What an attacker makes of the public key: a secret that a careless server would verify with.
    #[must_use]
    pub fn is_taken_for_a_secret(&self, claims: &Value) -> Vec<String> {
        let public = self.public();
        let parts = ["n", "x"].iter().filter_map(|part| public[part].as_str());
        let raw = parts.clone().map(|part| URL_SAFE_NO_PAD.decode(part).expect("a key's part is base64"));
        let secrets = parts.map(|part| part.as_bytes().to_vec()).chain(raw).chain([public.to_string().into_bytes()]);
        secrets.map(|secret| self.as_secret(&secret, claims)).collect()
    }

    fn as_secret(&self, secret: &[u8], claims: &Value) -> String {
        let header = json!({"alg": "HS256", "kid": self.id, "typ": "JWT"});
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", encoded(tag))
    }

    fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::RsaPss(_) => "PS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let by_rsa = |pair: &RsaKeyPair, padding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &random, message, &mut signature).expect("RSA signs");
            signature
        };
        match &self.pair {
            Pair::Rsa(pair) => by_rsa(pair, &RSA_PKCS1_SHA256),
            Pair::RsaPss(pair) => by_rsa(pair, &RSA_PSS_SHA256),
            Pair::Ec(pair) => pair.sign(&random, message).expect("ECDSA signs").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn public(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) | Pair::RsaPss(pair) => {
                let key = pair.public_key();
                let n = encoded(key.modulus().big_endian_without_leading_zero());
                let e = encoded(key.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": n, "e": e, "kid": self.id, "use": "sig"})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.id, "use": "sig", "alg": "ES256"})
            }
            Pair::Ed(pair) => {
                let x = encoded(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id})
            }
        }
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
