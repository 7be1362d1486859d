//! Talking with an agent: a message becomes a turn that runs on its own, whoever stays to read it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use gavel_store::{Agent, AgentId, AgentState, FileId, MessageId, Store, StoreError};
use tokio::sync::mpsc;

use super::live::LiveTurn;
use super::open_turns::{Claim, OpenTurn, OpenTurns};
use super::replay::stored_outcome;
use crate::auth::Caller;
use crate::files::{FileError, Files};
use crate::quota::{Quotas, Standing};
use crate::tasks::Tasks;
use crate::turn::{
    AttachedFile, Begun, CallerFacts, FinishReason, Frame, Refused, Stateless, TurnError, TurnRequest, Turns, Usage,
};
use crate::vault::Vault;

/// Frames that a turn may be ahead of the task that keeps them.
const FRAMES_AHEAD: usize = 16;
/// How long to wait before a failed turn is closed again that the store did not take; at first, and at most.
const CLOSING_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// What may be said to agents, and what is being said.
#[derive(Clone)]
pub struct Conversations {
    store: Store,
    vault: Arc<Vault>,
    turns: Arc<Turns>,
    files: Files,
    open: Arc<OpenTurns>,
    quotas: Arc<Quotas>,
    tasks: Tasks,
}

/// What became of a message.
pub enum Said {
    /// A turn: this one's, or the one that the same message began before.
    Turn(Arc<LiveTurn>),
    /// It was refused before its turn began: a code and words for people.
    Refused(&'static str, &'static str),
    /// The agent's minute allows no more requests.
    RateLimited(Standing),
}

/// What is said: a text and the files with it, at the end of the session or of a conversation that is brought along.
struct Content {
    text: String,
    files: Vec<FileId>,
    stateless: Option<Box<Stateless>>,
}

impl Conversations {
    /// Conversations over these turns.
    #[must_use]
    pub fn new(
        store: Store,
        vault: Arc<Vault>,
        turns: Arc<Turns>,
        files: Files,
        open: Arc<OpenTurns>,
        quotas: Arc<Quotas>,
        tasks: Tasks,
    ) -> Self {
        Self { store, vault, turns, files, open, quotas, tasks }
    }

    /// Says something to an agent. The turn goes on whether or not anyone reads it, for a while.
    #[must_use]
    pub fn say(&self, agent: Agent, caller: &Caller, input: MessageId, text: String, files: Vec<FileId>) -> Said {
        if let Err(standing) = self.quotas.of(&agent.owner).count_request(&agent.id) {
            return Said::RateLimited(standing);
        }
        match self.begin(agent, caller, input, Content { text, files, stateless: None }) {
            Ok(turn) => Said::Turn(turn),
            Err((code, detail)) => Said::Refused(code, detail),
        }
    }

    /// Has an agent answer the last message of a conversation that the caller brings along. The agent's session is
    /// neither read nor written, and the turn cannot be resumed. Requests are counted by the caller.
    ///
    /// # Errors
    /// A code and words for people, when it is refused before its turn begins.
    pub fn complete(
        &self,
        agent: Agent,
        caller: &Caller,
        text: String,
        stateless: Stateless,
    ) -> Result<Arc<LiveTurn>, (&'static str, &'static str)> {
        let content = Content { text, files: Vec::new(), stateless: Some(Box::new(stateless)) };
        self.begin(agent, caller, MessageId::generate(), content)
    }

    fn begin(
        &self,
        agent: Agent,
        caller: &Caller,
        input: MessageId,
        content: Content,
    ) -> Result<Arc<LiveTurn>, (&'static str, &'static str)> {
        if agent.state != AgentState::Running {
            return Err(("agent_not_running", "the agent is not running"));
        }
        let pseudonym = caller.pseudonym(&agent);
        let open = match self.open.claim(agent.id, input, pseudonym.clone()) {
            Claim::New(open) => open,
            Claim::Existing(turn) if turn.is_callers(&pseudonym) => return Ok(turn),
            Claim::Existing(_) => return Err(("invalid_request", "the message_id is another's")),
            Claim::Closed => return Err(("agent_not_running", "the agent is being stopped")),
            Claim::Draining => return Err(("shutting_down", "the server is going down")),
        };
        let facts = CallerFacts { kind: caller.kind(), id: pseudonym, owner: caller.owns(&agent) };
        let live = open.live().clone();
        let Content { text, files, stateless } = content;
        let request = TurnRequest { agent, caller: facts, input, text, files: Vec::new(), stateless };
        self.tasks.spawn(self.clone().hold(open, request, files));
        Ok(live)
    }

    /// The turn that a message of either side belongs to, if this caller began it and may still read it.
    #[must_use]
    pub fn find(&self, agent: &Agent, caller: &Caller, message: MessageId) -> Option<Arc<LiveTurn>> {
        self.open.find(agent.id, message).filter(|turn| turn.is_callers(&caller.pseudonym(agent)))
    }

