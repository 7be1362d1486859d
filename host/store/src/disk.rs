//! The open database file and the log's head that was last committed to it.

use std::sync::{Arc, PoisonError, RwLock};

use gavel_log::{Checkpoint, Hash, SigningKey};
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};

use crate::error::StoreError;
use crate::leaf::LogHead;
use crate::tables::{self, Tables};
use crate::tiles::{StoredTiles, tree_error};

/// Opens the file; called again after an I/O error, since redb then refuses everything until it is reopened.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The database, shared by readers and the one writer.
pub(crate) struct Disk {
    opener: Opener,
    signer: SigningKey,
    /// Or why there is none: it could not be reopened, or it has been closed. Readers hold the lock for one bounded
    /// read, so that no transaction is alive when it is taken for writing.
    database: RwLock<Result<Database, StoreError>>,
    /// Never ahead of what is on disk, and never behind an answer given by the writer. Only the writer sets it.
    head: RwLock<Arc<LogHead>>,
}

impl Disk {
    /// Opens the file, makes its tables if it is new, and checks that the log in it is whole.
    pub(crate) fn open(opener: Opener, signer: SigningKey) -> Result<Self, StoreError> {
        let database = opener()?;
        let head = prepare(&database, &signer)?;
        Ok(Self { opener, signer, database: RwLock::new(Ok(database)), head: RwLock::new(Arc::new(head)) })
    }

    /// Closes the file and opens it anew. Until that succeeds, reads and writes get the reason why it did not.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file's lock is the process's own otherwise.
        *database = Err(StoreError::Closed);
        let opened = self.open_again();
        let outcome = opened.as_ref().map_or_else(|error| Err(error.clone()), |_| Ok(()));
        *database = opened;
        outcome
    }

    fn open_again(&self) -> Result<Database, StoreError> {
        let opened = (self.opener)()?;
        let head = prepare(&opened, &self.signer)?;
        let (found, known) = (head.size, self.head().size);
        if found < known {
            return Err(StoreError::Corrupt(format!(
                "the log on disk has {found} entries, but {known} have been acknowledged"
            )));
        }
        self.publish(head);
        Ok(opened)
    }

    /// Closes the file; every later read and write is refused.
    pub(crate) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Err(StoreError::Closed);
    }

    /// Runs one bounded read in a transaction of its own.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().map_err(Clone::clone)?.begin_read()?;
        read(&transaction)
    }

    /// Begins a write transaction. To be called by the writer alone, which never holds two.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().map_err(Clone::clone)?.begin_write()?)
    }

    /// The newest committed head.
    pub(crate) fn head(&self) -> Arc<LogHead> {
        Arc::clone(&self.head.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a head known that has just been committed.
    pub(crate) fn publish(&self, head: LogHead) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(head);
    }

    /// A head over this tree, signed.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> LogHead {
        sign(&self.signer, size, root)
    }
}

fn sign(signer: &SigningKey, size: u64, root: Hash) -> LogHead {
    let checkpoint = Checkpoint { origin: signer.origin().clone(), size, root };
    LogHead { size, root, checkpoint: signer.sign(&checkpoint).into() }
}

/// Makes a new file's tables, or checks an old one's schema and log, and gives the log's head.
fn prepare(database: &Database, signer: &SigningKey) -> Result<LogHead, StoreError> {
    if tables::schema(&database.begin_read()?)?.is_none() {
        let head = sign(signer, 0, Hash::of(&[]));
        store_head(database, &head, tables::create)?;
        return Ok(head);
    }
    let head = checked_head(&database.begin_read()?, signer)?;
    if Checkpoint::verify(&head.checkpoint, signer.verifier_key()).is_ok() {
        return Ok(head);
    }
    // The signing key has been replaced: its holders have to find a head that it signed.
    let head = sign(signer, head.size, head.root);
    store_head(database, &head, |_| Ok(()))?;
    Ok(head)
}

fn store_head(
    database: &Database,
    head: &LogHead,
    also: impl FnOnce(&mut Tables<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    also(&mut tables)?;
    tables.signed_heads.insert(head.size, &*head.checkpoint)?;
    drop(tables);
    transaction.commit()?;
    Ok(())
}

/// The stored head, if tree and entries are those that it signs. Only the tree's right edge is read.
fn checked_head(transaction: &ReadTransaction, signer: &SigningKey) -> Result<LogHead, StoreError> {
    let heads = transaction.open_table(tables::SIGNED_HEADS)?;
    let (size, note) = heads.last()?.ok_or_else(|| StoreError::Corrupt("it has no checkpoint".into()))?;
    let (size, note) = (size.value(), note.value());
    let checkpoint = Checkpoint::parse_unverified(note)
        .map_err(|error| StoreError::Corrupt(format!("its checkpoint cannot be read: {error}")))?;
    if checkpoint.origin != *signer.origin() {
        let (stored, given) = (checkpoint.origin.to_string(), signer.origin().to_string());
        return Err(StoreError::Origin { stored, given });
    }
    let tiles = transaction.open_table(tables::TILES)?;
    let root = gavel_log::root(&StoredTiles(&tiles), size).map_err(tree_error)?;
    if (checkpoint.size, checkpoint.root) != (size, root) {
        return Err(StoreError::Corrupt(format!(
            "its tree of {size} entries is not the one that its checkpoint signs"
        )));
    }
    let entries = transaction.open_table(tables::ENTRIES)?;
    let count = entries.last()?.map_or(0, |(index, _)| index.value() + 1);
    if count != size {
        return Err(StoreError::Corrupt(format!("it has {count} entries, but its checkpoint signs {size}")));
    }
    Ok(LogHead { size, root, checkpoint: note.into() })
}
