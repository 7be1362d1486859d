//! The watched directory: what its files are, and what became of them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gavel_log::Hash;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;
use gavel_store::PluginChange;

use super::install::{InstallError, Source};
use super::trust::{Evidence, MAX_SIGNATURE_BYTES};
use super::{PluginError, Plugins, lock};

/// The directory's name in the data directory.
const DIRECTORY: &str = "plugins";
/// What a plugin's file ends with.
const SUFFIX: &str = ".wasm";
/// What the file of its signature has behind that.
const SIGNATURE_SUFFIX: &str = ".sig";
/// Most files that are taken, in the order of their names.
const MAX_FILES: usize = 256;

/// What a plugin's file looks like from outside, and that of its signature, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    component: FileLook,
    signature: Option<FileLook>,
}

/// A file that was written to or replaced looks otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileLook {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
}

/// A plugin as its files give it.
struct Given {
    component: Vec<u8>,
    evidence: Evidence,
}

impl FileLook {
    fn of(file: &Metadata) -> Self {
        Self { bytes: file.len(), inode: file.ino(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

/// A file that gives no plugin.
#[derive(Clone, Debug)]
pub(super) struct RefusedFile {
    pub(super) file: String,
    pub(super) digest: Option<Hash>,
    pub(super) error: String,
}

/// What became of a file as it looked when it was read.
struct Taken {
    look: Look,
    outcome: Result<Hash, RefusedFile>,
}

/// The directory, and what is known of its files.
pub(super) struct Directory {
    path: PathBuf,
    taken: Mutex<BTreeMap<String, Taken>>,
}

impl Directory {
    /// Opens the directory of a data directory, making it if need be.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(DIRECTORY);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path, taken: Mutex::default() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The plugins' files as they look now.
    pub(super) fn files(&self) -> io::Result<BTreeMap<String, Look>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(plugin_file).map(str::to_owned) else { continue };
            // A link counts as what it leads to; a file that is gone already counts as gone.
            if let Ok(file) = fs::metadata(entry.path())
                && file.is_file()
            {
                let signature = fs::metadata(self.signature_path(&name)).ok().filter(Metadata::is_file);
                let signature = signature.as_ref().map(FileLook::of);
                files.insert(name, Look { component: FileLook::of(&file), signature });
            }
        }
        Ok(files)
    }

    /// How a file looked when it was last taken.
    pub(super) fn known(&self, file: &str) -> Option<Look> {
        lock(&self.taken).get(file).map(|taken| taken.look)
    }

    /// The files that were taken and not dropped since.
    pub(super) fn known_files(&self) -> Vec<String> {
        lock(&self.taken).keys().cloned().collect()
    }

    pub(super) fn refused(&self) -> Vec<RefusedFile> {
        lock(&self.taken).values().filter_map(|taken| taken.outcome.as_ref().err().cloned()).collect()
    }

    /// Reads the files of a plugin that rest: none where one changed meanwhile.
    fn read(&self, file: &str, look: Look) -> io::Result<Option<Given>> {
        let evidence = match look.signature {
            Some(look) => match read(&self.signature_path(file), look, MAX_SIGNATURE_BYTES)? {
                Some(signature) => Evidence::Detached(signature),
                None => return Ok(None),
            },
            None => Evidence::None,
        };
        let component = read(&self.path.join(file), look.component, MAX_COMPONENT_BYTES as u64)?;
        Ok(component.map(|component| Given { component, evidence }))
    }

    fn signature_path(&self, file: &str) -> PathBuf {
        self.path.join(format!("{file}{SIGNATURE_SUFFIX}"))
    }
}

/// Reads a file that rests, one byte more than it may have at most: none where it changed meanwhile.
fn read(path: &Path, look: FileLook, max: u64) -> io::Result<Option<Vec<u8>>> {
    let opened = fs::File::open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(look.bytes.min(max)).unwrap_or(0));
    (&opened).take(max + 1).read_to_end(&mut bytes)?;
    let rests = FileLook::of(&opened.metadata()?) == look && FileLook::of(&fs::metadata(path)?) == look;
    Ok(rests.then_some(bytes))
}

/// The name, if it is that of a plugin's file. A hidden one is somebody's draft.
pub(super) fn plugin_file(name: &str) -> Option<&str> {
    (name.ends_with(SUFFIX) && !name.starts_with('.')).then_some(name)
}

/// The name of the plugin's file that this one is, or is the signature of.
pub(super) fn plugin_of(name: &str) -> Option<&str> {
    plugin_file(name.strip_suffix(SIGNATURE_SUFFIX).unwrap_or(name))
}

impl Plugins {
    /// Takes a file as it looks now. False where it changed while it was read: it does not rest yet.
    pub(super) async fn take_file(self: &Arc<Self>, file: &str, look: Look) -> bool {
        let outcome = match self.read_file(file, look).await {
            Ok(None) => return false,
            Ok(Some(Given { component, evidence })) => {
                let digest = Hash::of(&component);
                let source = Source::Directory(file.to_owned());
                let installed = self.install(component.into(), source, evidence).await;
                installed.map(|installed| installed.digest).map_err(|error| (Some(digest), error.to_string()))
            }
            Err(error) => Err((None, error)),
        };
        let outcome = outcome.map_err(|(digest, error)| {
            tracing::warn!(file, error, "a file in the plugins' directory is refused");
            RefusedFile { file: file.to_owned(), digest, error }
        });
        lock(&self.directory.taken).insert(file.to_owned(), Taken { look, outcome });
        true
    }

