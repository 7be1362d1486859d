//! Gavel's transparency log, without I/O, clock or runtime.
//!
//! What is fixed for ever (entry, record, commitments) is written down in `docs/formats.md`.

pub mod judged;
pub mod record;

use serde::{Deserialize, Serialize};

/// A SHA-256 digest; in JSON and `Display` 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);
