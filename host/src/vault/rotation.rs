//! A new master key in the place of the old one.
//!
//! The order makes it safe to stop anywhere:
//! 1. the store is told of the change, with each of the two keys wrapped by the other: from here on either one opens all;
//! 2. new data keys are wrapped by the new key, and the old ones are rewrapped, so many in a transaction;
//! 3. the file that the server reads its master key from gets the new one;
//! 4. the store is told that the change is over, and with it the two wrapped keys are gone.
//!
//! A start that finds a change under way finishes it, with whichever of the two keys it is given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavel_store::{AgentId, MasterKeyChange, MasterKeyState, RewrappedDataKey, Store, StoreError, WrappedDataKey};

use super::master::{self, MasterKey, NewMasterKey, Source, VARIABLE};
use super::{Masters, Vault, VaultError};
use crate::config::Config;
use crate::data_dir::{DataDirError, remove_private, replace_private};

/// The associated data of the two keys while they are wrapped by each other.
const NEXT: &[u8] = b"next master key";
const CURRENT: &[u8] = b"current master key";

/// Why the master key was not changed, or may not be used.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// A key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nothing of the installation was encrypted under this key.
    #[error(
        "the master key {given} is not the installation's, which is {stored}: the key was changed by `gavel vault \
         rotate`, or another installation's was given"
    )]
    Another {
        /// The name of the key that was given.
        given: String,
        /// The name of the key that is needed.
        stored: String,
    },
    /// The server cannot put a new key where it reads it from.
    #[error(
        "the master key comes from {VARIABLE}, where only you can change it: give the new one by --new-key-file or in \
         GAVEL_VAULT_NEW_KEY"
    )]
    NoNewKey,
    /// The new key is the old one.
    #[error("the new master key is the one in use")]
    SameKey,
    /// An earlier change is to be finished first.
    #[error("a change to the master key {0} has begun and is not over: rotate without a new key to finish it")]
    UnderWay(String),
    /// A data key that is damaged.
    #[error("the data key of {0} opens under neither master key")]
    DataKey(AgentId),
    /// The new key cannot be put where the server reads it from.
    #[error("the file of the master key: {0}")]
    KeyFile(#[from] DataDirError),
}

impl RotateError {
    /// Whether it was refused, nothing being wrong.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Another { .. }
                | Self::NoNewKey
                | Self::SameKey
                | Self::UnderWay(_)
                | Self::Vault(VaultError::NoKeyFile(_))
        )
    }
}

/// A master key that has taken the old one's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Its name.
    pub name: String,
    /// Data keys that it wraps.
    pub data_keys: u64,
    /// The file that the server reads it from; none where it comes from the environment, and is to be set there.
    pub file: Option<PathBuf>,
}

/// Who rotates an installation's master key: its server, or a command while none runs. Cheap to clone.
#[derive(Clone)]
pub struct Rotation {
    store: Store,
    keys: Keys,
}

#[derive(Clone)]
enum Keys {
    Open(Arc<Vault>),
    /// Opened only when they are needed: other commands need no master key.
    Configured(Arc<Config>),
}

impl Rotation {
    /// The rotation of a running server's master key.
    #[must_use]
    pub fn of_server(store: Store, vault: Arc<Vault>) -> Self {
        Self { store, keys: Keys::Open(vault) }
    }

    /// The rotation of an installation's master key while no server runs.
    #[must_use]
    pub fn of_installation(store: Store, config: Arc<Config>) -> Self {
        Self { store, keys: Keys::Configured(config) }
    }

    /// Puts a new master key in the place of the old one: the given one, or one that is made.
    ///
    /// # Errors
    /// [`RotateError`]. What was begun is finished by the next rotation or the next start.
    pub async fn rotate(&self, given: Option<NewMasterKey>) -> Result<Rotated, RotateError> {
        match &self.keys {
            Keys::Open(vault) => vault.rotate(&self.store, given).await,
            Keys::Configured(config) => {
                let vault = Vault::existing(config)?;
                vault.settle(&self.store).await?;
                vault.rotate(&self.store, given).await
            }
        }
    }
}

impl Vault {
    /// Compares the master key with the one that the store names, and finishes a change that was broken off. To be
    /// called once, before anything is opened.
    ///
    /// # Errors
    /// When the key is another installation's or an old one, or the change cannot be finished.
    pub async fn settle(&self, store: &Store) -> Result<(), RotateError> {
        let given = self.masters().current;
        let Some(state) = store.master_key()? else {
            let state = MasterKeyState { current: given.name().to_owned(), change: None };
            return Ok(store.put_master_key(state).await?);
        };
        let another = || RotateError::Another { given: given.name().to_owned(), stored: state.current.clone() };
        let Some(change) = &state.change else {
            return if given.name() == state.current { Ok(()) } else { Err(another()) };
        };
        let (current, next) = if given.name() == state.current {
            let next = given.unwrap_master(NEXT, &change.next_under_current)?;
            (given, Arc::new(next))
        } else if given.name() == change.next {
            let current = given.unwrap_master(CURRENT, &change.current_under_next)?;
            (Arc::new(current), given)
        } else {
            return Err(another());
        };
        self.change_to(next, current).await;
        let rotated = self.finish(store).await?;
        tracing::warn!(master_key = rotated.name, data_keys = rotated.data_keys, "finished a change of the master key");
        if rotated.file.is_none() {
            tracing::warn!("set {VARIABLE} to the new master key before the next start");
        }
        Ok(())
    }

