//! The master key: where it comes from, its name, and what it wraps.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::envelope::Cipher;
use super::{KEY_BYTES, VaultError};
use crate::data_dir::{DataDir, read_private};
use crate::random::random;

/// The environment variable that holds the master key.
pub(super) const VARIABLE: &str = "GAVEL_VAULT_KEY";
/// The file in the data directory that holds it where nothing else does.
const FILE: &str = "master-key";
/// HKDF's `info` of a master key's name, and the bytes of it: too few to say anything of the key.
const NAME: &[u8] = b"key id";
const NAME_BYTES: usize = 8;

type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// A master key. It has no `Debug`.
pub(super) struct MasterKey {
    name: String,
    key: KeyBytes,
    cipher: Cipher,
}

/// Where a server finds its master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In `GAVEL_VAULT_KEY`.
    Environment,
    /// In this file.
    File(PathBuf),
}

impl MasterKey {
    fn new(key: KeyBytes) -> Self {
        let name = hex::encode(derived(&key, NAME).get(..NAME_BYTES).unwrap_or_default());
        Self { name, cipher: Cipher::new(&key), key }
    }

    /// A new one.
    pub(super) fn generate() -> Self {
        Self::new(Zeroizing::new(random()))
    }

    /// By which it is told from others: it says nothing of the key.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// What a private file holds of it.
    pub(super) fn to_file(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(STANDARD.encode(self.key.as_slice()).into_bytes());
        text.push(b'\n');
        text
    }

    /// This key under another one.
    pub(super) fn wrapped_by(&self, other: &Self, place: &[u8]) -> Result<Vec<u8>, VaultError> {
        other.cipher.seal(place, self.key.as_slice())
    }

    /// The key that was wrapped by this one.
    pub(super) fn unwrap_master(&self, place: &[u8], wrapped: &[u8]) -> Result<Self, VaultError> {
        self.cipher.open_key(place, wrapped).map(Self::new)
    }

    /// A key of its own for another purpose: HKDF-SHA-256 of the master key, no salt, with `info`.
    pub(super) fn derived(&self, info: &[u8]) -> KeyBytes {
        derived(&self.key, info)
    }
}

/// The master key from the environment, the named file, or the data directory, where it is made if `make` says so.
pub(super) fn find(named: Option<&Path>, data: &DataDir, make: bool) -> Result<(MasterKey, Source), VaultError> {
    if let Ok(text) = std::env::var(VARIABLE) {
        let key = decoded(&Zeroizing::new(text), VARIABLE)?;
        return Ok((MasterKey::new(key), Source::Environment));
    }
    if let Some(path) = named {
        let key = read(path)?.ok_or_else(|| VaultError::NoKeyFile(path.display().to_string()))?;
        return Ok((key, Source::File(path.to_owned())));
    }
    let path = data.path().join(FILE);
    if !make {
        let key = read(&path)?.ok_or_else(|| VaultError::NoKeyFile(path.display().to_string()))?;
        return Ok((key, Source::File(path)));
    }
    let file = data.private_file(FILE, || MasterKey::generate().to_file().to_vec())?;
    if file.made {
        tracing::warn!(
            file = FILE,
            "made a master key in the data directory, beside what it protects; give {VARIABLE} or vault.key_file \
             to keep them apart"
        );
    }
    Ok((MasterKey::new(decoded_bytes(file.bytes, FILE)?), Source::File(path)))
}

/// The master key in a private file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<MasterKey>, VaultError> {
    let Some(bytes) = read_private(path)? else { return Ok(None) };
    decoded_bytes(bytes, &path.display().to_string()).map(MasterKey::new).map(Some)
}

fn derived(key: &KeyBytes, info: &[u8]) -> KeyBytes {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    let expanded = Hkdf::<Sha256>::new(None, key.as_slice()).expand(info, derived.as_mut_slice());
    debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's bound");
    derived
}

fn decoded_bytes(bytes: Vec<u8>, source: &str) -> Result<KeyBytes, VaultError> {
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::MasterKey(source.to_owned()))?;
    decoded(text, source)
}

fn decoded(text: &str, source: &str) -> Result<KeyBytes, VaultError> {
    let malformed = || VaultError::MasterKey(source.to_owned());
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
    let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| malformed())?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(bytes);
    Ok(key)
}

/// A master key that an operator gives, to be the next one. On its way to the server it is base64.
pub struct NewMasterKey(pub(super) Box<MasterKey>);

impl NewMasterKey {
    /// Reads 32 bytes as base64; `source` names where they come from in the error.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str, source: &str) -> Result<Self, VaultError> {
        decoded(text, source).map(MasterKey::new).map(Box::new).map(Self)
    }

    /// Reads it from a private file.
    ///
    /// # Errors
    /// When there is no such file, others can read it, or it holds anything else.
    pub fn read(path: &Path) -> Result<Self, VaultError> {
        read(path)?.map(Box::new).map(Self).ok_or_else(|| VaultError::NoKeyFile(path.display().to_string()))
    }
}

impl fmt::Debug for NewMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewMasterKey").field(&self.0.name).finish()
    }
}

impl Serialize for NewMasterKey {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&Zeroizing::new(STANDARD.encode(self.0.key.as_slice())))
    }
}

impl<'de> Deserialize<'de> for NewMasterKey {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(input)?);
        Self::parse(&text, "the new master key").map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_is_hkdf_of_the_master_key() {
        let master = Zeroizing::new([5; 32]);
        let one = derived(&master, b"machine code");
        assert_eq!(*one, *derived(&master, b"machine code"));
        assert_ne!(*one, *derived(&master, b"another purpose"));
        assert_ne!(*one, *master);
    }

    #[test]
    fn only_32_bytes_as_base64_are_a_master_key() {
        let good = STANDARD.encode([5; 32]);
        assert_eq!(*decoded(&format!("{good}\n"), "test").unwrap(), [5; 32]);
        for bad in ["", "AAAA", "not base64!", STANDARD.encode([5; 33]).as_str()] {
            let error = decoded(bad, "test").unwrap_err();
            assert_eq!(error.to_string(), "test is not 32 bytes as base64");
        }
    }

    #[test]
    fn a_name_is_the_keys_own_and_shows_nothing_of_it() {
        let (one, two) = (MasterKey::generate(), MasterKey::generate());
        assert_ne!(one.name(), two.name());
        assert_eq!(one.name().len(), 16);
        let given = NewMasterKey::parse(&STANDARD.encode(one.key.as_slice()), "test").unwrap();
        assert_eq!(given.0.name(), one.name());
        assert_eq!(format!("{given:?}"), format!("NewMasterKey({:?})", one.name()));
        let carried: NewMasterKey = serde_json::from_str(&serde_json::to_string(&given).unwrap()).unwrap();
        assert_eq!(*carried.0.key, *one.key);
    }
}
