//! Compiled machine code on disk. It is trusted code, so each file is authenticated before it is run.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime};

use gavel_log::Hash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the authentication tag in front of the code.
const TAG_BYTES: usize = 32;
/// Most bytes of a file that is read back.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// What separates a file's name from the random part that it has until it is whole.
const PARTIAL: char = '.';
/// A file that has been partial for so long is a crash's. Another server with the same directory may be writing a
/// younger one.
const PARTIAL_AGE: Duration = Duration::from_secs(120);

/// A directory (mode 0700) of machine code, keyed by what was compiled and by the engine that compiled it.
pub struct CodeCache {
    directory: PathBuf,
    key: [u8; 32],
    /// Most bytes of all files together.
    limit: u64,
    /// Held while old files are removed, which one thread at a time is enough for.
    pruning: Mutex<()>,
}

impl CodeCache {
    /// Opens the directory, making it if need be, and removes what a crash left in it. `key` authenticates the files:
    /// who does not have it can put no code there. When the files have more than `limit` bytes, those that were used
    /// longest ago are removed.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn open(directory: PathBuf, key: [u8; 32], limit: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let cache = Self { directory, key, limit, pruning: Mutex::new(()) };
        cache.prune();
        Ok(cache)
    }

    /// The code for `name`, if it is there, is of this engine and is authentic.
    pub(crate) fn load(&self, engine: &Engine, name: Hash) -> Option<Component> {
        let id = file_id(engine, name);
        let file = File::open(self.directory.join(id.to_string())).ok()?;
        let size = file.metadata().ok()?.len();
        if size > MAX_FILE_BYTES {
            return None;
        }
        // Read once: what is verified is what is run.
        let mut read = Vec::with_capacity(usize::try_from(size).ok()?);
        (&file).take(MAX_FILE_BYTES).read_to_end(&mut read).ok()?;
        let (tag, code) = read.split_at_checked(TAG_BYTES)?;
        self.mac(id, code)?.verify_slice(tag).ok()?;
        #[expect(unsafe_code, reason = "the bytes were authenticated above as our own compiler's output")]
        // SAFETY: the tag shows that this process's key holder wrote these bytes, which it takes from
        // `Component::serialize` alone; the engine's compatibility hash is part of the authenticated id.
        let component = unsafe { Component::deserialize(engine, code) }.ok()?;
        // The time of its last use, for `prune`. Without it the file only goes earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(component)
    }

    /// Keeps the code. A cache that cannot be written is only slower, so faults are reported and go no further.
    pub(crate) fn store(&self, engine: &Engine, name: Hash, component: &Component) {
        if let Err(error) = self.try_store(engine, name, component) {
            tracing::warn!(%error, "compiled code could not be cached");
        }
        self.prune();
    }

    fn try_store(&self, engine: &Engine, name: Hash, component: &Component) -> wasmtime::Result<()> {
        let id = file_id(engine, name);
        let code = component.serialize()?;
        let Some(mac) = self.mac(id, &code) else { return Ok(()) };
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| wasmtime::format_err!("{error}"))?;
        let partial = self.directory.join(format!("{id}{PARTIAL}{}", hex::encode(random)));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        let written = file
            .write_all(&mac.finalize().into_bytes())
            .and_then(|()| file.write_all(&code))
            .and_then(|()| fs::rename(&partial, self.directory.join(id.to_string())));
        if let Err(error) = written {
            // A full disk must not fill with the halves of what does not fit.
            let _ = fs::remove_file(partial);
            return Err(error.into());
        }
        Ok(())
    }

    /// Removes what a crash left, and then the files used longest ago until the rest is within the limit.
    fn prune(&self) {
        let _pruning = match self.pruning.try_lock() {
            Err(TryLockError::WouldBlock) => return,
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        if let Err(error) = self.try_prune() {
            tracing::warn!(%error, "the cache of compiled code could not be pruned");
        }
    }

    fn try_prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // One that is gone meanwhile was pruned by another server.
            let Ok((used, size)) = metadata(&entry) else { continue };
            if !entry.file_name().to_string_lossy().contains(PARTIAL) {
                files.push((used, size, entry.path()));
            } else if used.elapsed().is_ok_and(|age| age > PARTIAL_AGE) {
                let _ = fs::remove_file(entry.path());
            }
        }
        files.sort_unstable();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= self.limit {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
        Ok(())
    }

    fn mac(&self, id: Hash, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(id.as_bytes());
        mac.update(code);
        Some(mac)
    }
}

/// When a file was used last, and its bytes.
fn metadata(entry: &DirEntry) -> io::Result<(SystemTime, u64)> {
    let metadata = entry.metadata()?;
    Ok((metadata.modified()?, metadata.len()))
}

/// Code is only good for the engine that made it.
fn file_id(engine: &Engine, name: Hash) -> Hash {
    use std::hash::{Hash as _, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut id = name.as_bytes().to_vec();
    id.extend_from_slice(&hasher.finish().to_be_bytes());
    Hash::of(&id)
}