    async fn rotate(&self, store: &Store, given: Option<NewMasterKey>) -> Result<Rotated, RotateError> {
        let _alone = self.rotating.lock().await;
        let change = store.master_key()?.and_then(|state| state.change);
        match (change, given) {
            (Some(change), Some(given)) if given.0.name() != change.next => {
                return Err(RotateError::UnderWay(change.next));
            }
            (Some(_), _) => {}
            (None, given) => self.begin(store, given).await?,
        }
        let rotated = self.finish(store).await?;
        tracing::info!(master_key = rotated.name, data_keys = rotated.data_keys, "the master key was changed");
        Ok(rotated)
    }

    /// From here on both keys open everything, and new data keys are wrapped by the new one.
    async fn begin(&self, store: &Store, given: Option<NewMasterKey>) -> Result<(), RotateError> {
        let current = self.masters().current;
        let next = match (given, &self.source) {
            (Some(given), _) => *given.0,
            (None, Source::File(_)) => MasterKey::generate(),
            (None, Source::Environment) => return Err(RotateError::NoNewKey),
        };
        if next.name() == current.name() {
            return Err(RotateError::SameKey);
        }
        if let Source::File(path) = &self.source {
            // Shows that the directory can be written, before anything depends on it.
            replace_private(&beside(path), &next.to_file())?;
        }
        let change = MasterKeyChange {
            next: next.name().to_owned(),
            next_under_current: next.wrapped_by(&current, NEXT)?,
            current_under_next: current.wrapped_by(&next, CURRENT)?,
        };
        let state = MasterKeyState { current: current.name().to_owned(), change: Some(change) };
        store.put_master_key(state).await?;
        self.change_to(Arc::new(next), current).await;
        Ok(())
    }

    /// Waits for agents that are being made under the old key: their rows are in the writer's queue, before whatever
    /// the rotation asks of it next.
    async fn change_to(&self, current: Arc<MasterKey>, former: Arc<MasterKey>) {
        let _nobody = self.making.write().await;
        self.set_masters(Masters { current, former: Some(former) });
    }

    async fn finish(&self, store: &Store) -> Result<Rotated, RotateError> {
        let Masters { current: next, former } = self.masters();
        let data_keys = rewrap_all(store, &next, former.as_deref()).await?;
        let file = match &self.source {
            Source::Environment => None,
            Source::File(path) => {
                put_key_file(path, &next)?;
                Some(path.clone())
            }
        };
        store.put_master_key(MasterKeyState { current: next.name().to_owned(), change: None }).await?;
        Ok(Rotated { name: next.name().to_owned(), data_keys, file })
    }
}

/// Rewraps every data key that the new master key does not wrap already. Gives how many there are.
async fn rewrap_all(store: &Store, next: &MasterKey, former: Option<&MasterKey>) -> Result<u64, RotateError> {
    let (mut after, mut data_keys) = (None, 0);
    loop {
        let page = store.data_keys(after.as_ref())?;
        let Some(last) = page.last() else { return Ok(data_keys) };
        after = Some(last.agent);
        data_keys += page.len() as u64;
        let rewrapped =
            page.into_iter().filter_map(|key| rewrap(key, next, former).transpose()).collect::<Result<Vec<_>, _>>()?;
        if !rewrapped.is_empty() {
            store.rewrap_data_keys(rewrapped).await?;
        }
    }
}

/// A data key under the new master key; none if it is so already, or has been destroyed.
fn rewrap(
    WrappedDataKey { agent, wrapped }: WrappedDataKey,
    next: &MasterKey,
    former: Option<&MasterKey>,
) -> Result<Option<RewrappedDataKey>, RotateError> {
    let place = agent.to_string();
    if wrapped.is_empty() || next.cipher().open_key(place.as_bytes(), &wrapped).is_ok() {
        return Ok(None);
    }
    let opened = former.and_then(|former| former.cipher().open_key(place.as_bytes(), &wrapped).ok());
    let key = opened.ok_or(RotateError::DataKey(agent))?;
    let to = next.cipher().seal(place.as_bytes(), key.as_slice())?;
    Ok(Some(RewrappedDataKey { agent, from: wrapped, to }))
}

/// Puts the new key where the server reads it from, unless its operator has done so.
fn put_key_file(path: &Path, next: &MasterKey) -> Result<(), RotateError> {
    let there = master::read(path)?.is_some_and(|key| key.name() == next.name());
    if !there {
        replace_private(path, &next.to_file())?;
    }
    remove_private(&beside(path))?;
    Ok(())
}

/// Where the new key lies while the old one is still needed.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
