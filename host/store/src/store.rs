//! The store: what callers hold.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gavel_log::{Hash, SigningKey};
use tokio::sync::oneshot;

use crate::agent::{Agent, AgentChange, CheckpointDraft, SessionCheckpoint, StartSession, Started};
use crate::api_key::ApiKey;
use crate::disk::{self, Disk, Opener};
use crate::erasure::Erasure;
use crate::error::StoreError;
use crate::file::{FilesSeal, MAX_FILES, ObjectId};
use crate::id::{AgentId, CheckpointId, FileId, KeyId, MessageId, SessionId, UserId};
use crate::idempotency::{Ask, Asked, KeptAnswer, MAX_ANSWER_BYTES};
use crate::journal::HALF_BYTES;
use crate::leaf::{LogHead, Sealed, within};
use crate::observe::{CommitObserver, Gauges, StoreStatus};
use crate::turn::{InputSeal, InputSealed, OutputSeal, OutputSealed};
use crate::user::User;
use crate::write::{self, Batch, Jobs, Request, Staged, Writer, WriterOptions};

/// About the bytes of a write that brings no text or record, such as an agent's or a user's row.
pub(crate) const SMALL_WRITE: usize = 1024;
/// About the bytes of one step of removing rows.
const ERASING_WRITE: usize = 256 * 1024;

/// How the store works.
#[derive(Clone)]
pub struct StoreOptions {
    /// Bytes of the database that are kept in memory.
    pub cache_bytes: usize,
    /// Most operations that share one commit; at least 1.
    pub max_batch: usize,
    /// Keeps recovery after a crash short however large the database is, at the price of a second flush for each
    /// commit. Off by default: a commit's flush is on every turn's path, a recovery on that of a crash alone.
    pub quick_repair: bool,
    /// Who is told of each commit.
    pub observer: Option<Arc<dyn CommitObserver>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 * 1024 * 1024, max_batch: 256, quick_repair: false, observer: None }
    }
}

