//! The bundled provider `demo`: a model without a model. It answers from a script of its own, offline, the same every
//! time, and can be told to leak what a policy should catch.

mod script;

use std::time::Duration;

use gavel_sdk::provider::{
    Completion, Delta, Error, FinishReason, Manifest, Model, Provider, Request, Sink, ToolChoice,
};
use gavel_sdk::types::{Part, ResultPart, Role, ToolCall, Usage};
use serde::Deserialize;

/// Bytes of a delta, at least: a few, as models' tokens are.
const DELTA_BYTES: [usize; 4] = [3, 5, 4, 6];
/// Longest pause between two deltas.
const MAX_DELAY_MS: u64 = 10_000;
/// Most bytes of a delta that can be asked for.
const MAX_CHUNK_BYTES: usize = 1024;

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "delay_ms": {
            "type": "integer", "minimum": 0, "maximum": 10000, "default": 0,
            "description": "Milliseconds between two deltas."
        },
        "chunk_bytes": {
            "type": "integer", "minimum": 1, "maximum": 1024,
            "description": "Bytes of a delta, at least, up to the end of a character. Three to six by turns, unless said."
        }
    }
}"#;

/// The provider's configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Demo {
    delay_ms: u64,
    chunk_bytes: Option<usize>,
}

impl Provider for Demo {
    fn manifest() -> Manifest {
        Manifest {
            name: "demo".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Answers from a script, offline; ask it for a card number or an e-mail address to see it leak."
                .into(),
            origins: Vec::new(),
            credential: None,
            config_schema: SCHEMA.into(),
        }
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        let demo: Self = serde_json::from_str(config_json).map_err(|error| error.to_string())?;
        if demo.delay_ms > MAX_DELAY_MS {
            return Err(format!("delay_ms is at most {MAX_DELAY_MS}"));
        }
        if demo.chunk_bytes.is_some_and(|bytes| !(1..=MAX_CHUNK_BYTES).contains(&bytes)) {
            return Err(format!("chunk_bytes is between 1 and {MAX_CHUNK_BYTES}"));
        }
        Ok(demo)
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        Ok(vec![Model { id: "demo".into(), context_tokens: None }])
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let asked: Vec<&str> = request.messages.iter().flat_map(|message| texts(&message.parts)).collect();
        let last = request.messages.iter().rev().find(|message| message.role == Role::User);
        let question = last.map(|message| texts(&message.parts).collect::<Vec<_>>().concat()).unwrap_or_default();
        if let Some(call) = called(&request, &question) {
            sink.send(Delta::ToolCall(call))?;
            let usage = Usage { input_tokens: words(&asked), output_tokens: 1, ..Usage::default() };
            return Ok(completion(FinishReason::ToolCalls, usage));
        }
        let answer = match given_back(&request) {
            Some(result) => script::answer_with(&result),
            None => script::answer(&question),
        };
        let most = request.max_output_tokens.map_or(u64::MAX, u64::from);
        let lengths = self.chunk_bytes.as_ref().map_or(DELTA_BYTES.as_slice(), std::slice::from_ref);
        let mut finish_reason = FinishReason::Stop;
        let mut deltas = 0;
        for delta in cut(&answer, lengths) {
            // A delta counts as a token.
            if deltas == most {
                finish_reason = FinishReason::Length;
                break;
            }
            if deltas > 0 && self.delay_ms > 0 {
                std::thread::sleep(Duration::from_millis(self.delay_ms));
            }
            sink.text(delta)?;
            deltas += 1;
        }
        let usage = Usage { input_tokens: words(&asked), output_tokens: deltas, ..Usage::default() };
        Ok(completion(finish_reason, usage))
    }
}

fn completion(finish_reason: FinishReason, usage: Usage) -> Completion {
    Completion { finish_reason, usage: Some(usage), model: Some("demo".into()) }
}

fn words(texts: &[&str]) -> u64 {
    texts.iter().map(|text| text.split_whitespace().count() as u64).sum()
}

/// The tool that is called: the one that must be, or the first that the question names, with what was asked. After a
/// tool's result none is.
fn called(request: &Request, question: &str) -> Option<ToolCall> {
    if given_back(request).is_some() {
        return None;
    }
    let mut tools = request.tools.iter();
    let tool = match &request.tool_choice {
        Some(ToolChoice::None) => None,
        Some(ToolChoice::Named(name)) => tools.find(|tool| tool.name == *name),
        Some(ToolChoice::Required) => tools.next(),
        Some(ToolChoice::Auto) | None => tools.find(|tool| question.contains(&tool.name)),
    }?;
    let arguments_json = serde_json::json!({ "question": question }).to_string();
    Some(ToolCall { id: "call_demo".into(), name: tool.name.clone(), arguments_json, opaque: None })
}

/// What a tool gave back, if that is the last that was said.
fn given_back(request: &Request) -> Option<String> {
    let last = request.messages.last()?;
    let mut results = last.parts.iter().filter_map(|part| match part {
        Part::ToolResult(result) => Some(result),
        _ => None,
    });
    let text = |part: &ResultPart| match part {
        ResultPart::Text(text) => text.clone(),
        ResultPart::Media(_) => String::new(),
    };
    results.next().map(|result| result.parts.iter().map(text).collect())
}

