//! Compiled machine code on disk. It is trusted code, so each file is authenticated before it is run.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use gavel_log::Hash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the authentication tag in front of the code.
const TAG_BYTES: usize = 32;
/// Most bytes of a file that is read back.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A directory (mode 0700) of machine code, keyed by what was compiled and by the engine that compiled it.
pub struct CodeCache {
    directory: PathBuf,
    key: [u8; 32],
}

impl CodeCache {
    /// Opens the directory, making it if need be. `key` authenticates the files: who does not have it can put no code
    /// there.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn open(directory: PathBuf, key: [u8; 32]) -> std::io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory, key })
    }

    /// The code for `name`, if it is there, is of this engine and is authentic.
    pub(crate) fn load(&self, engine: &Engine, name: Hash) -> Option<Component> {
        let id = file_id(engine, name);
        let path = self.directory.join(id.to_string());
        if fs::metadata(&path).ok()?.len() > MAX_FILE_BYTES {
            return None;
        }
        // Read once: what is verified is what is run.
        let file = fs::read(&path).ok()?;
        let (tag, code) = file.split_at_checked(TAG_BYTES)?;
        self.mac(id, code)?.verify_slice(tag).ok()?;
        #[expect(unsafe_code, reason = "the bytes were authenticated above as our own compiler's output")]
        // SAFETY: the tag shows that this process's key holder wrote these bytes, which it takes from
        // `Component::serialize` alone; the engine's compatibility hash is part of the authenticated id.
        let component = unsafe { Component::deserialize(engine, code) };
        component.ok()
    }

    /// Keeps the code. A cache that cannot be written is only slower, so faults are reported and go no further.
    pub(crate) fn store(&self, engine: &Engine, name: Hash, component: &Component) {
        if let Err(error) = self.try_store(engine, name, component) {
            tracing::warn!(%error, "compiled code could not be cached");
        }
    }

    fn try_store(&self, engine: &Engine, name: Hash, component: &Component) -> wasmtime::Result<()> {
        let id = file_id(engine, name);
        let code = component.serialize()?;
        let Some(mac) = self.mac(id, &code) else { return Ok(()) };
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| wasmtime::format_err!("{error}"))?;
        let partial = self.directory.join(format!("{id}.{}", hex::encode(random)));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(&mac.finalize().into_bytes())?;
        file.write_all(&code)?;
        drop(file);
        fs::rename(partial, self.directory.join(id.to_string()))?;
        Ok(())
    }

    fn mac(&self, id: Hash, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(id.as_bytes());
        mac.update(code);
        Some(mac)
    }
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
