//! Where the master key comes from.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KEY_BYTES, VaultError};
use crate::data_dir::{DataDir, read_private};
use crate::random::random;

/// The environment variable that holds the master key.
const VARIABLE: &str = "GAVEL_VAULT_KEY";
/// The file in the data directory that holds it where nothing else does.
const FILE: &str = "master-key";

type MasterKey = Zeroizing<[u8; KEY_BYTES]>;

/// The master key from the environment, the named file, or the data directory.
pub(super) fn key(named: Option<&Path>, data: &DataDir) -> Result<MasterKey, VaultError> {
    if let Ok(text) = std::env::var(VARIABLE) {
        return decoded(&Zeroizing::new(text), VARIABLE);
    }
    if let Some(path) = named {
        let bytes = read_private(path)?.ok_or_else(|| VaultError::NoKeyFile(path.display().to_string()))?;
        return decoded_bytes(bytes, &path.display().to_string());
    }
    let file = data.private_file(FILE, || {
        let key = Zeroizing::new(random::<KEY_BYTES>());
        format!("{}\n", STANDARD.encode(key.as_slice())).into_bytes()
    })?;
    if file.made {
        tracing::warn!(
            file = FILE,
            "made a master key in the data directory, beside what it protects; give {VARIABLE} or vault.key_file \
             to keep them apart"
        );
    }
    decoded_bytes(file.bytes, FILE)
}

/// A key of its own for another purpose: HKDF-SHA-256 of the master key, no salt, with `info`.
pub(super) fn derived(key: &MasterKey, info: &[u8]) -> MasterKey {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    let expanded = Hkdf::<Sha256>::new(None, key.as_slice()).expand(info, derived.as_mut_slice());
    debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's bound");
    derived
}

fn decoded_bytes(bytes: Vec<u8>, source: &str) -> Result<MasterKey, VaultError> {
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::MasterKey(source.to_owned()))?;
    decoded(text, source)
}

fn decoded(text: &str, source: &str) -> Result<MasterKey, VaultError> {
    let malformed = || VaultError::MasterKey(source.to_owned());
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
    let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| malformed())?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(bytes);
    Ok(key)
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
}