    async fn read_file(self: &Arc<Self>, file: &str, look: Look) -> Result<Option<Given>, String> {
        if self.directory.known(file).is_none() && lock(&self.directory.taken).len() >= MAX_FILES {
            return Err(format!("the directory has more than {MAX_FILES} plugins"));
        }
        if look.component.bytes > MAX_COMPONENT_BYTES as u64 {
            return Err(InstallError::TooLarge(look.component.bytes).to_string());
        }
        let (plugins, name) = (Arc::clone(self), file.to_owned());
        let read = tokio::task::spawn_blocking(move || plugins.directory.read(&name, look)).await;
        match read {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(Err(error)) => Err(format!("it cannot be read: {error}")),
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }

    /// Takes what a file gave off the list: the file is gone. Those who are pinned to its digest keep it.
    pub(super) async fn drop_file(&self, file: &str) -> Result<(), PluginError> {
        let _changing = self.changes.lock().await;
        let catalogue = self.catalogue();
        let given = catalogue.versions().filter(|version| version.is_from_file(file));
        let unlist: Vec<_> = given.map(|version| version.digest).collect();
        if !unlist.is_empty() {
            tracing::info!(file, "a file has left the plugins' directory: what it gave is no longer listed");
            self.change(PluginChange { list: Vec::new(), unlist: unlist.clone() }).await?;
        }
        let mut taken = lock(&self.directory.taken);
        taken.remove(file);
        // Another file with the same bytes gives them from now on: it is taken anew.
        taken.retain(|_, other| !other.outcome.as_ref().is_ok_and(|digest| unlist.contains(digest)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_end_in_wasm_and_are_no_drafts_are_seen() {
        let data = tempfile::tempdir().unwrap();
        let directory = Directory::open(data.path()).unwrap();
        for name in ["a.wasm", ".b.wasm", "c.wasm.partial", "d.txt"] {
            fs::write(directory.path().join(name), b"x").unwrap();
        }
        fs::create_dir(directory.path().join("e.wasm")).unwrap();
        std::os::unix::fs::symlink("a.wasm", directory.path().join("f.wasm")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.path().join("g.wasm")).unwrap();
        assert!(directory.files().unwrap().keys().eq(["a.wasm", "f.wasm"]));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_does_not_rest() {
        let data = tempfile::tempdir().unwrap();
        let directory = Directory::open(data.path()).unwrap();
        let path = directory.path().join("a.wasm");
        fs::write(&path, b"one").unwrap();
        let look = directory.files().unwrap()["a.wasm"];
        assert_eq!(directory.read("a.wasm", look).unwrap().unwrap().component, b"one");
        fs::write(directory.path().join("a.wasm.sig"), b"signature").unwrap();
        let signed = directory.files().unwrap()["a.wasm"];
        assert_ne!(signed, look);
        let given = directory.read("a.wasm", signed).unwrap().unwrap();
        assert!(matches!(given.evidence, Evidence::Detached(signature) if signature == b"signature"));
        fs::write(&path, b"longer").unwrap();
        assert!(directory.read("a.wasm", look).unwrap().is_none());
        fs::remove_file(directory.path().join("a.wasm.sig")).unwrap();
        assert!(directory.read("a.wasm", signed).is_err());
    }
}
