//! A conversation that its caller brings along whole: none of it was judged before it came, and none of it is kept.
//!
//! Each text in it is judged where it stands: what instructs and what users say as input, what the model said as output,
//! its tool calls and what tools gave back at their stages, and what is declared besides as one text. A verdict is sealed
//! once, as long as it is remembered; one that blocks is asked for each time, so that its caller learns why.

use std::collections::HashMap;

use gavel_log::apply_edits;
use gavel_log::judged::{Message as Said, Role, Stage};
use gavel_sandbox::provider::{ChatRequest, Message, Part, ResultPart};
use gavel_store::{Agent, MessageId};
use serde_json::Value;

use super::TurnError;
use super::declared::Declared;
use super::history::{Fate, PartKey, Prompt, Told};
use super::judge::{Judgement, Place};
use super::passage::Passage;
use super::run::Turn;
use super::tool_calls::is_json;

/// Most parts of a conversation that its caller may bring along: an input's seal takes 4,096 records besides its own,
/// the agent's system prompt and what is declared among them.
pub const MAX_PARTS: usize = 4_000;
/// Most verdicts on earlier parts that the caller is told of.
const MAX_TOLD: usize = 64;

/// A conversation that its caller brings along.
#[derive(Clone, Debug)]
pub struct Stateless {
    /// Everything but the input: the earlier messages (at most [`MAX_PARTS`] parts), the tools, and whatever else is
    /// asked of the provider. The model's name is the agent's. Arguments of tool calls are in the form of
    /// [`canonical`](super::canonical).
    pub request: ChatRequest,
    /// What the input is.
    pub asked: Asked,
}

/// What the message is that is to be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// A user says it.
    #[default]
    User,
    /// It instructs the model.
    System,
    /// A tool gave it back.
    ToolResult {
        /// The call that it answers.
        call_id: String,
        /// The tool's name.
        tool: String,
    },
}

impl Asked {
    /// Where it is judged.
    pub(super) fn place(&self) -> Place<'_> {
        match self {
            Self::User | Self::System => Stage::Input.into(),
            Self::ToolResult { tool, .. } => Place { stage: Stage::ToolResult, tool: Some(tool) },
        }
    }

    /// Who speaks.
    pub(super) fn role(&self) -> Role {
        match self {
            Self::User => Role::User,
            Self::System => Role::System,
            Self::ToolResult { .. } => Role::Tool,
        }
    }

    /// The message as the provider gets it.
    pub(super) fn message(&self, text: String) -> Message {
        let part = match self {
            Self::User | Self::System => Part::Text(text),
            Self::ToolResult { call_id, .. } => {
                Part::ToolResult { call_id: call_id.clone(), parts: vec![ResultPart::Text(text)], is_error: false }
            }
        };
        Message { role: self.role(), parts: vec![part] }
    }
}

impl Stateless {
    /// The prompt before any of it is judged: the agent's own instructions come first.
    pub(super) fn prompt(self, agent: &Agent) -> Prompt {
        let mut request = self.request;
        if let Some(text) = &agent.system_prompt {
            let instructions = Said { role: Role::System, parts: vec![text.clone()] };
            request.messages.insert(0, instructions.into());
        }
        Prompt { request, asked: self.asked, ..Prompt::default() }
    }
}

impl Turn {
    /// Judges all that the caller brought along besides the input, up to the first part that is blocked: dropping some
    /// of a caller's own words would make it another conversation, so the turn then goes no further.
    pub(super) async fn judge_brought(&self, prompt: &mut Prompt) -> Result<(), TurnError> {
        let mut messages = std::mem::take(&mut prompt.request.messages);
        let tools = tools_by_call(&messages);
        let own = usize::from(self.begun.request.agent.system_prompt.is_some());
        for (index, message) in messages.iter_mut().enumerate() {
            let id = (index >= own).then(MessageId::generate);
            for part in &mut message.parts {
                if prompt.blocked {
                    break;
                }
                self.judge_part(id, message.role, part, &tools, prompt).await?;
            }
        }
        prompt.request.messages = messages;
        if !prompt.blocked {
            self.judge_declared(prompt).await?;
        }
        if prompt.told.len() > MAX_TOLD {
            prompt.told.retain(|(_, told)| told.matters());
            let over = prompt.told.len().saturating_sub(MAX_TOLD);
            prompt.told.drain(..over);
        }
        Ok(())
    }