fn texts(parts: &[Part]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

/// Cuts a text on character boundaries into deltas of at least these lengths, by turns.
fn cut<'t>(text: &'t str, lengths: &[usize]) -> impl Iterator<Item = &'t str> {
    let mut rest = text;
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let least = lengths.next().copied().unwrap_or(1);
        let end = rest.char_indices().map(|(at, _)| at).find(|&at| at >= least).unwrap_or(rest.len());
        let (delta, after) = rest.split_at_checked(end)?;
        rest = after;
        (!delta.is_empty()).then_some(delta)
    })
}

gavel_sdk::export_provider!(Demo);

#[cfg(test)]
mod tests {
    use gavel_sdk::provider::Tool;
    use gavel_sdk::types::{Message, ToolResult};

    use super::*;

    fn ask(question: &str) -> (Vec<String>, Completion) {
        ask_with("{}", question, None)
    }

    fn ask_with(config: &str, question: &str, max_output_tokens: Option<u32>) -> (Vec<String>, Completion) {
        let demo = Demo::configure(config).unwrap();
        let mut deltas = Vec::new();
        let mut keep = |delta| {
            if let Delta::Text(text) = delta {
                deltas.push(text);
            }
            Ok(())
        };
        let message = Message { role: Role::User, parts: vec![Part::Text(question.into())] };
        let request = Request { messages: vec![message], max_output_tokens, ..Request::default() };
        let completion = demo.chat(request, &mut Sink::new(&mut keep)).unwrap();
        (deltas, completion)
    }

    #[test]
    fn a_card_number_leaks_over_several_deltas() {
        let (deltas, completion) = ask("What card do you have on file?");
        assert!(deltas.concat().contains(script::CARD));
        assert!(deltas.iter().all(|delta| !delta.contains(script::CARD) && delta.len() <= 10));
        assert_eq!(completion.usage.unwrap().output_tokens, deltas.len() as u64);
    }

    #[test]
    fn a_tool_that_is_named_is_called_and_its_result_is_answered() {
        let demo = Demo::configure("{}").unwrap();
        let tool = Tool { name: "get_time".into(), description: String::new(), parameters_schema: "{}".into() };
        let asked = Message::text(Role::User, "Use get_time please");
        let mut request = Request { messages: vec![asked], tools: vec![tool], ..Request::default() };
        let mut said = Vec::new();
        let mut keep = |delta| {
            said.push(delta);
            Ok(())
        };
        let completion = demo.chat(request.clone(), &mut Sink::new(&mut keep)).unwrap();
        assert_eq!(completion.finish_reason, FinishReason::ToolCalls);
        assert!(matches!(&said[..], [Delta::ToolCall(call)] if call.name == "get_time"
            && call.arguments_json == r#"{"question":"Use get_time please"}"#));

        let parts = vec![ResultPart::Text("12:00".into())];
        let result = ToolResult { call_id: "call_demo".into(), parts, is_error: false };
        request.messages.push(Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] });
        let mut text = String::new();
        let mut keep = |delta| {
            if let Delta::Text(more) = delta {
                text.push_str(&more);
            }
            Ok(())
        };
        demo.chat(request, &mut Sink::new(&mut keep)).unwrap();
        assert_eq!(text, "The tool says: 12:00");
    }

    #[test]
    fn it_answers_the_same_each_time() {
        assert_eq!(ask("Grüße, 世界!"), ask("Grüße, 世界!"));
    }

    #[test]
    fn an_answer_keeps_to_its_limit() {
        let (deltas, completion) = ask_with("{}", "count to 100", Some(5));
        assert_eq!((deltas.len(), completion.finish_reason), (5, FinishReason::Length));
        let (whole, completion) = ask("count to 2");
        assert_eq!(completion.finish_reason, FinishReason::Stop);
        let exactly = u32::try_from(whole.len()).unwrap();
        let (deltas, completion) = ask_with("{}", "count to 2", Some(exactly));
        assert_eq!((deltas, completion.finish_reason), (whole, FinishReason::Stop));
    }

    #[test]
    fn deltas_are_as_long_as_configured() {
        let (deltas, _) = ask_with(r#"{"chunk_bytes":2}"#, "count to 5", None);
        assert!(deltas.iter().rev().skip(1).all(|delta| delta.len() == 2));
        assert_eq!(deltas.concat(), script::answer("count to 5"));
        let (deltas, _) = ask_with(r#"{"chunk_bytes":1}"#, "世", None);
        assert!(deltas.iter().all(|delta| delta.chars().count() == 1));
        assert!(Demo::configure(r#"{"chunk_bytes":0}"#).is_err());
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(Demo::configure(r#"{"dely_ms":1}"#).is_err());
        assert!(Demo::configure(r#"{"delay_ms":10001}"#).is_err());
    }
}
