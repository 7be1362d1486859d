//! AES-256-GCM with a version in front: `01 ‖ nonce₁₂ ‖ ciphertext ‖ tag₁₆`.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use zeroize::Zeroizing;

use super::{KEY_BYTES, VaultError};
use crate::random::random;

const VERSION: u8 = 1;
/// NIST SP 800-38D's 96 bits. Nonces are random: one key stays well below the 2^32 messages that this allows.
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes of a ciphertext that its plaintext has not.
pub(super) const OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// One key, ready for use, wiped when dropped.
pub(super) struct Cipher(Aes256Gcm);

impl Cipher {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Aes256Gcm::new(<&Key<Aes256Gcm>>::from(key)))
    }

    pub(super) fn seal(&self, place: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: plaintext, aad: place };
        let sealed = self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| VaultError::TooLarge)?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&version, rest) = sealed.split_first().ok_or(VaultError::Sealed)?;
        if version != VERSION {
            return Err(VaultError::Version(version));
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Sealed)?;
        let payload = Payload { msg: ciphertext, aad: place };
        self.0.decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::Sealed)
    }

    /// Opens what holds a key.
    pub(super) fn open_key(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
        let bytes = self.open(place, sealed)?;
        let key: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| VaultError::Sealed)?;
        Ok(Zeroizing::new(*key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_altered_byte_is_noticed() {
        let cipher = Cipher::new(&[7; KEY_BYTES]);
        let sealed = cipher.seal(b"place", b"text").unwrap();
        assert_eq!(cipher.open(b"place", &sealed).unwrap().as_slice(), b"text");
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(cipher.open(b"place", &altered).is_err(), "byte {index}");
            assert!(cipher.open(b"place", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let cipher = Cipher::new(&[7; KEY_BYTES]);
        assert_ne!(cipher.seal(b"", b"text").unwrap(), cipher.seal(b"", b"text").unwrap());
    }
}
