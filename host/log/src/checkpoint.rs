//! Checkpoints: a tree's size and root, signed, as C2SP tlog-checkpoint and signed-note have them.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, Signature};

use crate::MAX_INTEGER;
use crate::hash::Hash;
use crate::key::{Origin, VerifierKey};

/// Most bytes of a signed note that is read here.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// The state of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: Origin,
    /// Leaves in the tree, at most 2^53 − 1.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

/// Why a note is no checkpoint of the log that it should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("a checkpoint has at most {MAX_NOTE_BYTES} bytes, this has {0}")]
    Size(usize),
    /// Not a signed note: text, blank line, 1 to 100 well-formed signature lines.
    #[error("not a signed note")]
    Note,
    /// Two signature lines of the same key name and id.
    #[error("the note holds two signatures under the key {0}")]
    DuplicateSignature(String),
    /// The text is not exactly origin, size and root.
    #[error("the note's text is not a checkpoint")]
    Body,
    /// Another log's.
    #[error("the checkpoint is of {found}, not of {expected}")]
    Origin {
        /// The key's name.
        expected: String,
        /// The checkpoint's origin.
        found: String,
    },
    /// The key has not signed it.
    #[error("the checkpoint bears no signature of {0}")]
    Unsigned(String),
    /// A signature line of the key does not verify.
    #[error("the signature of {0} on the checkpoint is wrong")]
    Signature(String),
}

impl Checkpoint {
    /// The text that is signed: origin, size and base64 of the root, a line each.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads a checkpoint that `key` has signed. Signatures by other keys, of whatever type, are ignored.
    ///
    /// # Errors
    /// When the note is malformed, repeats a signature, or is not this log's, signed by this key.
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let opened = OpenNote::parse(note)?;
        let checkpoint = Self::parse_body(opened.text)?;
        opened.check(key)?;
        if checkpoint.origin != *key.name() {
            return Err(CheckpointError::Origin {
                expected: key.name().to_string(),
                found: checkpoint.origin.to_string(),
            });
        }
        Ok(checkpoint)
    }

    /// When `witness` says, in Unix seconds, to have seen this log's tree at this state (C2SP tlog-cosignature,
    /// Ed25519). Whether the log itself has signed is another question: see [`verify`](Self::verify).
    ///
    /// Several witnesses count as many only by distinct [fingerprints](VerifierKey::fingerprint).
    ///
    /// # Errors
    /// When the note is malformed, repeats a signature, or bears no sound cosignature of this witness.
    pub fn cosigned(note: &str, witness: &VerifierKey) -> Result<u64, CheckpointError> {
        let opened = OpenNote::parse(note)?;
        Self::parse_body(opened.text)?;
        opened.check_cosignature(witness)
    }

    /// Reads a checkpoint without asking who signed it.
    ///
    /// # Errors
    /// When the note is malformed or repeats a signature.
    pub fn parse_unverified(note: &str) -> Result<Self, CheckpointError> {
        Self::parse_body(OpenNote::parse(note)?.text)
    }

    /// Extension lines are refused: this log's checkpoints have none, and nothing here would check them.
    fn parse_body(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Body);
        };
        let origin = Origin::parse(origin).map_err(|_| CheckpointError::Body)?;
        let size = size.parse().ok().filter(|&size| size <= MAX_INTEGER).ok_or(CheckpointError::Body)?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(CheckpointError::Body)?;
        let checkpoint = Self { origin, size, root: Hash(root) };
        // One spelling only: no leading zeros, no sign, nothing after the third line.
        if checkpoint.body() == text { Ok(checkpoint) } else { Err(CheckpointError::Body) }
    }
}

/// A well-formed note, its signatures not yet checked.
struct OpenNote<'a> {
    /// With its last newline, without the blank line.
    text: &'a str,
    signatures: Vec<Signature>,
}

impl<'a> OpenNote<'a> {
    fn parse(note: &'a str) -> Result<Self, CheckpointError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::Size(note.len()));
        }
        Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Note)?;
        // The text keeps its last newline, the first of the blank line's two.
        let blank = note.rfind("\n\n").ok_or(CheckpointError::Note)?;
        let (text, rest) = note.split_at_checked(blank + 1).ok_or(CheckpointError::Note)?;
        let signatures = rest
            .lines()
            .skip(1)
            .map(|line| Signature::from_bytes(line.as_bytes()).map_err(|_| CheckpointError::Note))
            .collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        if let Some(twice) = signatures.iter().find(|signature| !seen.insert((signature.name(), signature.id()))) {
            return Err(CheckpointError::DuplicateSignature(format!("{}+{:08x}", twice.name(), twice.id())));
        }
        Ok(Self { text, signatures })
    }

    fn check(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        let signature = self.signature_of(key)?;
        // A witness's signature is over another message, so it never passes for a log's.
        if !key.is_witness() && key.accepts(self.text.as_bytes(), signature) {
            Ok(())
        } else {
            Err(CheckpointError::Signature(key.name().to_string()))
        }
    }

    fn check_cosignature(&self, witness: &VerifierKey) -> Result<u64, CheckpointError> {
        let wrong = || CheckpointError::Signature(witness.name().to_string());
        let (time, signature) = self.signature_of(witness)?.split_first_chunk().ok_or_else(wrong)?;
        let time = u64::from_be_bytes(*time);
        let message = format!("cosignature/v1\ntime {time}\n{}", self.text);
        let sound = witness.is_witness() && i64::try_from(time).is_ok();
        if sound && witness.accepts(message.as_bytes(), signature) { Ok(time) } else { Err(wrong()) }
    }

    fn signature_of(&self, key: &VerifierKey) -> Result<&[u8], CheckpointError> {
        let name = key.name().as_str();
        self.signatures
            .iter()
            .find(|signature| signature.name() == name && signature.id() == key.id())
            .map(Signature::signature)
            .ok_or_else(|| CheckpointError::Unsigned(name.to_owned()))
    }
}
