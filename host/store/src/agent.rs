//! Agents, and the checkpoints of their sessions.

use std::collections::BTreeMap;

use gavel_log::judged::Stage;
use gavel_log::record::{Enforcement, Mode, OnError};
use gavel_log::{Chain, Hash};
use serde::{Deserialize, Serialize};

use crate::id::{AgentId, CheckpointId, SessionId, UserId};
use crate::row::hex_bytes;
use crate::session::Abandoned;
use crate::usage::MonthUsage;

/// An agent as it is kept. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its id, made by the caller.
    pub id: AgentId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// Whether verdicts are reported or obeyed.
    pub mode: Mode,
    /// The owner's instruction to the model.
    pub system_prompt: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The policies bound to it, in the order of its records.
    pub policies: Vec<Binding>,
    /// Whether it takes turns. A new agent is stopped, whatever is given here.
    pub state: AgentState,
    /// The current session; kept while the agent is stopped. A new agent has none.
    pub session: Option<SessionId>,
    /// The checkpoint made when it last stopped. A new agent has none.
    pub last_checkpoint: Option<CheckpointId>,
    /// What it has used in the newest month in which it used anything. A new agent has used nothing.
    pub usage: MonthUsage,
    /// Its data key, wrapped by the master key.
    pub wrapped_data_key: Vec<u8>,
    /// What its log entries are chained by: random, never changed.
    pub chain: Chain,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// What an agent's owner changes of it; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentChange {
    /// Its name.
    pub name: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The provider's name.
    pub provider: Option<String>,
    /// Whether verdicts are reported or obeyed.
    pub mode: Option<Mode>,
    /// The instruction to the model; `Some(None)` takes it away.
    pub system_prompt: Option<Option<String>>,
    /// All labels, in place of those before.
    pub labels: Option<BTreeMap<String, String>>,
    /// All its own policies, in place of those before.
    pub policies: Option<Vec<Binding>>,
}

/// Whether an agent takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It takes none.
    Stopped,
    /// It does.
    Running,
}

/// A policy bound to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The policy's name, alone or with `@version` or `@sha256:digest`.
    pub policy: String,
    /// Its configuration.
    pub config: serde_json::Value,
    /// Whether its verdicts are obeyed or observed.
    pub enforcement: Enforcement,
    /// The stages it is asked at; none means those that its manifest names.
    #[serde(default)]
    pub stages: Option<Vec<Stage>>,
    /// What its failure does.
    #[serde(default)]
    pub on_error: OnError,
    /// Whether output may be released while it is still judging.
    #[serde(default)]
    pub release: Release,
}

impl Binding {
    /// The policy's name alone: what an agent has at most one binding of, whatever the version.
    #[must_use]
    pub fn name(&self) -> &str {
        self.policy.split('@').next().unwrap_or_default()
    }
}

/// When a policy lets go of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// As far as it has cleared it.
    #[default]
    Stream,
    /// All at once, when it has judged the whole.
    Whole,
}

/// What starting an agent needs, whether or not a session is opened by it.
#[derive(Clone, Debug)]
pub struct StartSession {
    /// The id of the session, should one be opened.
    pub id: SessionId,
    /// Its key, wrapped by the agent's data key.
    pub wrapped_key: Vec<u8>,
    /// Open a session even if there is one to resume.
    pub force_new: bool,
    /// The time, in milliseconds since the Unix epoch.
    pub now: i64,
}

/// A running agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The agent, running.
    pub agent: Agent,
    /// Its session.
    pub session_id: SessionId,
    /// The checkpoint that the session was resumed from; none if it was opened.
    pub resumed_from: Option<CheckpointId>,
}

/// The part of a checkpoint that the caller makes.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointDraft {
    /// Its id.
    pub id: CheckpointId,
    /// The time, in milliseconds since the Unix epoch.
    pub now: i64,
}

