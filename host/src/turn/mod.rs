//! The governed turn: a client's message through the policies to the provider and back through the gate.
//!
//! ```text
//! text ─▶ judge (input) ─▶ provider ─▶ deltas ─▶ lane: reviews and gate ─▶ cleared text ─▶ frames
//!             │                                      │
//!             └──────────── records ─────────────────┴─▶ store: sealed ─▶ governance_result
//! ```
//!
//! Invariants:
//! - What a turn may run out of is taken before it begins ([`Turns::begin`]): load is never a verdict.
//! - Nothing of an answer is sent before the input's seal, and in enforcing mode nothing that the gate has not cleared.
//! - A verdict is announced only when it is sealed. Each allowed input is followed by exactly one output record.
//! - However a turn ends, its last frame is its only `stream_end`.

mod attachment;
mod bindings;
mod credential;
mod declared;
mod facts;
mod file;
mod frame;
mod gate;
mod history;
mod judge;
mod lane;
mod opening;
mod output;
mod passage;
mod recover;
mod run;
mod seal;
mod stateless;
mod timing;
mod tool_calls;
mod trace;
mod transcript;
mod unescape;
mod watch;

use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::record::{Engine, Mode};
use gavel_sandbox::policy::PolicyPermits;
use gavel_sandbox::provider::ProviderPermit;
use gavel_store::{
    Agent, AgentState, Binding, DetachedSession, FileId, MessageId, Metered, Session, SessionId, Store, StoreError,
    TurnRow,
};

pub use attachment::{AttachedBody, AttachedFile};
pub use file::{FileText, JudgedFile, MAX_JUDGED_FILE_BYTES};
pub use frame::{FindingView, FinishReason, Frame, GovernanceResult, Reason, ToolCallView, Usage, VerdictView};
pub use opening::{Opening, OpeningError};
pub use seal::DraftError;
pub(crate) use seal::counted;
pub use stateless::{Asked, MAX_PARTS, Stateless};
pub use tool_calls::canonical;

use crate::clock::now_ms;
use crate::config::{Openings, Unjudged};
use crate::plugins::{BoundSet, PluginError, Plugins, Provider};
use crate::quota::{Quotas, seconds_to_the_months_end};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::PoolName;
use crate::vault::{Vault, VaultError};

/// Version of the plugin interface, as records name it.
const WIT_VERSION: &str = "0.1.0";
/// Seconds after which a busy server is worth another try.
const BUSY_RETRY_SECONDS: u64 = 1;

/// What the server's configuration says of turns.
#[derive(Clone, Debug)]
pub struct TurnOptions {
    /// Most bytes of an answer; then it ends with `length`.
    pub output_bytes: usize,
    /// Which openings are kept.
    pub openings: Openings,
    /// What happens in enforcing mode to what no policy can judge.
    pub unjudged: Unjudged,
    /// The operator's bindings, which every agent has before its own.
    pub mandatory: Vec<Binding>,
    /// No turn is laxer, also of an agent that was made before the operator said so.
    pub minimum_mode: Mode,
}

/// Who asks, as policies are told.
#[derive(Clone, Debug)]
pub struct CallerFacts {
    /// `user` or `key`.
    pub kind: &'static str,
    /// A pseudonym.
    pub id: String,
    /// Whether it is the agent's owner, who may see what plugins write freely.
    pub owner: bool,
}

/// One message to be answered.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// The agent as it stands now.
    pub agent: Agent,
    /// Who asks.
    pub caller: CallerFacts,
    /// The message's id.
    pub input: MessageId,
    /// Its text.
    pub text: String,
    /// The files that come with it.
    pub files: Vec<AttachedFile>,
    /// The conversation that it stands at the end of, where the caller brings one along; else it is the agent's session.
    pub stateless: Option<Box<Stateless>>,
}

