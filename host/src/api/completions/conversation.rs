//! The messages of a request as a conversation that a provider takes.

use std::collections::HashMap;

use gavel_sandbox::provider::{Message, Part, ResultPart, Role};

use super::super::problem::{Code, Problem};
use super::content::Content;
use super::faults::{Faults, NAME, is_name};
use super::request;
use crate::turn::{Asked, MAX_PARTS, canonical};

/// Most bytes of all texts of the messages.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The messages so far.
#[derive(Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// Ids of the calls so far, with the tools' names.
    calls: HashMap<String, String>,
    bytes: usize,
    parts: usize,
}

impl Conversation {
    /// Adds a message.
    ///
    /// # Errors
    /// When it holds what no policy can judge.
    pub(super) fn add(&mut self, index: usize, message: request::Message, faults: &mut Faults) -> Result<(), Problem> {
        let at = format!("/messages/{index}");
        let text = text(&at, message.content, message.refusal, faults)?;
        self.bytes += text.as_ref().map_or(0, String::len);
        if message.audio.is_some() || message.function_call.is_some() {
            faults.add(&at, "audio and function_call are not taken: use tool_calls");
        }
        let assistant = message.role == request::Role::Assistant;
        if message.tool_calls.is_some() && !assistant {
            faults.add(format!("{at}/tool_calls"), "only the assistant calls tools");
        }
        let mut parts: Vec<Part> = match (message.role, message.tool_call_id) {
            (request::Role::Tool, Some(call_id)) if self.calls.contains_key(&call_id) => {
                let text = text.clone().unwrap_or_default();
                vec![Part::ToolResult { call_id, parts: vec![ResultPart::Text(text)], is_error: false }]
            }
            (request::Role::Tool, _) => {
                faults.add(format!("{at}/tool_call_id"), "must be the id of a tool call before it");
                Vec::new()
            }
            (_, Some(_)) => {
                faults.add(format!("{at}/tool_call_id"), "belongs to a tool's message");
                Vec::new()
            }
            (_, None) => text.clone().map(Part::Text).into_iter().collect(),
        };
        if assistant {
            self.add_calls(&at, message.tool_calls.unwrap_or_default(), &mut parts, faults);
        }
        if parts.is_empty() || (text.is_none() && !assistant) {
            faults.add(format!("{at}/content"), "is missing");
        }
        self.parts += parts.len();
        let role = match message.role {
            request::Role::System | request::Role::Developer => Role::System,
            request::Role::User => Role::User,
            request::Role::Assistant => Role::Assistant,
            request::Role::Tool => Role::Tool,
        };
        self.messages.push(Message { role, parts });
        Ok(())
    }

    fn add_calls(&mut self, at: &str, calls: Vec<request::ToolCall>, parts: &mut Vec<Part>, faults: &mut Faults) {
        for (index, call) in calls.into_iter().enumerate() {
            let at = format!("{at}/tool_calls/{index}");
            let function = call.function.0;
            if call.kind.is_some_and(|kind| kind != "function") {
                faults.add(format!("{at}/type"), "must be function");
            }
            if !is_name(&call.id) {
                faults.add(format!("{at}/id"), NAME);
            }
            if !is_name(&function.name) {
                faults.add(format!("{at}/function/name"), NAME);
            }
            self.bytes += function.arguments.len();
            let written = if function.arguments.trim().is_empty() { "{}" } else { &function.arguments };
            let Some(arguments_json) = canonical(written) else {
                faults.add(format!("{at}/function/arguments"), "must be the text of a JSON value");
                continue;
            };
            self.calls.insert(call.id.clone(), function.name.clone());
            parts.push(Part::ToolCall { id: call.id, name: function.name, arguments_json, opaque: None });
        }
    }

    /// Splits off the message that is to be answered.
    pub(super) fn ended(mut self, faults: &mut Faults) -> (Vec<Message>, Asked, String) {
        if self.bytes > MAX_TEXT_BYTES {
            faults.add("/messages", format!("must have at most {MAX_TEXT_BYTES} bytes of text"));
        }
        if self.parts > MAX_PARTS {
            faults.add("/messages", format!("must have at most {MAX_PARTS} texts and tool calls"));
        }
        let last = self.messages.pop().and_then(|mut message| Some((message.role, message.parts.pop()?)));
        let (asked, text) = match last {
            Some((Role::User, Part::Text(text))) => (Asked::User, text),
            Some((Role::System, Part::Text(text))) => (Asked::System, text),
            Some((_, Part::ToolResult { call_id, parts, .. })) => {
                let tool = self.calls.get(&call_id).cloned().unwrap_or_default();
                let texts = parts.into_iter().filter_map(|part| match part {
                    ResultPart::Text(text) => Some(text),
                    ResultPart::Media(_) => None,
                });
                (Asked::ToolResult { call_id, tool }, texts.collect())
            }
            Some(_) => {
                faults.add("/messages", "must end with what the assistant is to answer");
                (Asked::User, String::new())
            }
            // It has been said already what is wrong.
            None => (Asked::User, String::new()),
        };
        (self.messages, asked, text)
    }
}

/// A message's whole text: its parts are one text to the model, so they are judged as one.
fn text(
    at: &str,
    content: Option<Content>,
    refusal: Option<String>,
    faults: &mut Faults,
) -> Result<Option<String>, Problem> {
    let mut text = match content {
        None => None,
        Some(Content::Text(text)) => Some(text),
        Some(Content::Parts(parts)) => {
            let mut joined = String::new();
            for (index, part) in parts.into_iter().enumerate() {
                match (part.kind.as_str(), part.text, part.refusal) {
                    ("text", Some(text), None) | ("refusal", None, Some(text)) => joined.push_str(&text),
                    ("text" | "refusal", ..) => {
                        faults.add(format!("{at}/content/{index}"), "must hold the text that its type names");
                    }
                    ("image_url" | "input_audio" | "file", ..) => {
                        let detail = format!("{at}/content/{index}: no policy can judge it, so only texts are taken");
                        return Err(Problem::new(Code::UnjudgedContent, detail));
                    }
                    _ => faults.add(format!("{at}/content/{index}/type"), "must be text"),
                }
            }
            Some(joined)
        }
    };
    if let Some(refusal) = refusal {
        text.get_or_insert_default().push_str(&refusal);
    }
    Ok(text)
}