    async fn judge_part(
        &self,
        id: Option<MessageId>,
        role: Role,
        part: &mut Part,
        tools: &HashMap<String, String>,
        prompt: &mut Prompt,
    ) -> Result<(), TurnError> {
        match part {
            Part::Text(text) => {
                let stage = if role == Role::Assistant { Stage::Output } else { Stage::Input };
                self.judge_earlier(id, stage.into(), text, |_| true, prompt).await
            }
            Part::ToolCall { name, arguments_json, .. } => {
                let place = Place { stage: Stage::ToolCall, tool: Some(name) };
                self.judge_earlier(id, place, arguments_json, is_json, prompt).await
            }
            Part::ToolResult { call_id, parts, .. } => {
                let place = Place { stage: Stage::ToolResult, tool: tools.get(call_id).map(String::as_str) };
                for part in parts {
                    if let ResultPart::Text(text) = part {
                        self.judge_earlier(id, place, text, |_| true, prompt).await?;
                    }
                }
                Ok(())
            }
            // Neither is taken from a caller.
            Part::Media(_) | Part::Reasoning { .. } => Ok(()),
        }
    }

    /// Judges one text and edits it as the verdict says. `holds`: what it has to be after the edits, or it is blocked.
    async fn judge_earlier(
        &self,
        id: Option<MessageId>,
        place: Place<'_>,
        text: &mut String,
        holds: impl Fn(&str) -> bool,
        prompt: &mut Prompt,
    ) -> Result<(), TurnError> {
        let (set, mode, turns) = (&self.begun.set, self.record.mode, &self.begun.turns);
        let key = PartKey::of(self.record.agent, place, text, set.digest_in(mode));
        let now = prompt.fates.iter().find(|(known, _)| *known == key).map(|(_, fate)| fate.clone());
        let edits = match now.or_else(|| turns.fates.get(&key)) {
            Some(Fate::Passes(edits)) => edits,
            Some(Fate::Blocked) | None => {
                let judgement = Judgement::of(set, &self.subject, place, mode, text).await;
                let mut passage = Passage::of(&judgement, text);
                if !passage.edits.is_empty() && !holds(&passage.text) {
                    passage = passage.stopped();
                }
                let subject = self.subject.subject(place, text);
                prompt.earlier.push(self.record.draft(&passage.judged(id, &judgement, &subject))?);
                if !passage.blocked {
                    prompt.fates.push((key, Fate::Passes(passage.edits.clone())));
                }
                let leaf = prompt.earlier.len() - 1;
                prompt.blocked |= passage.blocked;
                prompt.told.push((leaf, Told { message: id, judgement, stopped: passage.blocked }));
                passage.edits
            }
        };
        if !edits.is_empty() {
            *text = apply_edits(text, &edits).map_err(|_| TurnError::Damaged("edits"))?;
        }
        Ok(())
    }

    /// Judges what the request declares besides its messages.
    async fn judge_declared(&self, prompt: &mut Prompt) -> Result<(), TurnError> {
        let Some(declared) = Declared::of(&prompt.request) else { return Ok(()) };
        let mut text = declared.to_text();
        let before = text.clone();
        self.judge_earlier(None, Stage::Input.into(), &mut text, |edited| declared.takes(edited), prompt).await?;
        if text != before && !prompt.blocked {
            Declared::parse(&text).ok_or(TurnError::Damaged("edits"))?.put_into(&mut prompt.request);
        }
        Ok(())
    }
}

/// Whether the answer is to be JSON, of a schema or of any.
pub(super) fn is_structured(request: &ChatRequest) -> bool {
    let any = |extra: &String| {
        let extra: Option<Value> = serde_json::from_str(extra).ok();
        extra.is_some_and(|extra| extra.pointer("/response_format/type").is_some_and(|kind| kind == "json_object"))
    };
    request.output_schema.is_some() || request.extra_json.as_ref().is_some_and(any)
}

/// The tools' names by the ids of the calls.
fn tools_by_call(messages: &[Message]) -> HashMap<String, String> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match part {
        Part::ToolCall { id, name, .. } => Some((id.clone(), name.clone())),
        _ => None,
    });
    calls.collect()
}
