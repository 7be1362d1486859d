//! Entry bundles of C2SP tlog-tiles: entries behind big-endian 16-bit lengths.

use crate::tile::TILE_WIDTH;

/// Why entries make no bundle, or bytes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than its 16-bit length can say.
    #[error("an entry of {0} bytes does not fit a bundle")]
    Entry(usize),
    /// More entries than a tile has leaves.
    #[error("a bundle holds at most {TILE_WIDTH} entries")]
    Width,
    /// The bytes end within a length or an entry.
    #[error("the bundle ends within an entry")]
    Truncated,
}

/// Writes entries as a bundle.
///
/// # Errors
/// When there are more than 256 entries, or one has more than 65,535 bytes.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BundleError> {
    let mut bundle = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        if position >= usize::from(TILE_WIDTH) {
            return Err(BundleError::Width);
        }
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::Entry(entry.len()))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// Reads a bundle's entries.
///
/// # Errors
/// When the bytes end too early or hold more than 256 entries.
pub fn decode_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        if entries.len() >= usize::from(TILE_WIDTH) {
            return Err(BundleError::Width);
        }
        let (length, rest) = bundle.split_first_chunk().ok_or(BundleError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BundleError::Truncated)?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}
