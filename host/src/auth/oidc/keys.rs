//! An issuer's public keys (RFC 7517), and what each is for.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one issuer that are looked at.
const MAX_KEYS: usize = 64;
/// All that an RSA key may have signed with (RFC 7518 §3.3, §3.5).
const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// One public key that verifies.
pub(super) struct IssuerKey {
    decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl IssuerKey {
    /// The key, if it is one that signatures are verified with, and of a kind that is known here.
    fn of(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let possible = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            // A symmetric key is a secret that anyone who can read the set could sign with.
            _ => return None,
        };
        let named = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
        let algorithms: Vec<_> = possible
            .iter()
            .copied()
            .filter(|algorithm| named.as_ref().is_none_or(|named| *named == format!("{algorithm:?}")))
            .collect();
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then_some(Self { decoding, algorithms })
    }

    /// What it verifies with.
    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// What it may have signed with: at least one algorithm, all of them asymmetric.
    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }
}

/// The keys of one answer of the issuer.
#[derive(Default)]
pub(super) struct IssuerKeys {
    by_id: HashMap<String, Arc<IssuerKey>>,
    /// The only key there is: a token need not name it.
    only: Option<Arc<IssuerKey>>,
}

/// RFC 7517 §5: keys that cannot be used are passed over.
#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<Value>,
}

impl IssuerKeys {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let document: KeySetDocument = serde_json::from_slice(bytes)?;
        let mut keys = Self::default();
        let mut count = 0;
        for jwk in document.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            let Some(key) = IssuerKey::of(&jwk).map(Arc::new) else { continue };
            count += 1;
            keys.only = (count == 1).then(|| key.clone());
            if let Some(id) = jwk.common.key_id {
                // Of two keys of one name neither is sure to be meant.
                keys.by_id.entry(id).or_insert(key);
            }
        }
        Ok(keys)
    }

    /// The key of this id; of none, the only one there is.
    pub(super) fn find(&self, id: Option<&str>) -> Option<Arc<IssuerKey>> {
        match id {
            Some(id) => self.by_id.get(id).cloned(),
            None => self.only.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A point on no curve: nothing here verifies with it.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn parsed(keys: &Value) -> IssuerKeys {
        IssuerKeys::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_for_the_algorithms_of_its_kind_alone() {
        let keys = parsed(&json!([
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "ec"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "ed", "use": "sig", "alg": "EdDSA"},
            {"kty": "RSA", "n": X, "e": "AQAB", "kid": "rsa", "alg": "RS256"},
            {"kty": "RSA", "n": X, "e": "AQAB", "kid": "any-rsa"},
        ]));
        let algorithms = |id: &str| keys.find(Some(id)).unwrap().algorithms().to_vec();
        assert_eq!(algorithms("ec"), [Algorithm::ES256]);
        assert_eq!(algorithms("ed"), [Algorithm::EdDSA]);
        assert_eq!(algorithms("rsa"), [Algorithm::RS256]);
        assert_eq!(algorithms("any-rsa"), RSA);
        assert!(keys.find(None).is_none(), "which one would it be?");
    }

    #[test]
    fn what_cannot_verify_is_passed_over() {
        let keys = parsed(&json!([
            {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "enc", "use": "enc"},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "hs", "alg": "HS256"},
            {"kty": "dance"}, 7, {},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "good"},
        ]));
        for id in ["oct", "enc", "hs"] {
            assert!(keys.find(Some(id)).is_none(), "{id}");
        }
        assert!(keys.find(Some("good")).is_some() && keys.find(None).is_some());
        assert!(IssuerKeys::parse(b"{}").is_err() && IssuerKeys::parse(b"[]").is_err());
    }
}