/// A place in a session that an agent can go on from. It refers to messages and never copies them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The agent.
    pub agent_id: AgentId,
    /// The session.
    pub session_id: SessionId,
    /// How it came about.
    pub kind: CheckpointKind,
    /// Messages in the session when it was made.
    pub messages: u64,
    /// Turns begun in the session when it was made.
    pub turns: u64,
    /// Those of them that were not history any more.
    pub(crate) abandoned: Abandoned,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// How a checkpoint came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// The agent was stopped.
    Automatic,
    /// Somebody asked for it.
    Manual,
}

/// The part of an agent that its owner sets: a row of its own, since it may be large and is seldom written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentProfile {
    pub(crate) owner: UserId,
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) mode: Mode,
    pub(crate) system_prompt: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) policies: Vec<Binding>,
    #[serde(with = "hex_bytes")]
    pub(crate) wrapped_data_key: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl AgentProfile {
    /// Makes the change, and says whether anything is another than before.
    pub(crate) fn change(&mut self, change: AgentChange, now: i64) -> bool {
        let before = self.clone();
        let AgentChange { name, model, provider, mode, system_prompt, labels, policies } = change;
        set(&mut self.name, name);
        set(&mut self.model, model);
        set(&mut self.provider, provider);
        set(&mut self.mode, mode);
        set(&mut self.system_prompt, system_prompt);
        set(&mut self.labels, labels);
        set(&mut self.policies, policies);
        let changed = *self != before;
        if changed {
            self.updated_at = now;
        }
        changed
    }
}

fn set<T>(field: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *field = wanted;
    }
}

/// The part of an agent that each turn reads and writes, with what is counted of its current session.
///
/// Invariant: `seq` and `prev` are the next entry's, so the agent's entries form one chain without a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentHead {
    pub(crate) state: AgentState,
    pub(crate) session: Option<SessionId>,
    /// As [`crate::Session::turns`] of the current session, whose own row has it only when another has taken its place.
    pub(crate) turns: u64,
    /// As [`crate::Session::messages`], likewise.
    pub(crate) messages: u64,
    /// As [`crate::Session::epoch`], likewise.
    pub(crate) epoch: u64,
    /// Of the newest month: in this row, since each turn counts.
    pub(crate) usage: MonthUsage,
    pub(crate) resumed_from: Option<CheckpointId>,
    pub(crate) last_checkpoint: Option<CheckpointId>,
    pub(crate) changed_at: i64,
    pub(crate) chain: Chain,
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
}

impl Agent {
    /// The rows of a new agent, which is stopped and has said nothing yet.
    pub(crate) fn into_rows(self) -> (AgentProfile, AgentHead) {
        let head = AgentHead {
            state: AgentState::Stopped,
            session: None,
            turns: 0,
            messages: 0,
            epoch: 0,
            usage: MonthUsage::default(),
            resumed_from: None,
            last_checkpoint: None,
            changed_at: self.created_at,
            chain: self.chain,
            seq: 0,
            prev: Hash::ZERO,
        };
        let profile = AgentProfile {
            owner: self.owner,
            name: self.name,
            model: self.model,
            provider: self.provider,
            mode: self.mode,
            system_prompt: self.system_prompt,
            labels: self.labels,
            policies: self.policies,
            wrapped_data_key: self.wrapped_data_key,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        (profile, head)
    }

    /// The agent of these rows.
    pub(crate) fn from_rows(id: AgentId, profile: AgentProfile, head: &AgentHead) -> Self {
        Self {
            id,
            owner: profile.owner,
            name: profile.name,
            model: profile.model,
            provider: profile.provider,
            mode: profile.mode,
            system_prompt: profile.system_prompt,
            labels: profile.labels,
            policies: profile.policies,
            state: head.state,
            session: head.session,
            last_checkpoint: head.last_checkpoint,
            usage: head.usage,
            wrapped_data_key: profile.wrapped_data_key,
            chain: head.chain,
            created_at: profile.created_at,
            updated_at: profile.updated_at.max(head.changed_at),
        }
    }
}
