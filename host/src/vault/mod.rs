//! Envelope encryption: the master key wraps each agent's data key, which wraps a key for each session and encrypts the
//! agent's own keys for providers.
//!
//! What is encrypted under a session's key is gone for good when its wrapped key is destroyed.

mod envelope;
mod master;
mod provider_key;
mod rotation;

use std::sync::{Arc, PoisonError, RwLock};

use gavel_store::{AgentId, SessionId};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::random::random;
use envelope::Cipher;
pub use master::NewMasterKey;
use master::{MasterKey, Source};
pub use provider_key::{ApiKey, KeyPlace};
pub use rotation::{RotateError, Rotated, Rotation};

/// Bytes of every key here.
pub const KEY_BYTES: usize = 32;
/// Bytes that sealing adds to a plaintext.
pub const SEALED_OVERHEAD: usize = envelope::OVERHEAD;
/// HKDF's `info` of the key that authenticates cached machine code.
const MACHINE_CODE: &[u8] = b"machine code";

/// Why something does not open, or there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It was sealed under another key or for another place, or is damaged. Which one, nobody can tell.
    #[error("the ciphertext does not open")]
    Sealed,
    /// It is of a version that this one does not know.
    #[error("the ciphertext has the unknown version {0}")]
    Version(u8),
    /// It could not be encrypted: larger than the cipher takes.
    #[error("the plaintext is too large")]
    TooLarge,
    /// A master key is not 32 bytes as base64.
    #[error("{0} is not 32 bytes as base64")]
    MasterKey(String),
    /// The file of the master key is not there.
    #[error("{0}: no such file")]
    NoKeyFile(String),
    /// The file of the master key cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// The master key, and what it wraps.
pub struct Vault {
    masters: RwLock<Masters>,
    machine_code: Zeroizing<[u8; KEY_BYTES]>,
    source: Source,
    /// Held for reading while an agent is made, from its data key to its row; for writing when the master key changes.
    making: tokio::sync::RwLock<()>,
    /// One rotation at a time.
    rotating: tokio::sync::Mutex<()>,
}

/// The master key, and the one before it: what was read before a rotation still opens after it.
#[derive(Clone)]
struct Masters {
    current: Arc<MasterKey>,
    former: Option<Arc<MasterKey>>,
}

/// While it is held, the master key stays the same.
pub struct SteadyKey<'a>(#[expect(dead_code, reason = "held, not read")] tokio::sync::RwLockReadGuard<'a, ()>);

/// The key of one session's texts and openings. Cloning it shares it; the last one wipes it.
#[derive(Clone)]
pub struct SessionKey(Arc<Cipher>);

impl Vault {
    /// Takes the master key from `GAVEL_VAULT_KEY`, the file that the configuration names, or `master-key` in the
    /// data directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the key is malformed, or its file cannot be used or is readable by others.
    pub fn open(config: &Config) -> Result<Self, VaultError> {
        Self::found(config, true)
    }

    /// The same, but makes no master key where there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when there is none.
    pub fn existing(config: &Config) -> Result<Self, VaultError> {
        Self::found(config, false)
    }

    fn found(config: &Config, make: bool) -> Result<Self, VaultError> {
        let data = DataDir::open(&config.data_dir)?;
        let (key, source) = master::find(config.vault.key_file.as_deref(), &data, make)?;
        Ok(Self {
            machine_code: key.derived(MACHINE_CODE),
            masters: RwLock::new(Masters { current: Arc::new(key), former: None }),
            source,
            making: tokio::sync::RwLock::default(),
            rotating: tokio::sync::Mutex::default(),
        })
    }

    fn masters(&self) -> Masters {
        self.masters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_masters(&self, masters: Masters) {
        *self.masters.write().unwrap_or_else(PoisonError::into_inner) = masters;
    }

    /// Keeps the master key as it is: to be held from [`new_data_key`](Self::new_data_key) until the agent is stored,
    /// so that a rotation misses no data key.
    pub async fn steady(&self) -> SteadyKey<'_> {
        SteadyKey(self.making.read().await)
    }

    /// What authenticates the plugins' cached machine code: HKDF-SHA-256 of the master key.
    #[must_use]
    pub fn machine_code_key(&self) -> [u8; KEY_BYTES] {
        *self.machine_code
    }

