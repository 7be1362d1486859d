//! Gavel's transparency log, without I/O, clock, randomness or runtime.
//!
//! A governance result is a private [`Record`]. The public log holds an [`Entry`] that commits to it and says
//! nothing else; entries are the leaves of an RFC 6962 Merkle tree, kept as [tiles](tile) and signed as
//! [checkpoints](checkpoint). A [`Proof`] ties record, entry, tree and signature together, and
//! [`verify`](verify::verify) checks all of it offline.
//!
//! What is fixed for ever (entry, record, commitments) is written down in `docs/formats.md`, with test vectors.
//! Callers pass in whatever is random or depends on time.

pub mod bundle;
pub mod check;
pub mod checkpoint;
pub mod commitment;
pub mod edits;
pub mod entry;
pub mod hash;
pub mod jcs;
pub mod judged;
pub mod key;
pub mod opening;
pub mod proof;
pub mod prove;
pub mod record;
pub mod subject_form;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod verify;

mod rehash;

pub use bundle::{BundleError, decode_bundle, encode_bundle};
pub use check::{VerifyError, verify_consistency, verify_inclusion};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use commitment::{Field, FieldKey, RecordSecret};
pub use edits::{EditError, apply_edits};
pub use entry::{Chain, Entry, EntryError};
pub use hash::{Hash, ParseError};
pub use jcs::JcsError;
pub use key::{KeyError, Origin, SigningKey, VerifierKey};
pub use opening::{Opened, Opening};
pub use proof::{Proof, ProofAnswer, ProofError, ReplayParts, Streamed};
pub use prove::{consistency_proof, inclusion_proof};
pub use record::{Record, RecordError, record_hash};
pub use tile::{TileId, TilePath, TileReader};
pub use tlog_proof::{TlogProof, TlogProofError};
pub use tree::{Edge, TreeError, TreeFull};
pub use verify::{Signer, Verified, VerifyFailure, verify};

/// The largest integer that canonical JSON carries exactly, 2^53 − 1: the bound of every number in every format
/// here, and so of a tree's size.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
