//! The open database file and the log's head that was last committed to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use gavel_log::{Checkpoint, Edge, Hash, SigningKey};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    WriteTransaction,
};

use crate::error::StoreError;
use crate::journal::{Emptying, HALF_BYTES, Journaled};
use crate::leaf::{Leaf, LogHead};
use crate::observe::Gauges;
use crate::tables::{self, Tables};
use crate::tiles::{self, FullTiles, Tiles, tree_error};

/// The database's name in the data directory.
pub const FILE_NAME: &str = "gavel.redb";
/// The name of its journal, which belongs to it: the two are to be copied together. A clean end leaves it empty.
pub const JOURNAL_NAME: &str = "gavel.redb-journal";

/// Opens the file; called again after an I/O error, since redb then refuses everything until it is reopened.
pub(crate) type Opener = Box<dyn Fn(Emptying) -> Result<Database, DatabaseError> + Send + Sync>;

/// Opens the database of a directory.
pub(crate) fn in_directory(dir: &Path, cache_bytes: usize, gauges: Arc<Gauges>) -> Opener {
    let (path, journal) = (dir.join(FILE_NAME), dir.join(JOURNAL_NAME));
    Box::new(move |empty| {
        let journal = open_file(&journal)?;
        // The replay writes the file before redb locks it.
        journal.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DatabaseError::DatabaseAlreadyOpen,
            TryLockError::Error(error) => error.into(),
        })?;
        let (file, journal) = (FileBackend::new(open_file(&path)?)?, FileBackend::new(journal)?);
        sync_directory(&path)?;
        let backend = Journaled::open(file, journal, HALF_BYTES, empty)?.measured(Arc::clone(&gauges));
        Builder::new().set_cache_size(cache_bytes).create_with_backend(backend)
    })
}

/// Opens a file that its owner alone may read, or makes it.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the names of new files durable: without its name a journal is lost, whatever of it was flushed.
fn sync_directory(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// The database, shared by readers and the one writer.
pub(crate) struct Disk {
    opener: Opener,
    /// Of the open file's journal.
    journal: Emptying,
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
        let journal = Emptying::default();
        let database = opener(journal.clone())?;
        let head = prepare(&database, &signer)?;
        Ok(Self { opener, journal, signer, database: RwLock::new(Ok(database)), head: RwLock::new(Arc::new(head)) })
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
        let opened = (self.opener)(self.journal.clone())?;
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

    /// With the next commit the journal loses what it holds, this commit's pages and those before. To be called by the
    /// writer alone.
    pub(crate) fn empty_journal(&self) {
        self.journal.ask();
    }

    /// The newest committed head.
    pub(crate) fn head(&self) -> Arc<LogHead> {
        Arc::clone(&self.head.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a head known that has just been committed.
    pub(crate) fn publish(&self, head: LogHead) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(head);
    }

    /// Runs one bounded read of the tree of a committed head, which the transaction holds all of.
    pub(crate) fn read_tree<T>(
        &self,
        read: impl FnOnce(&LogHead, &Tiles<'_, ReadOnlyTable<(u8, u64), &'static [u8]>>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let head = self.head();
        self.read(|transaction| {
            let table = transaction.open_table(tables::TILES)?;
            read(&head, &Tiles { full: FullTiles(&table), edge: &head.edge })
        })
    }

    /// The head of the tree with this edge, signed.
    pub(crate) fn sign(&self, edge: Edge) -> LogHead {
        sign(&self.signer, edge)
    }
}

fn sign(signer: &SigningKey, edge: Edge) -> LogHead {
    let (size, root) = (edge.size(), edge.root());
    let checkpoint = Checkpoint { origin: signer.origin().clone(), size, root };
    LogHead { size, root, checkpoint: signer.sign(&checkpoint).into(), edge }
}

/// Makes a new file's tables, or checks an old one's schema and log, and gives the log's head.
fn prepare(database: &Database, signer: &SigningKey) -> Result<LogHead, StoreError> {
    if tables::schema(&database.begin_read()?)?.is_none() {
        let transaction = database.begin_write()?;
        tables::create(&mut Tables::of(&transaction))?;
        transaction.commit()?;
        return Ok(sign(signer, Edge::empty()));
    }
    let Some(head) = checked_head(&database.begin_read()?, signer)? else {
        return Ok(sign(signer, Edge::empty()));
    };
    if Checkpoint::verify(&head.checkpoint, signer.verifier_key()).is_ok() {
        return Ok(head);
    }
    // The signing key has been replaced: its holders have to find a head that it signed.
    let head = sign(signer, head.edge);
    let transaction = database.begin_write()?;
    sign_anew(&mut transaction.open_table(tables::LEAVES)?, &head)?;
    transaction.commit()?;
    Ok(head)
}

/// Replaces the checkpoint of the last leaf.
fn sign_anew(leaves: &mut Table<'_, u64, &'static [u8]>, head: &LogHead) -> Result<(), StoreError> {
    let Some((index, last)) = leaves.last()?.map(|(index, leaf)| (index.value(), leaf.value().to_vec())) else {
        return Ok(());
    };
    let signed = Leaf { checkpoint: Some(&head.checkpoint), ..Leaf::decode(&last)? };
    leaves.insert(index, signed.encode().as_slice())?;
    Ok(())
}

/// The stored head, if the tree is the one that it signs; none of an empty log. Only the tree's right edge is read.
fn checked_head(transaction: &ReadTransaction, signer: &SigningKey) -> Result<Option<LogHead>, StoreError> {
    let leaves = transaction.open_table(tables::LEAVES)?;
    let Some((index, last)) = leaves.last()? else {
        return Ok(None);
    };
    let size = index.value() + 1;
    let note = Leaf::decode(last.value())?.checkpoint;
    let note = note.ok_or_else(|| StoreError::Corrupt("its last leaf has no checkpoint".into()))?;
    let checkpoint = Checkpoint::parse_unverified(note)
        .map_err(|error| StoreError::Corrupt(format!("its checkpoint cannot be read: {error}")))?;
    if checkpoint.origin != *signer.origin() {
        let (stored, given) = (checkpoint.origin.to_string(), signer.origin().to_string());
        return Err(StoreError::Origin { stored, given });
    }
    let newest: Vec<Hash> = leaves
        .range(tiles::unfinished(size)..)?
        .map(|leaf| Ok(Hash::leaf(Leaf::decode(leaf?.1.value())?.entry)))
        .collect::<Result<_, StoreError>>()?;
    let edge = Edge::rebuild(&FullTiles(&transaction.open_table(tables::TILES)?), size, newest).map_err(tree_error)?;
    let root = edge.root();
    if (checkpoint.size, checkpoint.root) != (size, root) {
        return Err(StoreError::Corrupt(format!(
            "its tree of {size} entries is not the one that its checkpoint signs"
        )));
    }
    Ok(Some(LogHead { size, root, checkpoint: note.into(), edge }))
}
