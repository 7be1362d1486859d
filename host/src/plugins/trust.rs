//! Whose plugins are accepted: signatures by keys that the operator trusts.
//!
//! A signature is over the component's bytes ([`Evidence::Detached`]: what `cosign sign-blob` and `openssl pkeyutl` make),
//! or it is cosign's for an artifact in a registry ([`Evidence::Registry`]): over a small payload that names the
//! artifact's manifest, which names the bytes. A signature that comes with a plugin has to be good, whether or not the
//! operator demands one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_log::Hash;
use serde::Deserialize;

use crate::config::TrustConfig;

/// Most bytes of a detached signature, as base64 or not.
pub const MAX_SIGNATURE_BYTES: u64 = 4 * 1024;
/// Most bytes of a file of keys.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;
/// What PEM calls a public key, whatever its algorithm (RFC 7468).
const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Bytes of an Ed25519 signature.
const ED25519_BYTES: usize = 64;
/// Digits of a key's short name.
const KEY_ID_DIGITS: usize = 16;

/// The keys that the operator trusts, and whether a plugin needs a signature by one of them.
pub struct Trust {
    required: bool,
    keys: Vec<TrustedKey>,
}

struct TrustedKey {
    id: String,
    key: ParsedPublicKey,
    kind: KeyKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Ed25519,
    P256,
}

/// What a plugin shows for itself.
#[derive(Debug)]
pub enum Evidence {
    /// Nothing.
    None,
    /// A signature of its bytes: as base64, or as it is.
    Detached(Vec<u8>),
    /// What is signed in the registry that it was pulled from.
    Registry {
        /// The digest of the manifest that it was pulled by.
        manifest: Hash,
        /// None where nothing is signed.
        signatures: Vec<SignedPayload>,
    },
}

/// One of cosign's signatures in a registry.
#[derive(Debug)]
pub struct SignedPayload {
    /// The JSON that is signed, to the byte.
    pub payload: Vec<u8>,
    /// The signature as base64.
    pub signature: String,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("plugins.trust.key_files: {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No PEM, or no key of a kind that is known.
    #[error("{place}: {detail}")]
    Key {
        /// The key of the configuration, or the file.
        place: String,
        /// What is wrong.
        detail: String,
    },
}

/// Why a plugin is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none, and there has to be one.
    #[error("the plugin is not signed, and this installation accepts signed ones alone")]
    Unsigned,
    /// There is one, and nothing to verify it with.
    #[error("a signature was given, and this installation has no key to verify it with")]
    NoKeys,
    /// It is neither base64 nor of a form that a trusted key makes.
    #[error("the signature is neither an Ed25519 nor an ECDSA P-256 signature")]
    Malformed,
    /// It is not of these bytes, or by another key.
    #[error("the signature is not one of these bytes by a trusted key")]
    Untrusted,
    /// It is good, and of something else.
    #[error("the signature is of another manifest than the one that was pulled")]
    AnotherManifest,
}

/// What is read of cosign's payload, "simple signing": the rest of it is signed too, and says nothing that counts here.
#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    manifest: String,
}

impl Trust {
    /// Reads the keys of the configuration.
    ///
    /// # Errors
    /// Which of them cannot be read or is no key.
    pub fn open(config: &TrustConfig) -> Result<Self, TrustError> {
        let mut keys = Vec::new();
        for (index, text) in config.keys.iter().enumerate() {
            keys.extend(keys_of(text.as_bytes(), &format!("plugins.trust.keys[{index}]"))?);
        }
        for path in &config.key_files {
            let bytes = read_bounded(path).map_err(|source| TrustError::File { path: path.clone(), source })?;
            keys.extend(keys_of(&bytes, &path.display().to_string())?);
        }
        Ok(Self { required: config.required, keys })
    }

    /// Whether signatures say anything here: there are keys to verify them with.
    #[must_use]
    pub fn verifies(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a plugin that was accepted as signed by this key, or as unsigned, still would be.
    ///
    /// # Errors
    /// Why not.
    pub fn still_accepts(&self, signed_by: Option<&str>) -> Result<(), SignatureError> {
        if !self.required || signed_by.is_some_and(|id| self.keys.iter().any(|key| key.id == id)) {
            return Ok(());
        }
        Err(signed_by.map_or(SignatureError::Unsigned, |_| SignatureError::Untrusted))
    }

    /// Whether a plugin is accepted, and the short name of the key that signed it. It hashes all of the plugin.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, bytes: &[u8], evidence: &Evidence) -> Result<Option<String>, SignatureError> {
        match evidence {
            Evidence::Detached(_) if self.keys.is_empty() => Err(SignatureError::NoKeys),
            Evidence::Detached(signature) => self.detached(bytes, signature).map(Some),
            Evidence::Registry { manifest, signatures } if !self.keys.is_empty() && !signatures.is_empty() => {
                self.in_registry(*manifest, signatures).map(Some)
            }
            _ if self.required => Err(SignatureError::Unsigned),
            _ => Ok(None),
        }
    }

