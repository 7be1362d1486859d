//! The prompt: history as it went on, and in enforcing mode nothing that the turn's bindings have not judged.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use gavel_log::judged::{Edit, Message, Role, Stage};
use gavel_log::{Hash, apply_edits};
use gavel_store::{Agent, AgentId, LeafDraft, MessageId, Session};
use lru::LruCache;

use super::judge::{Judgement, SubjectFrame};
use super::passage::Passage;
use super::seal::RecordFrame;
use super::transcript::Transcript;
use super::{TurnError, Turns};
use crate::plugins::BoundSet;

/// What goes before the new message.
pub(crate) struct Prompt {
    /// System prompt and history, oldest first.
    pub(crate) messages: Vec<Message>,
    /// Records of the parts that had to be judged for this turn.
    pub(crate) earlier: Vec<LeafDraft>,
    /// What those records decided: to be remembered once they are sealed.
    pub(crate) fates: Vec<(PartKey, Fate)>,
    /// Stored messages that pass unchanged under the turn's bindings.
    pub(crate) judged: Vec<MessageId>,
    /// Whether the system prompt is blocked, and with it the turn.
    pub(crate) blocked: bool,
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

/// A part of a prompt before it was judged.
struct Part<'a> {
    id: Option<MessageId>,
    role: Role,
    text: &'a str,
    judged: Option<Hash>,
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
    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let system = self.system.as_deref().map(|text| Part { id: None, role: Role::System, text, judged: None });
        let said = self.transcript.messages.iter();
        system.into_iter().chain(said.map(|said| Part {
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
        let mut prompt =
            Prompt { messages: Vec::new(), earlier: Vec::new(), fates: Vec::new(), judged: Vec::new(), blocked: false };
        let bindings = set.digest_in(record.mode);
        for part in self.parts() {
            let fate = if !set.enforces(record.mode) || part.judged == Some(bindings) {
                Fate::Passes(Vec::new())
            } else {
                let key = PartKey { text: Hash::of(format!("{} {}", record.agent, part.text).as_bytes()), bindings };
                match fates.get(&key) {
                    Some(fate) => fate,
                    None => judge(&part, key, set, frame, record, &mut prompt).await?,
                }
            };
            match fate {
                Fate::Passes(edits) => {
                    let text = apply_edits(part.text, &edits).map_err(|_| TurnError::Damaged("edits"))?;
                    prompt.messages.push(Message { role: part.role, parts: vec![text] });
                }
                Fate::Blocked if part.role == Role::System => prompt.blocked = true,
                Fate::Blocked => {}
            }
        }
        Ok(prompt)
    }
}

/// Judges one part as input.
async fn judge(
    part: &Part<'_>,
    key: PartKey,
    set: &Arc<BoundSet>,
    frame: &SubjectFrame,
    record: &RecordFrame,
    prompt: &mut Prompt,
) -> Result<Fate, TurnError> {
    let judgement = Judgement::of(set, frame, Stage::Input, record.mode, part.text).await;
    let subject = frame.subject(Stage::Input, part.text);
    let passage = Passage::of(&judgement, part.text);
    prompt.earlier.push(record.draft(&passage.judged(part.id, &judgement, &subject))?);
    let fate = Fate::of(passage);
    if matches!(&fate, Fate::Passes(edits) if edits.is_empty()) {
        prompt.judged.extend(part.id);
    }
    prompt.fates.push((key, fate.clone()));
    Ok(fate)
}
