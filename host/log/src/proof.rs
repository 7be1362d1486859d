//! A proof as the API gives it: everything needed to check one governance result offline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{VerifyError, verify_inclusion};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::entry::{Entry, EntryError};
use crate::hash::{Hash, hex32};
use crate::opening::Opening;
use crate::record::{Record, RecordError, record_hash};
use crate::tlog_proof::TlogProof;

/// The API's `proof` object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The leaf's index.
    pub leaf_index: u64,
    /// Leaves in the checkpoint's tree.
    pub tree_size: u64,
    /// The checkpoint's root.
    pub root_hash: Hash,
    /// From the leaf's sibling up.
    pub inclusion_path: Vec<Hash>,
    /// The leaf's bytes: RFC 8785 text.
    pub entry: String,
    /// What the entry commits to: RFC 8785 text.
    pub record: String,
    /// The 32 bytes that blind the record; hex in JSON.
    #[serde(with = "hex32")]
    pub nonce: [u8; 32],
    /// The signed note.
    pub checkpoint: String,
    /// The same as one `c2sp.org/tlog-proof` text.
    pub tlog_proof: String,
    /// Whether the checkpoint was cosigned as the server's witness policy asks. The server's word: not checked here.
    pub witnessed: bool,
}

/// The API's answer to `GET …/proofs/:leaf_hash`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofAnswer {
    /// The agent's id.
    pub agent_id: String,
    /// The entry's leaf hash; `sha256:` and hex in JSON.
    #[serde(with = "tagged")]
    pub hash: Hash,
    /// None while, or once, it cannot be given.
    pub proof: Option<Proof>,
    /// Why there is none.
    pub proof_error: Option<String>,
    /// Path of the public proof.
    pub verification_url: String,
    /// A portal that checks proofs.
    pub verification_portal: String,
    /// The fields that were asked for in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
    /// What computing the verdicts again needs besides the opening and the components, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayParts>,
}

/// What computing a record's verdicts again needs besides the opening and the components.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayParts {
    /// The configurations that the record names, by their digests.
    pub configs: BTreeMap<Hash, serde_json::Value>,
    /// Given where a policy failed while it followed the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streamed: Option<Streamed>,
}

/// How policies that failed while they followed a text were given it: they may not fail on the whole of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streamed {
    /// Bytes of each piece, in order.
    pub pieces: Vec<u32>,
    /// The places of their verdicts in the record.
    pub verdicts: Vec<u32>,
}

/// Why parts make no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The note is malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The record is malformed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Record and nonce are not what the entry commits to.
    #[error("the record is not what the entry commits to")]
    OtherRecord,
    /// The path does not lead from the entry to the checkpoint's root.
    #[error(transparent)]
    Inclusion(#[from] VerifyError),
}

/// What travels as the `extra` of a tlog-proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The leaf.
    pub entry: Entry,
    /// What it commits to.
    pub record: Record,
    /// What blinds it.
    pub nonce: [u8; 32],
}

/// Why bytes are no [`Extra`].
#[derive(Debug, thiserror::Error)]
pub enum ExtraError {
    /// Not the JSON of it.
    #[error("the extra data is no entry, record and nonce: {0}")]
    Json(#[from] serde_json::Error),
    /// Its entry is malformed.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Its record is malformed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Not RFC 8785's form.
    #[error("the extra data is not canonical JSON")]
    Form,
}

impl Proof {
    /// Joins a leaf, its record and its path to a checkpoint, after checking that they belong together.
    ///
    /// # Errors
    /// When note or record is malformed, or the parts do not belong together.
    pub fn new(
        entry: &Entry,
        record: &str,
        nonce: [u8; 32],
        leaf_index: u64,
        inclusion_path: Vec<Hash>,
        checkpoint: &str,
        witnessed: bool,
    ) -> Result<Self, ProofError> {
        let Checkpoint { size, root, .. } = Checkpoint::parse_unverified(checkpoint)?;
        Record::parse(record)?;
        if record_hash(&nonce, record) != entry.record {
            return Err(ProofError::OtherRecord);
        }
        verify_inclusion(&entry.leaf_hash(), leaf_index, size, &inclusion_path, &root)?;
        let entry = String::from_utf8_lossy(&entry.to_bytes()).into_owned();
        let mut proof = Self {
            leaf_index,
            tree_size: size,
            root_hash: root,
            inclusion_path,
            entry,
            record: record.to_owned(),
            nonce,
            checkpoint: checkpoint.to_owned(),
            tlog_proof: String::new(),
            witnessed,
        };
        proof.tlog_proof = proof.to_tlog_proof();
        Ok(proof)
    }

    /// The tlog-proof text of the other members.
    #[must_use]
    pub fn to_tlog_proof(&self) -> String {
        TlogProof {
            extra: Some(extra_text(&self.entry, &self.record, &self.nonce).into_bytes()),
            index: self.leaf_index,
            path: self.inclusion_path.clone(),
            checkpoint: self.checkpoint.clone(),
        }
        .to_string()
    }
}

impl Extra {
    /// Reads the extra data of a tlog-proof.
    ///
    /// # Errors
    /// Whenever the bytes are not exactly RFC 8785 of `{entry, record, nonce}`, the first two as objects.
    pub fn parse(bytes: &[u8]) -> Result<Self, ExtraError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form<'a> {
            #[serde(borrow)]
            entry: &'a serde_json::value::RawValue,
            #[serde(borrow)]
            record: &'a serde_json::value::RawValue,
            #[serde(with = "hex32")]
            nonce: [u8; 32],
        }
        let form: Form = serde_json::from_slice(bytes)?;
        let (entry, record) = (form.entry.get(), form.record.get());
        if extra_text(entry, record, &form.nonce).as_bytes() != bytes {
            return Err(ExtraError::Form);
        }
        Ok(Self { entry: Entry::parse(entry.as_bytes())?, record: Record::parse(record)?, nonce: form.nonce })
    }
}

/// RFC 8785 of the three: entry and record are in that form already, and the names are in its order.
fn extra_text(entry: &str, record: &str, nonce: &[u8; 32]) -> String {
    format!(r#"{{"entry":{entry},"nonce":"{}","record":{record}}}"#, hex::encode(nonce))
}

/// Serde for a hash with its algorithm in front.
pub(crate) mod tagged {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::hash::Hash;

    pub(crate) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash.tagged())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Hash::parse_tagged(&text).map_err(D::Error::custom)
    }
}
