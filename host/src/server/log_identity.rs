//! The log's name and signing key: made on the first start, kept in the data directory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_log::{KeyError, Origin, SigningKey};
use zeroize::Zeroizing;

use crate::data_dir::{DataDir, DataDirError};
use crate::random::{random, random_text};

/// The file of the signing key's seed.
const KEY_FILE: &str = "log-signing-key";
/// The file of the log's origin line.
const ORIGIN_FILE: &str = "log-origin";
/// What a new log's name begins with where the configuration gives none.
const DEFAULT_ORIGIN: &str = "gavel.localhost/";
/// Random characters of such a name, so that two installations never collide at a witness.
const ORIGIN_CHARACTERS: usize = 16;
const ORIGIN_ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const SEED_BYTES: usize = 32;

/// Why the log's name or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogIdentityError {
    /// A file of it cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The signing key is not 32 bytes as base64.
    #[error("{KEY_FILE} is not 32 bytes as base64")]
    Key,
    /// The origin is none.
    #[error("the log's origin: {0}")]
    Origin(#[from] KeyError),
    /// The log has another origin already: it cannot change, since all that was signed names it.
    #[error("log.origin is {configured}, but this log is {kept} since its first start")]
    OriginChanged {
        /// What the log is called.
        kept: String,
        /// What the configuration says.
        configured: String,
    },
}

/// The log's signing key under its name; either is made where it is missing.
pub(super) fn signing_key(data: &DataDir, configured: Option<&str>) -> Result<SigningKey, LogIdentityError> {
    let origin = origin(data, configured)?;
    let file = data.private_file(KEY_FILE, || {
        let seed = Zeroizing::new(random::<SEED_BYTES>());
        format!("{}\n", STANDARD.encode(seed.as_slice())).into_bytes()
    })?;
    let text = Zeroizing::new(file.bytes);
    let seed = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| LogIdentityError::Key)?);
    let seed: [u8; SEED_BYTES] = seed.as_slice().try_into().map_err(|_| LogIdentityError::Key)?;
    Ok(SigningKey::from_seed(seed, origin))
}

fn origin(data: &DataDir, configured: Option<&str>) -> Result<Origin, LogIdentityError> {
    let configured = configured.map(Origin::parse).transpose()?;
    let file = data.private_file(ORIGIN_FILE, || {
        let name = configured.as_ref().map_or_else(
            || format!("{DEFAULT_ORIGIN}{}", random_text(ORIGIN_ALPHABET, ORIGIN_CHARACTERS)),
            ToString::to_string,
        );
        format!("{name}\n").into_bytes()
    })?;
    let kept = Origin::parse(String::from_utf8_lossy(&file.bytes).trim_end_matches('\n'))?;
    match configured {
        Some(configured) if configured != kept => {
            Err(LogIdentityError::OriginChanged { kept: kept.to_string(), configured: configured.to_string() })
        }
        _ => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (DataDir, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (DataDir::open(directory.path()).unwrap(), directory)
    }

    #[test]
    fn a_log_keeps_its_name_and_key() {
        let (data, _directory) = data();
        let first = signing_key(&data, None).unwrap();
        let second = signing_key(&data, None).unwrap();
        assert_eq!(first.verifier_key().to_string(), second.verifier_key().to_string());
        let name = first.origin().to_string();
        assert!(name.starts_with("gavel.localhost/") && name.len() == 32, "{name}");
    }

    #[test]
    fn two_installations_have_two_names() {
        let ((one, _first), (two, _second)) = (data(), data());
        assert_ne!(signing_key(&one, None).unwrap().origin(), signing_key(&two, None).unwrap().origin());
    }

    #[test]
    fn a_configured_name_cannot_change() {
        let (data, _directory) = data();
        let key = signing_key(&data, Some("example.org/log")).unwrap();
        assert_eq!(key.origin().as_str(), "example.org/log");
        assert!(signing_key(&data, None).is_ok());
        let error = signing_key(&data, Some("example.org/other")).unwrap_err();
        assert!(matches!(error, LogIdentityError::OriginChanged { .. }));
        assert!(matches!(signing_key(&data, Some("a+b")), Err(LogIdentityError::Origin(_))));
    }
}
