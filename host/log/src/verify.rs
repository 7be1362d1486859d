//! Checking a proof from beginning to end, with nothing but the proof and the log's key.

use serde::Deserialize;

use crate::check::{VerifyError, verify_inclusion};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::commitment::Field;
use crate::entry::{Entry, EntryError};
use crate::hash::Hash;
use crate::key::{Origin, VerifierKey};
use crate::opening::OpeningError;
use crate::proof::{Extra, ExtraError, Proof, ProofAnswer, tagged};
use crate::record::{Record, RecordError, record_hash};
use crate::tlog_proof::{MAX_PATH, TlogProof, TlogProofError};

/// Most bytes of a text that [`verify`] reads; openings carry whole messages.
pub const MAX_INPUT_BYTES: usize = 16 * 1024 * 1024;

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who vouches for the tree.
    pub signer: Signer,
    /// The log that the checkpoint names.
    pub origin: Origin,
    /// The leaf.
    pub entry: Entry,
    /// What it commits to; none in a public proof, which does not carry it.
    pub record: Option<Record>,
    /// The leaf's index.
    pub leaf_index: u64,
    /// Leaves in the checkpoint's tree.
    pub tree_size: u64,
    /// The fields that were opened and are what the record commits to.
    pub openings_checked: Vec<Field>,
}

/// Who signed the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A key that the caller knows, by its name.
    Known(String),
    /// No key was given: the proof is consistent in itself, and anyone may have made it.
    Unknown,
}