/// What Gavel keeps, in one file of one process. Cheap to clone; the file is closed by [`Store::close`] or with the
/// last clone.
///
/// Writes are asynchronous: they wait for the commit that holds them. Each may be repeated when its outcome is
/// unknown. Reads are short, bounded and synchronous, see what was committed, and never wait for the writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<Disk>,
    gauges: Arc<Gauges>,
    jobs: Jobs,
    /// The signal that stops the writer, and its thread: taken by whoever closes the store first.
    writer: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens [`FILE_NAME`](crate::FILE_NAME) and its [`JOURNAL_NAME`](crate::JOURNAL_NAME) in `dir`, or makes them there; the directory has to exist.
    ///
    /// The stored log has to be whole and have the signer's origin. Where another key signed its newest checkpoint,
    /// the signer signs that head anew.
    ///
    /// # Errors
    /// [`StoreError::Schema`] for a file of another version, [`StoreError::Origin`], [`StoreError::Corrupt`], and
    /// [`StoreError::Database`] when the file cannot be opened or is open in another process.
    pub fn open(dir: &Path, signer: SigningKey, options: StoreOptions) -> Result<Self, StoreError> {
        let gauges = Arc::<Gauges>::default();
        let opener = disk::in_directory(dir, options.cache_bytes, Arc::clone(&gauges));
        Self::open_measured(opener, signer, options, gauges)
    }

    /// Opens the store on whatever database `opener` gives.
    #[cfg(test)]
    pub(crate) fn open_with(opener: Opener, signer: SigningKey, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_measured(opener, signer, options, Arc::default())
    }

    fn open_measured(
        opener: Opener,
        signer: SigningKey,
        options: StoreOptions,
        gauges: Arc<Gauges>,
    ) -> Result<Self, StoreError> {
        let disk = Arc::new(Disk::open(opener, signer)?);
        let writer_options = WriterOptions {
            max_batch: options.max_batch.max(1),
            quick_repair: options.quick_repair,
            observer: options.observer,
            gauges: Arc::clone(&gauges),
        };
        let (writer, jobs, stop) = Writer::new(Arc::clone(&disk), writer_options);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread =
            std::thread::Builder::new().name("gavel-store-writer".into()).spawn(move || writer.run(&runtime))?;
        Ok(Self { inner: Arc::new(Inner { disk, gauges, jobs, writer: Mutex::new(Some((stop, thread))) }) })
    }

    /// Finishes the writes that are waiting and closes the file; every other clone is refused from then on. Blocks
    /// for as long as those commits take.
    pub fn close(self) {
        self.inner.stop();
    }

    /// The log's newest committed head, from memory.
    #[must_use]
    pub fn head(&self) -> Arc<LogHead> {
        self.inner.disk.head()
    }

    /// How it is doing now, without waiting for the writer.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        let Inner { jobs, gauges, .. } = &*self.inner;
        StoreStatus {
            writing: !jobs.is_closed(),
            failed_commit: gauges.failed_commit(),
            waiting: jobs.max_capacity().saturating_sub(jobs.capacity()),
            max_waiting: jobs.max_capacity(),
            journal_bytes: gauges.journal_bytes(),
            journal_limit_bytes: HALF_BYTES,
        }
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// Makes a user or replaces one of the same name; a replaced one's token ends.
    ///
    /// # Errors
    /// [`StoreError::TokenInUse`], and the writer's.
    pub async fn put_user(&self, user: User) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::put_user(batch, &user)).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`StoreError::UserExists`] if another user has the name, [`StoreError::TokenInUse`], and the writer's.
    pub async fn add_user(&self, user: User) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::add_user(batch, &user)).await
    }

    /// Gives a user another token; the old one ends. Gives the user as it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TokenInUse`], and the writer's.
    pub async fn renew_user(&self, id: UserId, token_hash: Hash) -> Result<User, StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::renew_user(batch, &id, token_hash)).await
    }

    /// Takes a user's token away. Name, role and agents stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::LastAdministrator`], and the writer's.
    pub async fn revoke_user(&self, id: UserId) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::revoke_user(batch, &id)).await
    }

    /// Gives an agent an API key. The same key again is no error.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown agent, [`StoreError::TooManyApiKeys`], [`StoreError::TokenInUse`], and
    /// the writer's.
    pub async fn add_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::add_api_key(batch, &key)).await
    }

    /// Takes an API key away for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the agent has no such key, and the writer's.
    pub async fn remove_api_key(&self, agent: &AgentId, id: &KeyId) -> Result<(), StoreError> {
        let (agent, id) = (*agent, *id);
        self.submit(SMALL_WRITE, move |batch| write::remove_api_key(batch, agent, id)).await
    }

    /// Notes that an API key was used at this time, in milliseconds since the Unix epoch. Does nothing for a key that
    /// is gone, or that was used later.
    ///
    /// # Errors
    /// The writer's.
    pub async fn note_api_key_use(&self, agent: &AgentId, id: &KeyId, at: i64) -> Result<(), StoreError> {
        let (agent, id) = (*agent, *id);
        self.submit(SMALL_WRITE, move |batch| write::note_api_key_use(batch, agent, id, at)).await
    }

    /// Makes an agent: stopped, without a session. The same agent again is no error.
    ///
    /// # Errors
    /// [`StoreError::AgentExists`] if another agent has its id, and the writer's.
    pub async fn create_agent(&self, agent: Agent) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::create_agent(batch, agent)).await
    }

    /// Changes what an agent's owner sets, at `now` in milliseconds since the Unix epoch. Gives the agent as it is then;
    /// a change to what it is already leaves its time of change alone.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and the writer's.
    pub async fn change_agent(&self, id: &AgentId, change: AgentChange, now: i64) -> Result<Agent, StoreError> {
        let id = *id;
        self.submit(SMALL_WRITE, move |batch| write::change_agent(batch, id, change, now)).await
    }

    /// Starts an agent: opens its first session, later resumes that of its last checkpoint, or opens another where
    /// `force_new` says so. A running agent is left as it is and gives the same answer again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::SessionExists`], and the writer's.
    pub async fn start_agent(&self, id: &AgentId, start: StartSession) -> Result<Started, StoreError> {
        let id = *id;
        self.submit(SMALL_WRITE, move |batch| write::start_agent(batch, id, start)).await
    }

    /// Stops an agent and makes a checkpoint of its session; a stopped agent gives its last checkpoint. Open turns
    /// may still be sealed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown agent and for one that was never started,
    /// [`StoreError::CheckpointExists`], and the writer's.
    pub async fn stop_agent(&self, id: &AgentId, draft: CheckpointDraft) -> Result<SessionCheckpoint, StoreError> {
        let id = *id;
        self.submit(SMALL_WRITE, move |batch| write::stop_agent(batch, id, draft)).await
    }

    /// Makes a checkpoint of an agent's session as it stands, and makes it the agent's last one. The one of this id again
    /// is no error.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown agent and for one that was never started, and the writer's.
    pub async fn create_checkpoint(
        &self,
        id: &AgentId,
        draft: CheckpointDraft,
    ) -> Result<SessionCheckpoint, StoreError> {
        let id = *id;
        self.submit(SMALL_WRITE, move |batch| write::create_checkpoint(batch, id, draft)).await
    }

    /// Takes a stopped agent back to a checkpoint, which becomes its last one: its session is the current one, and what was
    /// said in it later is history no more. What was cleared meanwhile stays cleared.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::AgentRunning`], [`StoreError::TurnsOpen`], [`StoreError::TooLarge`] for a
    /// session that has been restored too often, and the writer's.
    pub async fn restore_checkpoint(
        &self,
        id: &AgentId,
        checkpoint: &CheckpointId,
        now: i64,
    ) -> Result<SessionCheckpoint, StoreError> {
        let (id, checkpoint) = (*id, *checkpoint);
        self.submit(SMALL_WRITE, move |batch| write::restore_checkpoint(batch, id, checkpoint, now)).await
    }

    /// Clears an agent's current session: its wrapped key is replaced, so that nothing that was said in it before opens any
    /// more, and its history is empty. Gives the number of messages that the history had. The rows are removed by
    /// [`erase`](Self::erase).
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::SessionEnded`], and the writer's.
    pub async fn clear_session(
        &self,
        agent: &AgentId,
        session: &SessionId,
        wrapped_key: Vec<u8>,
    ) -> Result<u64, StoreError> {
        let (agent, session) = (*agent, *session);
        self.submit(SMALL_WRITE, move |batch| write::clear_session(batch, agent, session, wrapped_key)).await
    }

    /// Deletes a stopped agent with its data key: from then on it does not exist, and nothing of it opens. The rows that it
    /// had are removed by [`erase`](Self::erase); its leaves stay in the log.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::AgentRunning`], [`StoreError::TurnsOpen`], and the writer's.
    pub async fn delete_agent(&self, id: &AgentId) -> Result<(), StoreError> {
        let id = *id;
        self.submit(SMALL_WRITE, move |batch| write::delete_agent(batch, id)).await
    }

    /// Takes note of a request under an idempotency key, or gives what is known of it from the last 24 hours.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`] if something else was asked for under it, and the writer's.
    pub async fn ask(&self, ask: Ask) -> Result<Asked, StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::ask(batch, ask)).await
    }

    /// Keeps the answer to a request, for whoever asks again, as long as there is the agent that it tells of.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], and the writer's.
    pub async fn keep_answer(&self, slot: &Hash, answer: KeptAnswer, agent: Option<AgentId>) -> Result<(), StoreError> {
        within("an answer", answer.body.len(), MAX_ANSWER_BYTES)?;
        let slot = *slot;
        let weight = SMALL_WRITE + answer.body.len();
        self.submit(weight, move |batch| write::keep_answer(batch, slot, answer, agent)).await
    }

    /// Forgets a request that was refused: nothing came of it, and its key may be used for another.
    ///
    /// # Errors
    /// The writer's.
    pub async fn withdraw(&self, slot: &Hash) -> Result<(), StoreError> {
        let slot = *slot;
        self.submit(SMALL_WRITE, move |batch| write::withdraw(batch, slot)).await
    }

    /// Removes some of the rows that a deletion left, and says whether there may be more.
    ///
    /// # Errors
    /// The writer's.
    pub async fn erase(&self, erasure: Erasure) -> Result<bool, StoreError> {
        self.submit(ERASING_WRITE, move |batch| write::erase(batch, erasure)).await
    }

    /// Seals an input, which begins its turn and numbers it.
    ///
    /// # Errors
    /// [`StoreError::DuplicateMessage`] if either of its ids is known for the agent,
    /// [`StoreError::AgentNotRunning`], [`StoreError::SessionEnded`], [`StoreError::SessionChanged`],
    /// [`StoreError::QuotaExceeded`],
    /// [`StoreError::NotFound`], [`StoreError::TooLarge`], [`StoreError::WrongMessage`], and the writer's.
    pub async fn seal_input(&self, seal: InputSeal) -> Result<InputSealed, StoreError> {
        seal.check()?;
        self.submit(seal.weight(), move |batch| write::seal_input(batch, &seal)).await
    }

    /// Seals an output, which ends its turn. Again for the same turn it changes nothing and gives the same seal.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TurnBlocked`], [`StoreError::TooLarge`],
    /// [`StoreError::WrongMessage`], and the writer's.
    pub async fn seal_output(&self, seal: OutputSeal) -> Result<OutputSealed, StoreError> {
        seal.check()?;
        self.submit(seal.weight(), move |batch| write::seal_output(batch, &seal)).await
    }

    /// Notes the digest of the bindings that have let these messages pass, where they are still stored.
    ///
    /// # Errors
    /// The writer's.
    pub async fn mark_judged(&self, agent: &AgentId, messages: Vec<MessageId>, digest: Hash) -> Result<(), StoreError> {
        let agent = *agent;
        self.submit(SMALL_WRITE, move |batch| write::mark_judged(batch, agent, &messages, digest)).await
    }

    /// Announces objects before they are written: until their files are kept, they are unclaimed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown agent, [`StoreError::TooLarge`], and the writer's.
    pub async fn expect_objects(&self, agent: &AgentId, files: Vec<FileId>) -> Result<(), StoreError> {
        within("a list of files", files.len(), MAX_FILES)?;
        let agent = *agent;
        self.submit(SMALL_WRITE, move |batch| write::expect_objects(batch, agent, &files)).await
    }

    /// Keeps files, all of them or none, and seals the records of those that were judged. Gives their seals, in order.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`]; [`StoreError::SessionExists`] if the session of one of them is known, and with it,
    /// where it was refused, its record; [`StoreError::NotFound`], [`StoreError::TooLarge`], and the writer's.
    pub async fn keep_files(&self, seal: FilesSeal) -> Result<Vec<Option<Sealed>>, StoreError> {
        seal.check()?;
        self.submit(seal.weight(), move |batch| write::keep_files(batch, seal)).await
    }

    /// Removes a file and destroys its key. Its object is unclaimed from then on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and the writer's.
    pub async fn remove_file(&self, agent: &AgentId, file: &FileId) -> Result<(), StoreError> {
        let (agent, file) = (*agent, *file);
        self.submit(SMALL_WRITE, move |batch| write::remove_file(batch, agent, file)).await
    }

    /// Removes files of an agent as [`remove_file`](Self::remove_file) does, at most [`MAX_FILES`] of them, whether or
    /// not there is such an agent any more. Gives their ids; none when there are no more.
    ///
    /// # Errors
    /// The writer's.
    pub async fn remove_files_of(&self, agent: &AgentId) -> Result<Vec<FileId>, StoreError> {
        let agent = *agent;
        let weight = SMALL_WRITE * MAX_FILES;
        self.submit(weight, move |batch| write::remove_files_of(batch, agent, MAX_FILES)).await
    }

    /// Takes objects off the list of unclaimed ones, when they are gone.
    ///
    /// # Errors
    /// The writer's.
    pub async fn forget_objects(&self, objects: Vec<ObjectId>) -> Result<(), StoreError> {
        self.submit(SMALL_WRITE, move |batch| write::forget_objects(batch, &objects)).await
    }

    /// Hands an operation to the writer and waits for the commit that holds it.
    pub(crate) async fn submit<T, F>(&self, weight: usize, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<Staged<T>, StoreError> + Send + 'static,
    {
        let (request, answered) = Request::new(weight, apply);
        self.inner.jobs.send(Box::new(request)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Inner {
    fn stop(&self) {
        let taken = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = taken {
            // It fails only if the thread has ended already.
            let _ = stop.send(());
            if thread.join().is_err() {
                tracing::error!("the store's writer panicked");
                self.disk.close();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}
