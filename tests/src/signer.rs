//! Someone who signs plugins, as cosign and openssl do.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stands in front of a key's bytes in its `SubjectPublicKeyInfo` (RFC 8410, RFC 5480).
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// A signer with a key of their own.
pub enum Signer {
    /// With a key of `openssl genpkey -algorithm ed25519`.
    Ed25519(Ed25519KeyPair),
    /// With a key of `cosign generate-key-pair`.
    P256(EcdsaKeyPair),
}

#[expect(clippy::missing_panics_doc, reason = "keys can be made")]
impl Signer {
    /// One with an Ed25519 key.
    #[must_use]
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key"))
    }

    /// One with an ECDSA key.
    #[must_use]
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a P-256 key"))
    }

    /// A signature, as base64.
    #[must_use]
    pub fn signs(&self, message: &[u8]) -> String {
        STANDARD.encode(self.signs_raw(message))
    }

    /// A signature as it is.
    #[must_use]
    pub fn signs_raw(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).expect("ECDSA signs").as_ref().to_vec(),
        }
    }

    /// The public key as PEM.
    #[must_use]
    pub fn public(&self) -> String {
        let der = match self {
            Self::Ed25519(pair) => [ED25519, pair.public_key().as_ref()].concat(),
            Self::P256(pair) => [P256, pair.public_key().as_ref()].concat(),
        };
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Configuration that trusts this signer, and demands a signature or not.
    #[must_use]
    pub fn trusted(&self, required: bool) -> String {
        format!("[plugins.trust]\nrequired = {required}\nkeys = ['''\n{}''']\n", self.public())
    }
}
