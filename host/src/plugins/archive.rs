//! The bytes of every component that ever served, by their SHA-256, so that a verdict can be computed again.
//!
//! Invariant: what [`Archive::read`] gives under a digest has that digest. A file is there whole or not at all, whenever the
//! power goes, and is never changed.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gavel_log::Hash;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;

/// The archive's directory in the data directory.
const DIRECTORY: &str = "components";
/// What a component's file is called behind its digest.
const SUFFIX: &str = ".wasm";
/// What a file's name ends with while it is written.
const PARTIAL: &str = ".partial";

/// Why the archive cannot keep or give bytes.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("the archive of components: {0}")]
    Io(#[from] io::Error),
    /// A file's bytes are not those that its name stands for.
    #[error("the archived component {} is damaged", .0.tagged())]
    Damaged(Hash),
    /// No component is larger, so none is kept.
    #[error("a component of {0} bytes is more than the archive takes")]
    TooLarge(usize),
}

/// A directory (mode 0700) of components.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// Opens the archive of a data directory, making it if need be.
    ///
    /// # Errors
    /// If it can be neither found nor made.
    pub fn open(data_dir: &Path) -> Result<Self, ArchiveError> {
        let directory = data_dir.join(DIRECTORY);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let archive = Self { directory };
        archive.remove_partial_files()?;
        Ok(archive)
    }

    /// Keeps bytes, durably when it returns, and gives their digest. Those that are there already are left alone.
    ///
    /// # Errors
    /// If they are too many or cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<Hash, ArchiveError> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(ArchiveError::TooLarge(bytes.len()));
        }
        let digest = Hash::of(bytes);
        if matches!(self.read(&digest), Ok(Some(_))) {
            return Ok(digest);
        }
        let partial = self.directory.join(format!("{digest}.{}{PARTIAL}", hex::encode(crate::random::random::<8>())));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, self.path(&digest))?;
        File::open(&self.directory)?.sync_all()?;
        Ok(digest)
    }

    /// The bytes with this digest; none where they were never kept.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what it should be.
    pub fn read(&self, digest: &Hash) -> Result<Option<Vec<u8>>, ArchiveError> {
        let file = match File::open(self.path(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if size > MAX_COMPONENT_BYTES {
            return Err(ArchiveError::Damaged(*digest));
        }
        let mut bytes = Vec::with_capacity(size);
        file.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if Hash::of(&bytes) == *digest { Ok(Some(bytes)) } else { Err(ArchiveError::Damaged(*digest)) }
    }

    /// The digests of all that is kept.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn digests(&self) -> Result<BTreeSet<Hash>, ArchiveError> {
        let mut digests = BTreeSet::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            digests.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<Hash>().ok()));
        }
        Ok(digests)
    }

    /// Removes the bytes with this digest, for good when it returns.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn remove(&self, digest: &Hash) -> Result<(), ArchiveError> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(File::open(&self.directory)?.sync_all()?)
    }

    fn path(&self, digest: &Hash) -> PathBuf {
        self.directory.join(format!("{digest}{SUFFIX}"))
    }

    /// What a crash left half-written.
    fn remove_partial_files(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn bytes_are_found_by_their_digest_after_another_opening() {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::open(data.path()).unwrap();
        let digest = archive.keep(b"a component").unwrap();
        assert_eq!(archive.keep(b"a component").unwrap(), digest);
        let again = Archive::open(data.path()).unwrap();
        assert_eq!(again.read(&digest).unwrap().unwrap(), b"a component");
        assert_eq!(again.read(&Hash::of(b"another")).unwrap(), None);
        let file = archive.path(&digest);
        assert_eq!(file, data.path().join(format!("components/{digest}.wasm")));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&archive.directory), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn damage_is_noticed_and_mended_by_whoever_has_the_bytes() {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::open(data.path()).unwrap();
        let digest = archive.keep(b"a component").unwrap();
        fs::write(archive.path(&digest), b"another one").unwrap();
        assert!(matches!(archive.read(&digest), Err(ArchiveError::Damaged(found)) if found == digest));
        archive.keep(b"a component").unwrap();
        assert_eq!(archive.read(&digest).unwrap().unwrap(), b"a component");
    }

    #[test]
    fn what_a_crash_left_half_written_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::open(data.path()).unwrap();
        let digest = archive.keep(b"whole").unwrap();
        fs::write(archive.directory.join("0123.partial"), b"ha").unwrap();
        let archive = Archive::open(data.path()).unwrap();
        assert_eq!(fs::read_dir(&archive.directory).unwrap().count(), 1);
        assert!(archive.read(&digest).unwrap().is_some());
    }
}