    fn detached(&self, bytes: &[u8], signature: &[u8]) -> Result<String, SignatureError> {
        let signature = decoded(signature);
        let signer = self.signer(bytes, &signature)?.ok_or(SignatureError::Untrusted)?;
        Ok(signer.id.clone())
    }

    /// One good signature of this manifest is enough: others may be by people whom nobody here knows.
    fn in_registry(&self, manifest: Hash, signatures: &[SignedPayload]) -> Result<String, SignatureError> {
        let mut why = SignatureError::Untrusted;
        for SignedPayload { payload, signature } in signatures {
            let signer = self.signer(payload, &decoded(signature.as_bytes()));
            let Ok(Some(signer)) = signer else { continue };
            let names = serde_json::from_slice::<SimpleSigning>(payload).ok();
            if names.is_some_and(|signed| signed.critical.image.manifest == manifest.tagged()) {
                return Ok(signer.id.clone());
            }
            why = SignatureError::AnotherManifest;
        }
        Err(why)
    }

    /// The trusted key that made this signature of this message, if one did.
    fn signer(&self, message: &[u8], signature: &[u8]) -> Result<Option<&TrustedKey>, SignatureError> {
        let kind = kind_of(signature).ok_or(SignatureError::Malformed)?;
        let mut keys = self.keys.iter().filter(|key| key.kind == kind);
        Ok(match kind {
            KeyKind::Ed25519 => keys.find(|key| key.key.verify_sig(message, signature).is_ok()),
            KeyKind::P256 => {
                let hashed: Digest = digest(&SHA256, message);
                keys.find(|key| key.key.verify_digest_sig(&hashed, signature).is_ok())
            }
        })
    }
}

/// An ECDSA signature is a DER sequence of two integers. One of 64 bytes is taken for the other kind and refused: its
/// integers would be six bytes short, which does not happen.
fn kind_of(signature: &[u8]) -> Option<KeyKind> {
    match signature {
        _ if signature.len() == ED25519_BYTES => Some(KeyKind::Ed25519),
        [0x30, ..] if signature.len() <= ED25519_BYTES + 8 => Some(KeyKind::P256),
        _ => None,
    }
}

/// What base64 stands for, where it is base64: cosign writes that, openssl the signature as it is.
fn decoded(signature: &[u8]) -> Vec<u8> {
    STANDARD.decode(signature.trim_ascii()).unwrap_or_else(|_| signature.to_vec())
}

fn keys_of(text: &[u8], place: &str) -> Result<Vec<TrustedKey>, TrustError> {
    let fault = |detail: &str| TrustError::Key { place: place.to_owned(), detail: detail.to_owned() };
    let blocks = pem::parse_many(text).map_err(|error| fault(&error.to_string()))?;
    if blocks.is_empty() {
        return Err(fault("there is no public key in it: expected a PEM block \"PUBLIC KEY\""));
    }
    let key = |block: pem::Pem| {
        if block.tag() != PUBLIC_KEY {
            return Err(fault(&format!("expected a PEM block \"{PUBLIC_KEY}\", found \"{}\"", block.tag())));
        }
        TrustedKey::parse(block.contents()).ok_or_else(|| fault("the key is neither Ed25519 nor ECDSA over P-256"))
    };
    blocks.into_iter().map(key).collect()
}

impl TrustedKey {
    /// Of a `SubjectPublicKeyInfo` (RFC 5280).
    fn parse(der: &[u8]) -> Option<Self> {
        // Raw keys have no algorithm in them; in PEM there are none.
        if der.len() <= ED25519_BYTES / 2 {
            return None;
        }
        let (key, kind) = match ParsedPublicKey::new(&ED25519, der) {
            Ok(key) => (key, KeyKind::Ed25519),
            Err(_) => (ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).ok()?, KeyKind::P256),
        };
        let id = Hash::of(der).to_string().chars().take(KEY_ID_DIGITS).collect();
        Some(Self { id, key, kind })
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_KEY_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_KEY_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_KEY_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
