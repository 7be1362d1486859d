//! The data directory: where it is, and the small private files in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// No private file is larger; more is a sign that it is not what it should be.
const MAX_PRIVATE_FILE_BYTES: u64 = 64 * 1024;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A private file that others may read is no secret.
    #[error("{} can be read by others (mode {mode:03o}): set it to 600", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A private file is larger than any of ours.
    #[error("{} is larger than {MAX_PRIVATE_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// A directory that exists and only its owner may enter.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// What [`DataDir::private_file`] found or made.
#[derive(Debug)]
pub struct PrivateFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether this call made it.
    pub made: bool,
}

impl DataDir {
    /// Opens the directory, making it (mode 0700) where it is missing.
    ///
    /// # Errors
    /// When it can be neither found nor made.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| DataDirError::Io { path: path.to_owned(), source })?;
        Ok(Self(path.to_owned()))
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads a private file, or makes it with what `make` gives.
    ///
    /// It appears whole or not at all, whenever the power goes, and of two processes that make it at once both
    /// read what the first one wrote.
    ///
    /// # Errors
    /// When the operating system refuses, the file is readable by others, or it is larger than 64 KiB.
    pub fn private_file(&self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<PrivateFile, DataDirError> {
        let path = self.0.join(name);
        if let Some(bytes) = read_private(&path)? {
            return Ok(PrivateFile { bytes, made: false });
        }
        let made = self.publish(&path, name, &make())?;
        let bytes = read_private(&path)?
            .ok_or_else(|| DataDirError::Io { path: path.clone(), source: io::Error::from(io::ErrorKind::NotFound) })?;
        Ok(PrivateFile { bytes, made })
    }

    /// Replaces a private file by a new one with these bytes.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn replace_private_file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, DataDirError> {
        let path = self.0.join(name);
        let draft = self.draft(name, bytes)?;
        fs::rename(&draft, &path)
            .and_then(|()| self.sync())
            .map_err(|source| DataDirError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// False when another process was first.
    fn publish(&self, path: &Path, name: &str, bytes: &[u8]) -> Result<bool, DataDirError> {
        let draft = self.draft(name, bytes)?;
        let linked = match fs::hard_link(&draft, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        };
        let _ = fs::remove_file(&draft);
        let made = linked.map_err(|source| DataDirError::Io { path: path.to_owned(), source })?;
        self.sync().map_err(|source| DataDirError::Io { path: self.0.clone(), source })?;
        Ok(made)
    }

    fn draft(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, DataDirError> {
        let draft = self.0.join(format!(".{name}.{}", hex::encode(crate::random::random::<8>())));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| DataDirError::Io { path: draft.clone(), source })?;
        Ok(draft)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// Replaces a file that holds a secret, wherever it is, by one with these bytes that its owner alone may read. It is
/// the old one or the new one, whenever the power goes. Where the path is a link, what it leads to is replaced.
///
/// # Errors
/// When the operating system refuses.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let invalid = || DataDirError::Io { path: path.clone(), source: io::Error::from(io::ErrorKind::InvalidFilename) };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DataDir(directory.to_owned()).replace_private_file(name, bytes).map(drop)
}

/// Removes a file that holds a secret, where it is there.
///
/// # Errors
/// When the operating system refuses.
pub fn remove_private(path: &Path) -> Result<(), DataDirError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DataDirError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Reads a file that holds a secret; none when it is not there.
///
/// # Errors
/// When it is readable by others, too large, or cannot be read.
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, DataDirError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::NotPrivate { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(MAX_PRIVATE_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_PRIVATE_FILE_BYTES {
        return Err(DataDirError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_made_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(&directory.path().join("data")).unwrap();
        let first = data.private_file("key", || b"one".to_vec()).unwrap();
        let second = data.private_file("key", || b"two".to_vec()).unwrap();
        assert!(first.made && !second.made);
        assert_eq!(second.bytes, b"one");
        let mode = fs::metadata(data.path().join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, b"secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_private(&path), Err(DataDirError::NotPrivate { mode: 0o644, .. })));
    }

    #[test]
    fn a_replaced_file_holds_the_new_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        data.replace_private_file("token", b"one").unwrap();
        let path = data.replace_private_file("token", b"two").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap(), b"two");
    }
}
