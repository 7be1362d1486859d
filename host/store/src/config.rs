//! A policy's configuration as it is kept: one version byte, then its canonical JSON.

use gavel_log::Hash;

use crate::error::StoreError;
use crate::leaf::within;

/// The version of the row.
const CONFIG_VERSION: u8 = 1;
/// Most bytes of a configuration's canonical JSON.
pub const MAX_CONFIG_BYTES: usize = 4 * 1024 * 1024;

/// The row of the configuration with this digest.
pub(crate) fn encode(digest: &Hash, json: &str) -> Result<Vec<u8>, StoreError> {
    within("a configuration", json.len(), MAX_CONFIG_BYTES)?;
    if Hash::of(json.as_bytes()) != *digest {
        return Err(StoreError::WrongConfig(*digest));
    }
    let mut row = Vec::with_capacity(1 + json.len());
    row.push(CONFIG_VERSION);
    row.extend_from_slice(json.as_bytes());
    Ok(row)
}

/// The configuration that a row holds.
pub(crate) fn decode(digest: &Hash, row: &[u8]) -> Result<String, StoreError> {
    let damaged = |why: &str| StoreError::Corrupt(format!("the configuration {} {why}", digest.tagged()));
    let json = match row.split_first() {
        Some((&CONFIG_VERSION, json)) => json,
        Some((version, _)) => return Err(damaged(&format!("has the unknown version {version}"))),
        None => return Err(damaged("is empty")),
    };
    if Hash::of(json) != *digest {
        return Err(damaged("is not what its digest says"));
    }
    String::from_utf8(json.to_vec()).map_err(|_| damaged("is not UTF-8"))
}
