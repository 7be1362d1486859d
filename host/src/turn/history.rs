//! The prompt: history as it went on, and in enforcing mode nothing that the turn's bindings have not judged.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use gavel_log::judged::{Edit, Message, Role, Stage};
use gavel_log::record::DecisionKind;
use gavel_log::{Hash, apply_edits};
use gavel_sandbox::provider::{ChatRequest, Message as ChatMessage, Part, ResultPart};
use gavel_store::{Agent, AgentId, LeafDraft, MessageId, Session};
use lru::LruCache;

use super::judge::{Judgement, Place, SubjectFrame};
use super::passage::Passage;
use super::run::Turn;
use super::seal::RecordFrame;
use super::stateless::Asked;
use super::transcript::Transcript;
use super::{TurnError, Turns};
use crate::plugins::BoundSet;

/// What goes before the new message.
#[derive(Default)]
pub(crate) struct Prompt {
    /// System prompt and history, oldest first, with what else is asked of the provider.
    pub(crate) request: ChatRequest,
    /// What the new message is.
    pub(crate) asked: Asked,
    /// Records of the parts that had to be judged for this turn.
    pub(crate) earlier: Vec<LeafDraft>,
    /// The judgements that the client is told of, each with its record's place in `earlier`.
    pub(crate) told: Vec<(usize, Told)>,
    /// What those records decided: to be remembered once they are sealed.
    pub(crate) fates: Vec<(PartKey, Fate)>,
    /// Stored messages that pass unchanged under the turn's bindings.
    pub(crate) judged: Vec<MessageId>,
    /// Whether a part is blocked without which the turn cannot go on.
    pub(crate) blocked: bool,
}

impl Prompt {
    /// The conversation as policies that ask for it are given it: its texts.
    pub(crate) fn history(&self) -> Vec<Message> {
        let text = |part: &Part| match part {
            Part::Text(text) => vec![text.clone()],
            Part::ToolResult { parts, .. } => parts.iter().filter_map(result_text).map(str::to_owned).collect(),
            Part::Media(_) | Part::Reasoning { .. } | Part::ToolCall { .. } => Vec::new(),
        };
        let messages = self.request.messages.iter();
        messages.map(|said| Message { role: said.role, parts: said.parts.iter().flat_map(text).collect() }).collect()
    }

    /// What these bindings decide on a part, as input: judged and recorded where it is not remembered.
    async fn fate_of(
        &mut self,
        part: &Earlier<'_>,
        set: &BoundSet,
        fates: &Fates,
        frame: &SubjectFrame,
        record: &RecordFrame,
    ) -> Result<Fate, TurnError> {
        let key = PartKey::of(record.agent, Stage::Input.into(), part.text, set.digest_in(record.mode));
        let now = self.fates.iter().find(|(known, _)| *known == key).map(|(_, fate)| fate.clone());
        if let Some(fate) = now.or_else(|| fates.get(&key)) {
            return Ok(fate);
        }
        let judgement = Judgement::of(set, frame, Stage::Input, record.mode, part.text).await;
        let subject = frame.subject(Stage::Input, part.text);
        let passage = Passage::of(&judgement, part.text);
        self.earlier.push(record.draft(&passage.judged(part.id, &judgement, &subject))?);
        let fate = Fate::of(passage);
        if matches!(&fate, Fate::Passes(edits) if edits.is_empty()) {
            self.judged.extend(part.id);
        }
        self.fates.push((key, fate.clone()));
        Ok(fate)
    }
}

