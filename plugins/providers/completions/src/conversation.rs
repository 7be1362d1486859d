//! A conversation and its tools as chat completions write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_sdk::provider::{Error, Tool, ToolChoice};
use gavel_sdk::types::{Media, Message, Part, ResultPart, Role, ToolCall, ToolResult};
use serde_json::{Map, Value, json};

/// Reads JSON that the caller gave; `what` names it in the error.
///
/// # Errors
/// [`Error::InvalidRequest`] when it is none.
pub fn parse(what: &str, json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::InvalidRequest(format!("{what} is no JSON: {error}")))
}

/// The caller's further settings, an object's text.
///
/// # Errors
/// [`Error::InvalidRequest`] when it is no object.
pub fn extra(json: &str) -> Result<Map<String, Value>, Error> {
    match parse("extra_json", json)? {
        Value::Object(extra) => Ok(extra),
        _ => Err(Error::InvalidRequest("extra_json is no object".into())),
    }
}

/// A tool that the model may call.
///
/// # Errors
/// [`Error::InvalidRequest`] when its schema is no JSON.
pub fn tool(tool: &Tool) -> Result<Value, Error> {
    let parameters = parse("a tool's schema", &tool.parameters_schema)?;
    let function = json!({"name": tool.name, "description": tool.description, "parameters": parameters});
    Ok(json!({"type": "function", "function": function}))
}

/// Whether the model may, must or must not call a tool.
#[must_use]
pub fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

/// One message becomes one for each tool result in it, and one for all the rest. Reasoning is left out: this API has
/// no place for it in a request.
#[must_use]
pub fn messages(message: &Message) -> Vec<Value> {
    let mut sent = Vec::new();
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => content.push(text_part(text)),
            Part::Media(media) => content.push(media_part(media)),
            Part::ToolCall(call) => calls.push(tool_call(call)),
            Part::ToolResult(result) => sent.push(tool_result(result, &mut content)),
            Part::Reasoning(_) => {}
        }
    }
    if content.is_empty() && calls.is_empty() {
        return sent;
    }
    let role = match message.role {
        Role::System => "system",
        Role::Assistant => "assistant",
        // What is left of a tool's message is media, which this API takes from users alone.
        Role::User | Role::Tool => "user",
    };
    let mut rest = Map::new();
    rest.insert("role".into(), json!(role));
    rest.insert("content".into(), joined(content));
    if !calls.is_empty() {
        rest.insert("tool_calls".into(), Value::Array(calls));
    }
    sent.push(Value::Object(rest));
    sent
}

/// Text alone as one string, which every server takes; parts where there is media.
fn joined(content: Vec<Value>) -> Value {
    if content.is_empty() {
        return Value::Null;
    }
    let texts: Option<String> = content.iter().map(|part| part.get("text").and_then(Value::as_str)).collect();
    texts.map_or(Value::Array(content), Value::String)
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn media_part(media: &Media) -> Value {
    let url = format!("data:{};base64,{}", media.media_type, STANDARD.encode(&media.data));
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn tool_call(call: &ToolCall) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments_json});
    json!({"id": call.id, "type": "function", "function": function})
}

fn tool_result(result: &ToolResult, media: &mut Vec<Value>) -> Value {
    let mut text = String::new();
    for part in &result.parts {
        match part {
            ResultPart::Text(said) => text.push_str(said),
            ResultPart::Media(given) => media.push(media_part(given)),
        }
    }
    json!({"role": "tool", "tool_call_id": result.call_id, "content": text})
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_sdk::types::Reasoning;

    #[test]
    fn a_conversation_with_tools_and_media() {
        let call = ToolCall { id: "c1".into(), name: "t".into(), arguments_json: "{}".into(), opaque: None };
        let png = Media { media_type: "image/png".into(), data: vec![1, 2, 3] };
        let result = ToolResult {
            call_id: "c1".into(),
            parts: vec![ResultPart::Text("ok".into()), ResultPart::Media(png.clone())],
            is_error: false,
        };
        let thinking = Reasoning { text: "hm".into(), opaque: None };
        let messages = [
            Message { role: Role::User, parts: vec![Part::Text("see".into()), Part::Media(png)] },
            Message { role: Role::Assistant, parts: vec![Part::Reasoning(thinking), Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
            Message { role: Role::User, parts: vec![] },
        ];
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}});
        let expected = json!([
            {"role": "user", "content": [{"type": "text", "text": "see"}, image]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "t", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            {"role": "user", "content": [image]},
        ]);
        let sent: Value = messages.iter().flat_map(super::messages).collect();
        assert_eq!(sent, expected);
    }

    #[test]
    fn what_is_no_json_is_the_callers_fault() {
        for text in ["{", "[]", ""] {
            assert!(matches!(extra(text), Err(Error::InvalidRequest(_))), "{text}");
        }
        let tool_with =
            |schema: &str| Tool { name: "t".into(), description: String::new(), parameters_schema: schema.into() };
        assert!(matches!(tool(&tool_with("{")), Err(Error::InvalidRequest(_))));
    }
}