    /// A new data key for an agent, wrapped by the master key.
    ///
    /// # Errors
    /// Does not happen for keys, which are small.
    pub fn new_data_key(&self, agent: &AgentId) -> Result<Vec<u8>, VaultError> {
        let key = Zeroizing::new(random::<KEY_BYTES>());
        self.masters().current.cipher().seal(agent.to_string().as_bytes(), key.as_slice())
    }

    /// A new key for a session, wrapped by the agent's data key.
    ///
    /// # Errors
    /// When the data key does not open.
    pub fn new_session_key(
        &self,
        agent: &AgentId,
        wrapped_data_key: &[u8],
        session: &SessionId,
    ) -> Result<Vec<u8>, VaultError> {
        let key = Zeroizing::new(random::<KEY_BYTES>());
        self.data_key(agent, wrapped_data_key)?.seal(&session_place(agent, session), key.as_slice())
    }

    /// Unwraps a session's key.
    ///
    /// # Errors
    /// When either key does not open: another master key, another agent's or session's row, or a damaged one.
    pub fn session_key(
        &self,
        agent: &AgentId,
        wrapped_data_key: &[u8],
        session: &SessionId,
        wrapped: &[u8],
    ) -> Result<SessionKey, VaultError> {
        let data_key = self.data_key(agent, wrapped_data_key)?;
        let key = data_key.open_key(&session_place(agent, session), wrapped)?;
        Ok(SessionKey(Arc::new(Cipher::new(&key))))
    }

    fn data_key(&self, agent: &AgentId, wrapped: &[u8]) -> Result<Cipher, VaultError> {
        let Masters { current, former } = self.masters();
        let (place, former) = (agent.to_string(), former.as_deref());
        let opened = current.cipher().open_key(place.as_bytes(), wrapped);
        let key = match (opened, former) {
            (Err(VaultError::Sealed), Some(former)) => former.cipher().open_key(place.as_bytes(), wrapped)?,
            (opened, _) => opened?,
        };
        Ok(Cipher::new(&key))
    }
}

/// The associated data of a session's wrapped key. Ids have a fixed length, so no two places read the same.
fn session_place(agent: &AgentId, session: &SessionId) -> Vec<u8> {
    format!("{agent}/{session}").into_bytes()
}

impl SessionKey {
    /// Encrypts `plaintext`, so that it opens only with the same `place`.
    ///
    /// # Errors
    /// When it is larger than the cipher takes (64 GiB).
    pub fn seal(&self, place: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.0.seal(place, plaintext)
    }

    /// Decrypts what [`seal`](Self::seal) gave for the same `place`.
    ///
    /// # Errors
    /// When it was sealed under another key or for another place, or is damaged.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.0.open(place, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (Vault, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        (Vault::open(&config).unwrap(), directory)
    }

    #[test]
    fn a_text_opens_under_its_session_again_after_a_restart() {
        let (vault, directory) = vault();
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let data_key = vault.new_data_key(&agent).unwrap();
        let wrapped = vault.new_session_key(&agent, &data_key, &session).unwrap();
        let key = vault.session_key(&agent, &data_key, &session, &wrapped).unwrap();
        let sealed = key.seal(b"place", b"text").unwrap();
        drop((vault, key));

        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let vault = Vault::open(&config).unwrap();
        let key = vault.session_key(&agent, &data_key, &session, &wrapped).unwrap();
        assert_eq!(key.open(b"place", &sealed).unwrap().as_slice(), b"text");
        assert!(matches!(key.open(b"elsewhere", &sealed), Err(VaultError::Sealed)));
    }

    #[test]
    fn a_row_that_was_moved_elsewhere_does_not_open() {
        let (vault, _directory) = vault();
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let data_key = vault.new_data_key(&agent).unwrap();
        let wrapped = vault.new_session_key(&agent, &data_key, &session).unwrap();
        let other_agent = AgentId::generate();
        let other_session = SessionId::generate();
        assert!(vault.session_key(&other_agent, &data_key, &session, &wrapped).is_err());
        assert!(vault.session_key(&agent, &data_key, &other_session, &wrapped).is_err());
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let (one, _first) = vault();
        let (two, _second) = vault();
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let data_key = one.new_data_key(&agent).unwrap();
        assert!(matches!(two.new_session_key(&agent, &data_key, &session), Err(VaultError::Sealed)));
    }
}
