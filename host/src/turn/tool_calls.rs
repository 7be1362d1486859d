//! The model's tool calls: held until they are judged, their arguments in one spelling, so that escapes hide nothing.

use gavel_log::jcs;
use gavel_log::judged::{Stage, Subject};
use gavel_log::record::Outcome;
use gavel_sandbox::provider::ProviderError;
use gavel_store::LeafDraft;
use serde_json::Value;

use super::TurnError;
use super::frame::ToolCallView;
use super::judge::{Judgement, Place};
use super::passage::Passage;
use super::run::Turn;

/// Most tool calls of an answer: its seal takes 64 records besides its own, one of them the thinking's.
const MAX_CALLS: usize = 63;
/// Most characters of a call's id that goes on as the provider made it.
const MAX_ID_CHARS: usize = 128;

/// The arguments of a tool call in the form of RFC 8785; none if they are no JSON. Integers that it would round stand
/// digit by digit.
#[must_use]
pub fn canonical(arguments: &str) -> Option<String> {
    let value: Value = serde_json::from_str(arguments).ok()?;
    jcs::to_string(&value).or_else(|_| serde_json::to_string(&value)).ok()
}

/// Whether a text is JSON.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A call as the provider made it.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// In canonical form; none if they are no JSON.
    arguments: Option<String>,
    bytes: usize,
}

/// A call after its judgement.
pub(super) struct JudgedCall {
    id: String,
    name: String,
    subject: Subject,
    passage: Passage,
    pub(super) judgement: Judgement,
}

/// The calls of an answer so far.
#[derive(Default)]
pub(super) struct Calls(Vec<Call>);

impl Calls {
    /// Takes another call, if its tool was offered and there is room.
    pub(super) fn take(
        &mut self,
        offered: &[String],
        room: usize,
        id: String,
        name: String,
        arguments: &str,
    ) -> Result<(), ProviderError> {
        let rubbish = |why: &str| Err(ProviderError::Interrupted(why.into()));
        if offered.is_empty() {
            return rubbish("it called a tool, and it was given none");
        }
        if !offered.contains(&name) {
            return rubbish("it called a tool that it was not given");
        }
        let bytes = arguments.len();
        if self.0.len() == MAX_CALLS || self.0.iter().map(|call| call.bytes).sum::<usize>() + bytes > room {
            return rubbish("it called tools too often, or with too much");
        }
        let id = if is_plain(&id) { id } else { format!("call_{}", self.0.len()) };
        self.0.push(Call { id, name, arguments: canonical(arguments), bytes });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets go of calls that are no JSON: what is left of one in an answer that a limit cut off.
    pub(super) fn drop_cut_off(&mut self) {
        self.0.retain(|call| call.arguments.is_some());
    }

    /// Whether all calls' arguments are JSON.
    pub(super) fn are_json(&self) -> bool {
        self.0.iter().all(|call| call.arguments.is_some())
    }
}

/// Whether an id is such as providers make, and can hold nobody's words.
fn is_plain(id: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
}

impl JudgedCall {
    /// Whether the answer goes no further for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.passage.blocked
    }

    /// The same when the answer goes no further for another reason.
    pub(super) fn withheld(self) -> Self {
        Self { passage: if self.passage.blocked { self.passage } else { self.passage.withheld() }, ..self }
    }

    /// The call as it goes on.
    pub(super) fn view(&self) -> ToolCallView {
        ToolCallView { id: self.id.clone(), name: self.name.clone(), arguments: self.passage.text.clone() }
    }
}

impl Turn {
    /// Judges the calls of an answer, one after the other.
    pub(super) async fn judge_calls(&self, calls: Calls) -> Vec<JudgedCall> {
        let mut judged = Vec::with_capacity(calls.0.len());
        for Call { id, name, arguments, .. } in calls.0 {
            let Some(arguments) = arguments else { continue };
            let place = Place { stage: Stage::ToolCall, tool: Some(&name) };
            let judgement = Judgement::of(&self.begun.set, &self.subject, place, self.record.mode, &arguments).await;
            let passage = Passage::of(&judgement, &arguments);
            let passage = if passage.edits.is_empty() || is_json(&passage.text) { passage } else { passage.stopped() };
            let subject = self.subject.subject(place, &arguments);
            judged.push(JudgedCall { id, name, subject, passage, judgement });
        }
        judged
    }

    /// The record of a call in an answer that ended thus.
    pub(super) fn draft_call(&self, call: &JudgedCall, outcome: Outcome) -> Result<LeafDraft, TurnError> {
        let mut judged = call.passage.judged(Some(self.begun.answer), &call.judgement, &call.subject);
        if judged.outcome == Outcome::Complete {
            judged.outcome = outcome;
        }
        Ok(self.record.draft(&judged)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_one_spelling() {
        let written = r#"{ "b": "\u0034\u0031", "a": [1.0, {"x": "\/"}] }"#;
        assert_eq!(canonical(written).as_deref(), Some(r#"{"a":[1,{"x":"/"}],"b":"41"}"#));
        assert_eq!(canonical(r#"{"id":9007199254740993}"#).as_deref(), Some(r#"{"id":9007199254740993}"#));
        for rubbish in ["", "{", "{} {}", "{'a':1}"] {
            assert_eq!(canonical(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn only_tools_that_were_offered_are_called_and_not_without_end() {
        let take = |calls: &mut Calls, name: &str, arguments: &str| {
            calls.take(&["pay".to_owned()], 10, "call 1".into(), name.into(), arguments)
        };
        let mut calls = Calls::default();
        assert!(calls.take(&[], 10, "a".into(), "pay".into(), "{}").is_err());
        assert!(take(&mut calls, "steal", "{}").is_err());
        take(&mut calls, "pay", "{}").unwrap();
        assert_eq!(calls.0[0].id, "call_0", "an id with a space in it is none that providers make");
        take(&mut calls, "pay", r#"{"a":1"#).unwrap();
        assert!(!calls.are_json());
        assert!(take(&mut calls, "pay", "{\"a\":1}").is_err(), "no room");
        calls.drop_cut_off();
        assert_eq!(calls.0.len(), 1);
    }
}