/// Why a text proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFailure {
    /// Longer than [`MAX_INPUT_BYTES`].
    #[error("a proof has at most {MAX_INPUT_BYTES} bytes, this has {0}")]
    Size(usize),
    /// Not the JSON of an answer.
    #[error("not a proof: {0}")]
    Json(#[from] serde_json::Error),
    /// The answer holds no proof.
    #[error("the answer holds no proof: {0}")]
    NoProof(String),
    /// Not a tlog-proof.
    #[error("not a tlog-proof: {0}")]
    TlogProof(#[from] TlogProofError),
    /// The tlog-proof carries no entry.
    #[error("the tlog-proof carries no extra data, so there is no entry to check")]
    NoExtra,
    /// The tlog-proof's entry, record or nonce is malformed.
    #[error(transparent)]
    Extra(#[from] ExtraError),
    /// The entry is malformed.
    #[error("the entry: {0}")]
    Entry(#[from] EntryError),
    /// The answer's hash is another's.
    #[error("the entry's leaf hash is {found}, not {expected}")]
    LeafHash {
        /// The answer's hash.
        expected: Hash,
        /// The entry's.
        found: Hash,
    },
    /// The record is malformed.
    #[error("the record: {0}")]
    Record(#[from] RecordError),
    /// Record and nonce are not what the entry commits to.
    #[error("the record is not what the entry commits to")]
    OtherRecord,
    /// The record is another agent's than the answer says.
    #[error("the record is of agent {found}, not of {expected}")]
    Agent {
        /// The answer's agent.
        expected: String,
        /// The record's.
        found: String,
    },
    /// No checkpoint, or not signed by any key that the caller knows.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The answer's tree size is not the checkpoint's.
    #[error("the proof is for {expected} leaves, its checkpoint for {found}")]
    TreeSize {
        /// The answer's.
        expected: u64,
        /// The checkpoint's.
        found: u64,
    },
    /// The answer's root is not the checkpoint's.
    #[error("the proof's root is not its checkpoint's")]
    RootHash,
    /// The path does not lead from the entry to the root.
    #[error("inclusion: {0}")]
    Inclusion(#[from] VerifyError),
    /// The answer's `tlog_proof` says something else than its other members.
    #[error("the tlog_proof does not agree with the other members")]
    TlogProofDiffers,
    /// The opening does not fit the record.
    #[error("the opening: {0}")]
    Opening(#[from] OpeningError),
}

/// Checks a proof offline: the API's answer, with or without a record and opening, or a tlog-proof text.
///
/// With keys, one of them must have signed the checkpoint. Without, the result's signer is [`Signer::Unknown`].
///
/// # Errors
/// When any part is malformed, or does not follow from another as it must.
pub fn verify(input: &str, keys: &[VerifierKey]) -> Result<Verified, VerifyFailure> {
    if input.len() > MAX_INPUT_BYTES {
        return Err(VerifyFailure::Size(input.len()));
    }
    if !input.trim_start().starts_with('{') {
        return verify_tlog_proof(&TlogProof::parse(input)?, keys);
    }
    match serde_json::from_str::<ProofAnswer>(input) {
        Ok(answer) => verify_answer(&answer, keys),
        // An error in a private answer is more telling than that it is no public one.
        Err(error) => match serde_json::from_str::<PublicAnswer>(input) {
            Ok(answer) => verify_public(&answer, keys),
            Err(_) => Err(error.into()),
        },
    }
}

fn verify_tlog_proof(proof: &TlogProof, keys: &[VerifierKey]) -> Result<Verified, VerifyFailure> {
    let Extra { entry, record, nonce } = Extra::parse(proof.extra.as_ref().ok_or(VerifyFailure::NoExtra)?)?;
    let text = record.to_canonical()?;
    if record_hash(&nonce, &text) != entry.record {
        return Err(VerifyFailure::OtherRecord);
    }
    let included = check_leaf(&entry, proof.index, &proof.path, &proof.checkpoint, keys)?;
    Ok(Verified { record: Some(record), ..included })
}

fn verify_answer(answer: &ProofAnswer, keys: &[VerifierKey]) -> Result<Verified, VerifyFailure> {
    let Some(proof) = &answer.proof else {
        return Err(VerifyFailure::NoProof(answer.proof_error.clone().unwrap_or_default()));
    };
    let entry = check_entry(&proof.entry, answer.hash)?;
    let record = Record::parse(&proof.record)?;
    if record_hash(&proof.nonce, &proof.record) != entry.record {
        return Err(VerifyFailure::OtherRecord);
    }
    if record.agent != answer.agent_id {
        return Err(VerifyFailure::Agent { expected: answer.agent_id.clone(), found: record.agent });
    }
    let included = check_leaf(&entry, proof.leaf_index, &proof.inclusion_path, &proof.checkpoint, keys)?;
    check_head(proof.tree_size, proof.root_hash, &proof.checkpoint)?;
    check_agreement(proof)?;
    let openings_checked = match &answer.opening {
        Some(opening) => opening.check(&record)?,
        None => Vec::new(),
    };
    Ok(Verified { record: Some(record), openings_checked, ..included })
}

/// The answer of `GET /verify/proof/:leaf_hash`: the blind leaf alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicAnswer {
    #[serde(with = "tagged")]
    hash: Hash,
    proof: PublicProof,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicProof {
    leaf_index: u64,
    tree_size: u64,
    root_hash: Hash,
    inclusion_path: Vec<Hash>,
    entry: String,
    checkpoint: String,
    #[serde(rename = "witnessed")]
    _witnessed: bool,
}

fn verify_public(answer: &PublicAnswer, keys: &[VerifierKey]) -> Result<Verified, VerifyFailure> {
    let proof = &answer.proof;
    let entry = check_entry(&proof.entry, answer.hash)?;
    let included = check_leaf(&entry, proof.leaf_index, &proof.inclusion_path, &proof.checkpoint, keys)?;
    check_head(proof.tree_size, proof.root_hash, &proof.checkpoint)?;
    Ok(included)
}

fn check_entry(text: &str, expected: Hash) -> Result<Entry, VerifyFailure> {
    let entry = Entry::parse(text.as_bytes())?;
    let found = entry.leaf_hash();
    if found == expected { Ok(entry) } else { Err(VerifyFailure::LeafHash { expected, found }) }
}

fn check_leaf(
    entry: &Entry,
    leaf_index: u64,
    path: &[Hash],
    note: &str,
    keys: &[VerifierKey],
) -> Result<Verified, VerifyFailure> {
    let (checkpoint, signer) = check_signer(note, keys)?;
    if path.len() > MAX_PATH {
        return Err(VerifyError::Length.into());
    }
    verify_inclusion(&entry.leaf_hash(), leaf_index, checkpoint.size, path, &checkpoint.root)?;
    Ok(Verified {
        signer,
        origin: checkpoint.origin,
        entry: *entry,
        record: None,
        leaf_index,
        tree_size: checkpoint.size,
        openings_checked: Vec::new(),
    })
}

/// One key suffices, but a wrong signature of any known key refuses the note. An unknown signer passes only where the
/// caller knows none.
fn check_signer(note: &str, keys: &[VerifierKey]) -> Result<(Checkpoint, Signer), VerifyFailure> {
    let mut signed = None;
    let mut unsigned = None;
    for key in keys {
        match Checkpoint::verify(note, key) {
            Ok(checkpoint) => {
                let known = || (checkpoint, Signer::Known(key.name().to_string()));
                signed = Some(signed.unwrap_or_else(known));
            }
            Err(error @ (CheckpointError::Unsigned(_) | CheckpointError::Origin { .. })) => {
                unsigned = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match (signed, unsigned) {
        (Some(signed), _) => Ok(signed),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Ok((Checkpoint::parse_unverified(note)?, Signer::Unknown)),
    }
}

fn check_head(tree_size: u64, root_hash: Hash, note: &str) -> Result<(), VerifyFailure> {
    let checkpoint = Checkpoint::parse_unverified(note)?;
    if tree_size != checkpoint.size {
        return Err(VerifyFailure::TreeSize { expected: tree_size, found: checkpoint.size });
    }
    if root_hash == checkpoint.root { Ok(()) } else { Err(VerifyFailure::RootHash) }
}

fn check_agreement(proof: &Proof) -> Result<(), VerifyFailure> {
    if proof.to_tlog_proof() == proof.tlog_proof { Ok(()) } else { Err(VerifyFailure::TlogProofDiffers) }
}
