//! The text in which a proof travels: `c2sp.org/tlog-proof@v1`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::MAX_INTEGER;
use crate::checkpoint::MAX_NOTE_BYTES;
use crate::hash::Hash;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// No tree of 2^53 − 1 leaves has a longer path.
pub const MAX_PATH: usize = 53;
/// Most bytes of a proof that is read here: a note, a path, and a record with its entry in base64.
pub const MAX_TLOG_PROOF_BYTES: usize = MAX_NOTE_BYTES + 64 * 1024;

/// A proof's parts. Nothing of it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever the application adds; never empty. The checkpoint does not authenticate it.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed note, verbatim.
    pub checkpoint: String,
}

/// Why a text is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Longer than [`MAX_TLOG_PROOF_BYTES`].
    #[error("a tlog-proof has at most {MAX_TLOG_PROOF_BYTES} bytes, this has {0}")]
    Size(usize),
    /// Another first line.
    #[error("the first line is not \"{HEADER}\"")]
    Header,
    /// Not base64 of at least one byte.
    #[error("the extra line is not base64")]
    Extra,
    /// No index line, or not one decimal number of at most 2^53 − 1.
    #[error("there is no sound index line")]
    Index,
    /// A path line is not base64 of 32 bytes.
    #[error("line {0} of the path is not a hash in base64")]
    Hash(usize),
    /// More than [`MAX_PATH`] hashes.
    #[error("the path is longer than {MAX_PATH} hashes")]
    Path,
    /// No blank line, or nothing after it.
    #[error("there is no checkpoint after a blank line")]
    Checkpoint,
}

impl TlogProof {
    /// Reads a proof; what is read writes back as the same text.
    ///
    /// # Errors
    /// Whenever the text is not exactly what [`Display`](fmt::Display) writes for some proof.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        if text.len() > MAX_TLOG_PROOF_BYTES {
            return Err(TlogProofError::Size(text.len()));
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(TlogProofError::Checkpoint)?;
        if checkpoint.is_empty() {
            return Err(TlogProofError::Checkpoint);
        }
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Header);
        }
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(parse_extra).transpose()?;
        let index = parse_index(lines.next().ok_or(TlogProofError::Index)?)?;
        let path = (1..).zip(lines).map(|(number, line)| parse_hash(number, line)).collect::<Result<_, _>>()?;
        Ok(Self { extra, index, path, checkpoint: checkpoint.to_owned() })
    }
}

fn parse_extra(line: &str) -> Result<Vec<u8>, TlogProofError> {
    let encoded = line.strip_prefix("extra ").ok_or(TlogProofError::Extra)?;
    let extra = STANDARD.decode(encoded).map_err(|_| TlogProofError::Extra)?;
    if extra.is_empty() { Err(TlogProofError::Extra) } else { Ok(extra) }
}

fn parse_index(line: &str) -> Result<u64, TlogProofError> {
    let digits = line.strip_prefix("index ").ok_or(TlogProofError::Index)?;
    let index: u64 = digits.parse().map_err(|_| TlogProofError::Index)?;
    // No sign and no leading zeros.
    if index <= MAX_INTEGER && index.to_string() == digits { Ok(index) } else { Err(TlogProofError::Index) }
}

fn parse_hash(number: usize, line: &str) -> Result<Hash, TlogProofError> {
    if number > MAX_PATH {
        return Err(TlogProofError::Path);
    }
    let bytes = STANDARD.decode(line).map_err(|_| TlogProofError::Hash(number))?;
    bytes.try_into().map(Hash).map_err(|_| TlogProofError::Hash(number))
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
