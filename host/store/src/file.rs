//! Uploaded files: what is kept of them here. Their bytes are objects elsewhere.
//!
//! Invariant: an object without a row is on the list of unclaimed ones, from before its first byte is written until it is
//! gone. So whoever works that list off leaves no object behind, whenever a crash comes.

use gavel_log::Hash;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::id::{AgentId, FileId, SessionId};
use crate::leaf::{LeafDraft, LeafPlace, within};

/// Most files that are kept or announced at once.
pub const MAX_FILES: usize = 64;
/// Most bytes of a file's name, and of its content type.
const MAX_NAME_BYTES: usize = 1024;

/// What names an object, and nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Whose file it is.
    pub agent: AgentId,
    /// The file.
    pub file: FileId,
}

/// A file as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its id.
    pub id: FileId,
    /// Its name, for people.
    pub name: String,
    /// What its uploader said that it is.
    pub content_type: String,
    /// Its bytes in clear.
    pub size: u64,
    /// SHA-256 of them.
    pub sha256: Hash,
    /// The session of its own whose key its object is encrypted under.
    pub session: SessionId,
    /// The digest of the bindings under which it passes unchanged; none where it is no text, was changed, or not judged.
    pub judged: Option<Hash>,
    /// The leaf of its verdict, if it was judged.
    pub leaf: Option<LeafPlace>,
    /// When it came, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// Files to be kept, all of them or none, and what was judged on the way.
#[derive(Clone, Debug)]
pub struct FilesSeal {
    /// Whose they are; it may be stopped.
    pub agent: AgentId,
    /// At most [`MAX_FILES`].
    pub files: Vec<FileSeal>,
    /// Most bytes that all of the agent's files may have then.
    pub most_bytes: Option<u64>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct FileSeal {
    /// Its session's key, wrapped by the agent's data key.
    pub wrapped_key: Vec<u8>,
    /// Its record, if it was judged.
    pub leaf: Option<LeafDraft>,
    /// The file; its `leaf` is set by the store.
    pub file: StoredFile,
    /// Whether it is kept.
    pub verdict: FileVerdict,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileVerdict {
    /// It is kept.
    Kept,
    /// Only its record is: the file, or one that came with it, was blocked.
    Refused,
}

impl FilesSeal {
    /// Refuses what no transaction is needed to refuse.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        within("a list of files", self.files.len(), MAX_FILES)?;
        self.files.iter().try_for_each(|seal| {
            within("a file's name", seal.file.name.len(), MAX_NAME_BYTES)?;
            within("a file's content type", seal.file.content_type.len(), MAX_NAME_BYTES)?;
            seal.leaf.as_ref().map_or(Ok(()), LeafDraft::check)
        })
    }

    pub(crate) fn weight(&self) -> usize {
        self.files.iter().map(|seal| MAX_NAME_BYTES + seal.leaf.as_ref().map_or(0, LeafDraft::weight)).sum()
    }
}