/// Why a turn does not begin. There is no verdict and no leaf.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The agent is stopped.
    #[error("the agent is not running")]
    NotRunning,
    /// Every instance that it would need is taken.
    #[error("the server is busy")]
    Busy,
    /// The message's id is known: here is its turn.
    #[error("a message with this id was sent before")]
    Duplicate(Box<TurnRow>),
    /// No plugin serves the agent's provider.
    #[error("the provider {0} cannot serve: its plugin is not installed, or waits for approval")]
    NoProvider(String),
    /// No policy of an enforcing agent can judge a file that comes with the message.
    #[error("no policy can judge the file {0}, and this installation does not let such files pass in enforcing mode")]
    Unjudged(FileId),
    /// A file comes with the message that no model can be given.
    #[error("the file {0} is neither a text of at most 1 MiB nor a PNG, JPEG, GIF or WebP image")]
    Unsupported(FileId),
    /// A policy of the agent cannot be bound any more.
    #[error("a policy of the agent cannot be bound: {0}")]
    Policy(#[from] PluginError),
    /// The agent has used up what it may use in a month.
    #[error("the agent has used up its {0} of the month")]
    QuotaExceeded(Metered),
    /// The store or the vault failed.
    #[error("{0}")]
    Failed(#[from] TurnError),
}

impl Refused {
    /// The stable code of `docs/api.md`'s table.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRunning => "agent_not_running",
            Self::Busy => "busy",
            Self::Duplicate(_) => "duplicate_message",
            Self::NoProvider(_) => "provider_unavailable",
            Self::Unjudged(_) => "unjudged_content",
            Self::Unsupported(_) => "file_unsupported",
            Self::Policy(_) => "policy_unavailable",
            Self::QuotaExceeded(_) => "quota_exceeded",
            Self::Failed(error) => error.code(),
        }
    }

    /// Seconds after which it is worth trying again, if it is.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Busy => Some(BUSY_RETRY_SECONDS),
            Self::QuotaExceeded(_) => Some(seconds_to_the_months_end()),
            _ => None,
        }
    }
}

/// What can go wrong on the host's side of a turn.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The store.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The vault.
    #[error("the vault failed: {0}")]
    Vault(#[from] VaultError),
    /// The log.
    #[error("a verdict could not be recorded: {0}")]
    Draft(#[from] DraftError),
    /// Something stored is not as it was written.
    #[error("{0}")]
    Damaged(&'static str),
}

impl TurnError {
    /// The stable code of `docs/api.md`'s table.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::AgentNotRunning { .. }) => "agent_not_running",
            Self::Store(StoreError::DuplicateMessage(_)) => "duplicate_message",
            Self::Store(StoreError::SessionChanged(_) | StoreError::SessionEnded(_)) => "session_changed",
            Self::Store(StoreError::QuotaExceeded { .. }) => "quota_exceeded",
            Self::Store(_) => "storage_unavailable",
            Self::Vault(_) | Self::Draft(_) | Self::Damaged(_) => "internal",
        }
    }

    /// Seconds after which it is worth trying again, if it is.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        matches!(self, Self::Store(StoreError::QuotaExceeded { .. })).then(seconds_to_the_months_end)
    }
}

/// What computes verdicts in this binary, under policies' limits of this digest.
pub(crate) fn engine(limits: Hash) -> Engine {
    Engine {
        wit: WIT_VERSION.into(),
        gate: gate::GATE_VERSION,
        wasmtime: gavel_sandbox::WASMTIME_VERSION.into(),
        limits,
    }
}

/// Runs turns.
pub struct Turns {
    plugins: Arc<Plugins>,
    store: Store,
    vault: Arc<Vault>,
    quotas: Arc<Quotas>,
    options: TurnOptions,
    metrics: Arc<Metrics>,
    engine: Engine,
    fates: history::Fates,
    transcripts: transcript::Transcripts,
}

/// A turn that has all it needs.
pub struct Begun {
    turns: Arc<Turns>,
    request: TurnRequest,
    session: Session,
    /// Given for a turn that has its session to itself.
    detached: Option<DetachedSession>,
    answer: MessageId,
    set: Arc<BoundSet>,
    provider: Arc<Provider>,
    provider_permit: Option<ProviderPermit>,
    timing: watch::Watch,
    /// Shared with the task that opens the answer's lane: it may end after the turn.
    policy_permits: Arc<PolicyPermits>,
}