    async fn hold(self, mut open: OpenTurn, mut request: TurnRequest, files: Vec<FileId>) {
        let agent = request.agent.clone();
        let input = request.input;
        let resumable = request.stateless.is_none();
        match self.attached(&agent, input, &files).await {
            Ok(attached) => request.files = attached,
            Err(error) => return open.live().push(not_attached(&error, input)),
        }
        match self.turns.begin(request).await {
            Ok(begun) => {
                if resumable {
                    open.begun(*begun.answer());
                }
                if !run(begun, open.live()).await {
                    drop(open);
                    self.close(agent.id, input).await;
                }
            }
            Err(Refused::Duplicate(row)) => match stored_outcome(&self.store, &self.vault, &agent, &row) {
                Ok(frames) => frames.into_iter().for_each(|frame| open.live().push(frame)),
                Err(error) => {
                    tracing::error!(%error, agent = %agent.id, "a stored turn cannot be replayed");
                    open.live().push(fault(input));
                }
            },
            Err(refused) => open.live().push(refusal(&refused, input)),
        }
    }

    /// Has the end of a turn recorded that failed before it could be. A full disk may be full for a while; what is not
    /// recorded when the server ends, its next start records.
    async fn close(&self, agent: AgentId, input: MessageId) {
        let (mut pause, longest) = CLOSING_PAUSE;
        loop {
            match self.turns.close(&agent, &input).await {
                Ok(false) => return,
                Ok(true) => return tracing::warn!(%agent, "recorded the end of a turn that had failed"),
                Err(TurnError::Store(error)) => tracing::warn!(%agent, %error, "a failed turn is still open"),
                Err(error) => return tracing::error!(%agent, %error, "a failed turn stays open"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = longest.min(pause * 2),
                () = self.tasks.closing().cancelled() => return,
            }
        }
    }

    /// The files that come with a message; none with one that began its turn before.
    async fn attached(
        &self,
        agent: &Agent,
        input: MessageId,
        files: &[FileId],
    ) -> Result<Vec<AttachedFile>, FileError> {
        if files.is_empty() || self.store.turn_by_message(&agent.id, &input)?.is_some() {
            return Ok(Vec::new());
        }
        self.files.attach(agent, files).await
    }
}

/// What a client is told when the files of its message cannot be had.
fn not_attached(error: &FileError, input: MessageId) -> Frame {
    let (code, message) = match error {
        FileError::NotFound => ("file_not_found", error.to_string()),
        FileError::TooMuch => ("message_too_large", error.to_string()),
        error => {
            tracing::error!(%error, "the files of a message cannot be read");
            ("storage_unavailable", "the files of the message cannot be read".to_owned())
        }
    };
    Frame::Error { code, message, message_id: Some(input), retry_after: None }
}

/// Runs a turn and keeps what it says, until it has ended. False if it failed, and may have been left open.
async fn run(begun: Begun, live: &Arc<LiveTurn>) -> bool {
    let answer = *begun.answer();
    let (frames, mut said) = mpsc::channel(FRAMES_AHEAD);
    let keeping = async {
        while let Some(frame) = said.recv().await {
            live.push(frame);
            // A cancelled turn ends without waiting for anyone.
            tokio::select! {
                () = live.keep_pace() => {}
                () = live.cancelled().cancelled() => {}
            }
        }
    };
    let running = AssertUnwindSafe(begun.run(frames, live.cancelled().clone())).catch_unwind();
    let turn = async { tokio::join!(running, keeping).0 };
    tokio::pin!(turn);
    let ended = tokio::select! {
        ended = &mut turn => ended,
        () = live.abandoned() => {
            live.cancel();
            turn.await
        }
    };
    let Ok(ended) = ended else {
        tracing::error!(agent = %live.agent(), "a turn panicked");
        live.push(fault(live.input()));
        live.push(Frame::StreamEnd {
            message_id: answer,
            finish_reason: FinishReason::Error.as_str().to_owned(),
            usage: Usage::default(),
        });
        return false;
    };
    ended.is_ok()
}

/// What a client is told of a turn that does not begin. What failed inside is the operator's to read.
fn refusal(refused: &Refused, input: MessageId) -> Frame {
    let message = match refused {
        Refused::Policy(_) | Refused::Failed(_) => {
            tracing::error!(error = %refused, "a turn could not begin");
            "the server could not begin the turn".to_owned()
        }
        refused => refused.to_string(),
    };
    let (code, retry_after) = (refused.code(), refused.retry_after());
    Frame::Error { code, message, message_id: Some(input), retry_after }
}

/// What a client is told of a fault of ours: nothing of what it was.
fn fault(input: MessageId) -> Frame {
    Frame::Error {
        code: "internal",
        message: "the server failed to carry out the turn".to_owned(),
        message_id: Some(input),
        retry_after: None,
    }
}

/// Why a stored turn cannot be shown again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
    #[error("a stored text is not UTF-8")]
    Text(#[from] std::string::FromUtf8Error),
    #[error("the turn has not ended")]
    Open,
}