impl Turn {
    /// Judges the agent's instructions where no verdict is obeyed: the provider has them already, and what they are is
    /// recorded as everything else is.
    pub(super) async fn observe_instructions(&self, prompt: &mut Prompt) -> Result<(), TurnError> {
        let set = &self.begun.set;
        match &self.begun.request.agent.system_prompt {
            Some(text) if !set.at(Stage::Input).is_empty() => {
                let part = Earlier::of_no_message(Role::System, text);
                prompt.fate_of(&part, set, &self.begun.turns.fates, &self.subject, &self.record).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// A file's name as it goes on: its uploader's words, and judged as such. None if a policy blocks it.
    pub(super) async fn passed_name(&self, name: &str, prompt: &mut Prompt) -> Result<Option<String>, TurnError> {
        if !self.begun.set.enforces(self.record.mode) {
            return Ok(Some(name.to_owned()));
        }
        let part = Earlier::of_no_message(Role::User, name);
        let fates = &self.begun.turns.fates;
        match prompt.fate_of(&part, &self.begun.set, fates, &self.subject, &self.record).await? {
            Fate::Passes(edits) => apply_edits(name, &edits).map(Some).map_err(|_| TurnError::Damaged("edits")),
            Fate::Blocked => Ok(None),
        }
    }
}

fn result_text(part: &ResultPart) -> Option<&str> {
    match part {
        ResultPart::Text(text) => Some(text),
        ResultPart::Media(_) => None,
    }
}

/// A judgement on an earlier part.
pub(crate) struct Told {
    pub(crate) message: Option<MessageId>,
    pub(crate) judgement: Judgement,
    /// Whether the turn goes no further for it.
    pub(crate) stopped: bool,
}

impl Told {
    /// Whether there is anything to tell.
    pub(crate) fn matters(&self) -> bool {
        self.stopped || self.judgement.would() != DecisionKind::Allow
    }
}

/// A part of an agent's conversation under a set of bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartKey {
    text: Hash,
    bindings: Hash,
}

impl PartKey {
    /// A file's text, which is judged at a stage of its own.
    pub(super) fn of_file(agent: &AgentId, text: &str, bindings: Hash) -> Self {
        Self { text: Hash::of(format!("{agent} file {text}").as_bytes()), bindings }
    }

    pub(crate) fn of(agent: AgentId, place: Place<'_>, text: &str, bindings: Hash) -> Self {
        let Place { stage, tool } = place;
        let tool_bytes = tool.map_or(0, str::len);
        let described = format!("{agent} {stage:?} {tool_bytes} {} {text}", tool.unwrap_or_default());
        Self { text: Hash::of(described.as_bytes()), bindings }
    }
}

/// What a set of bindings decided on a part.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Blocked,
    Passes(Vec<Edit>),
}

impl Fate {
    /// What becomes of a text that was judged whole.
    pub(super) fn of(passage: Passage) -> Self {
        if passage.blocked { Self::Blocked } else { Self::Passes(passage.edits) }
    }
}

/// Verdicts on parts that are asked for again in each turn: judged and sealed once, as long as they are remembered.
pub(crate) struct Fates(Mutex<LruCache<PartKey, Fate>>);

/// Parts that are remembered.
const FATES: NonZeroUsize = NonZeroUsize::new(16 << 10).unwrap();

impl Fates {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(FATES)))
    }

    /// To be called when the records behind the fates are sealed.
    pub(crate) fn remember(&self, fates: Vec<(PartKey, Fate)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, fate) in fates {
            known.put(key, fate);
        }
    }

    pub(super) fn get(&self, key: &PartKey) -> Option<Fate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

/// A part of a session's prompt before it was judged.
struct Earlier<'a> {
    id: Option<MessageId>,
    role: Role,
    text: &'a str,
    judged: Option<Hash>,
}

impl<'a> Earlier<'a> {
    /// What is no message: the agent's instructions, the name of a file.
    fn of_no_message(role: Role, text: &'a str) -> Self {
        Self { id: None, role, text, judged: None }
    }
}

/// Reads the conversation so far.
pub(crate) fn read(
    turns: &Turns,
    record: &RecordFrame,
    session: &Session,
    agent: &Agent,
) -> Result<Conversation, TurnError> {
    let transcript = turns.transcripts.read(&turns.store, session, &record.key)?;
    Ok(Conversation { system: agent.system_prompt.clone(), transcript })
}

/// The conversation so far.
pub(crate) struct Conversation {
    system: Option<String>,
    transcript: Transcript,
}

impl Conversation {
    /// The number of its newest complete turn.
    pub(crate) fn turns(&self) -> u64 {
        self.transcript.turns
    }

    /// What it consists of, oldest first.
    fn parts(&self) -> impl Iterator<Item = Earlier<'_>> {
        let system = self.system.as_deref().map(|text| Earlier::of_no_message(Role::System, text));
        let said = self.transcript.messages.iter();
        system.into_iter().chain(said.map(|said| Earlier {
            id: Some(said.id),
            role: said.role,
            text: &said.text,
            judged: said.judged,
        }))
    }

    /// The prompt for a turn with these bindings.
    ///
    /// A message that they block is left out, as blocked inputs are; one that they redact is redacted. A system prompt
    /// that they block stops the turn: an agent without its instructions would be another agent.
    pub(crate) async fn prompt(
        &self,
        set: &Arc<BoundSet>,
        fates: &Fates,
        frame: &SubjectFrame,
        record: &RecordFrame,
    ) -> Result<Prompt, TurnError> {
        let mut prompt = Prompt::default();
        let bindings = set.digest_in(record.mode);
        for part in self.parts() {
            let fate = if !set.enforces(record.mode) || part.judged == Some(bindings) {
                Fate::Passes(Vec::new())
            } else {
                prompt.fate_of(&part, set, fates, frame, record).await?
            };
            match fate {
                Fate::Passes(edits) => {
                    let text = apply_edits(part.text, &edits).map_err(|_| TurnError::Damaged("edits"))?;
                    prompt.request.messages.push(ChatMessage { role: part.role, parts: vec![Part::Text(text)] });
                }
                Fate::Blocked if part.role == Role::System => prompt.blocked = true,
                Fate::Blocked => {}
            }
        }
        Ok(prompt)
    }
}