impl Turns {
    /// Turns over these plugins, this store and this vault.
    #[must_use]
    pub fn new(
        plugins: Arc<Plugins>,
        store: Store,
        vault: Arc<Vault>,
        quotas: Arc<Quotas>,
        options: TurnOptions,
        metrics: Arc<Metrics>,
    ) -> Self {
        let engine = engine(plugins.policies.limits_digest());
        Self {
            plugins,
            store,
            vault,
            quotas,
            options,
            metrics,
            engine,
            fates: history::Fates::new(),
            transcripts: transcript::Transcripts::new(),
        }
    }

    /// Forgets the texts of a session, whose history has changed.
    pub fn forget(&self, session: &SessionId) {
        self.transcripts.forget(session);
    }

    /// Takes everything that a turn needs, or says why it cannot begin.
    ///
    /// # Errors
    /// [`Refused`]: nothing was judged and nothing recorded.
    pub async fn begin(self: &Arc<Self>, request: TurnRequest) -> Result<Begun, Refused> {
        self.take(request).await.inspect_err(|refused| self.metrics.turn_refused(refused.code()))
    }

    async fn take(self: &Arc<Self>, mut request: TurnRequest) -> Result<Begun, Refused> {
        let timing = timing::Timing::start();
        request.agent.mode = self.mode(&request.agent);
        let agent = &request.agent;
        let (AgentState::Running, Some(session)) = (agent.state, agent.session) else {
            return Err(Refused::NotRunning);
        };
        let (session, detached) = if request.stateless.is_some() {
            let (session, detached) = self.detached(agent)?;
            (session, Some(detached))
        } else {
            let known = self.store.turn_by_message(&agent.id, &request.input).map_err(TurnError::from)?;
            if let Some(turn) = known {
                return Err(Refused::Duplicate(Box::new(turn)));
            }
            (self.store.session(&session).map_err(TurnError::from)?.ok_or(Refused::NotRunning)?, None)
        };
        // The seal looks again, exactly: this spares the policies and the provider what would be refused there.
        if let Some(what) = agent.usage.at(now_ms()).used_up(&self.quotas.of(&agent.owner).month) {
            return Err(Refused::QuotaExceeded(what));
        }
        let provider =
            self.plugins.provider(&agent.provider).ok_or_else(|| Refused::NoProvider(agent.provider.clone()))?;
        let set = self.bound(agent).await?;
        attachment::check(&request.files, &set, agent.mode, self.options.unjudged)?;
        // Each policy has at most one instance at a time in a turn's two stages of text, and one for its thinking.
        let instances = u32::try_from(set.bindings.len() * 2).unwrap_or(u32::MAX);
        let policy_permits = self.plugins.policies.permits(instances).ok_or_else(|| self.full(PoolName::Policies))?;
        let provider_permit = self.plugins.providers.permit().ok_or_else(|| self.full(PoolName::Providers))?;
        Ok(Begun {
            timing: watch::Watch::new(timing, Arc::clone(&self.metrics), agent),
            turns: Arc::clone(self),
            session,
            detached,
            answer: MessageId::generate(),
            set,
            provider,
            provider_permit: Some(provider_permit),
            policy_permits: Arc::new(policy_permits),
            request,
        })
    }

    /// The mode that an agent's turns are judged in.
    fn mode(&self, agent: &Agent) -> Mode {
        agent.mode.max(self.options.minimum_mode)
    }

    fn full(&self, pool: PoolName) -> Refused {
        self.metrics.permit_refused(pool);
        Refused::Busy
    }

    /// A session for one turn alone, to be stored with its input.
    fn detached(&self, agent: &Agent) -> Result<(Session, DetachedSession), TurnError> {
        let id = SessionId::generate();
        let wrapped_key = self.vault.new_session_key(&agent.id, &agent.wrapped_data_key, &id)?;
        let created_at = crate::clock::now_ms();
        let detached = DetachedSession { wrapped_key: wrapped_key.clone(), created_at };
        Ok((Session::new(id, agent.id, wrapped_key, created_at), detached))
    }
}

impl Begun {
    /// The id that the answer will have.
    #[must_use]
    pub fn answer(&self) -> &MessageId {
        &self.answer
    }
}
