//! The keys of agents' own for providers, sealed.

use serde::{Deserialize, Serialize};

use crate::row::hex_bytes;

/// A provider's key in an agent's vault. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultKey {
    /// The provider's configured name.
    pub provider: String,
    /// The first characters of the key, by which its owner knows it again.
    pub prefix: String,
    /// The origins that the provider was granted when the key was given. The ciphertext is bound to them.
    pub origins: Vec<String>,
    /// The key, under the agent's data key.
    #[serde(with = "hex_bytes")]
    pub sealed: Vec<u8>,
    /// When there was first a key for this provider.
    pub created_at: i64,
    /// When this key was given.
    pub updated_at: i64,
}

/// A key that has been put into a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultKeyPut {
    /// The key as it is kept.
    pub key: VaultKey,
    /// Whether it took another one's place.
    pub replaced: bool,
}
