//! A request as OpenAI's chat completions have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_sdk::provider::{Error, Request, Tool, ToolChoice};
use gavel_sdk::types::{Media, Message, Part, ResultPart, Role, ToolCall, ToolResult};
use serde_json::{Map, Value, json};

use crate::config::Config;

/// Fields that `extra_json` may not set: they are the host's, or would go around its gate.
const OURS: &[&str] = &["model", "messages", "stream", "stream_options", "n"];

/// The body of `POST /chat/completions`.
pub(crate) fn body(config: &Config, request: &Request) -> Result<Vec<u8>, Error> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("model", Some(json!(request.model)));
    set("messages", Some(request.messages.iter().flat_map(messages).collect()));
    set("stream", Some(json!(true)));
    set("stream_options", Some(json!({"include_usage": true})));
    if !request.tools.is_empty() {
        set("tools", Some(request.tools.iter().map(tool).collect::<Result<_, _>>()?));
        set("tool_choice", request.tool_choice.as_ref().map(tool_choice));
    }
    // OpenAI's newer models refuse `max_tokens`; most others know nothing else.
    let most = if config.is_openai() { "max_completion_tokens" } else { "max_tokens" };
    set(most, request.max_output_tokens.map(Value::from));
    set("temperature", request.temperature.map(Value::from));
    set("top_p", request.top_p.map(Value::from));
    set("stop", (!request.stop.is_empty()).then(|| json!(request.stop)));
    if let Some(schema) = &request.output_schema {
        let schema = parse("the output's schema", schema)?;
        let format = json!({"name": "answer", "schema": schema, "strict": true});
        set("response_format", Some(json!({"type": "json_schema", "json_schema": format})));
    }
    if let Some(extra) = &request.extra_json {
        add_extra(&mut body, extra)?;
    }
    serde_json::to_vec(&body).map_err(|error| Error::InvalidRequest(error.to_string()))
}

fn parse(what: &str, json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::InvalidRequest(format!("{what} is no JSON: {error}")))
}

fn add_extra(body: &mut Map<String, Value>, extra: &str) -> Result<(), Error> {
    let Value::Object(extra) = parse("extra_json", extra)? else {
        return Err(Error::InvalidRequest("extra_json is no object".into()));
    };
    for (name, value) in extra {
        if !OURS.contains(&name.as_str()) {
            body.entry(name).or_insert(value);
        }
    }
    Ok(())
}

fn tool(tool: &Tool) -> Result<Value, Error> {
    let parameters = parse("a tool's schema", &tool.parameters_schema)?;
    let function = json!({"name": tool.name, "description": tool.description, "parameters": parameters});
    Ok(json!({"type": "function", "function": function}))
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

/// One message becomes one for each tool result in it, and one for all the rest. Reasoning is left out: this API has
/// no place for it in a request.
fn messages(message: &Message) -> Vec<Value> {
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

    fn sent(request: &Request) -> Value {
        serde_json::from_slice(&body(&Config::parse("{}").unwrap(), request).unwrap()).unwrap()
    }

    #[test]
    fn every_field_finds_its_place() {
        let request = Request {
            model: "m".into(),
            messages: vec![Message::text(Role::System, "s"), Message::text(Role::User, "u")],
            tools: vec![Tool {
                name: "t".into(),
                description: "d".into(),
                parameters_schema: r#"{"type":"object"}"#.into(),
            }],
            tool_choice: Some(ToolChoice::Named("t".into())),
            output_schema: Some(r#"{"type":"object"}"#.into()),
            max_output_tokens: Some(7),
            temperature: Some(0.5),
            top_p: Some(0.25),
            stop: vec!["end".into()],
            extra_json: Some(r#"{"seed":1,"model":"other","stream":false,"messages":[],"n":2,"temperature":2}"#.into()),
        };
        let expected = json!({
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "t", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "t"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
            "max_completion_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.25,
            "stop": ["end"],
            "seed": 1,
        });
        assert_eq!(sent(&request), expected);
    }

    #[test]
    fn others_than_openai_get_the_old_name_of_the_limit() {
        let config = Config::parse(r#"{"base_url":"http://localhost:11434/v1"}"#).unwrap();
        let request = Request { max_output_tokens: Some(7), ..Request::default() };
        let sent: Value = serde_json::from_slice(&body(&config, &request).unwrap()).unwrap();
        assert_eq!(sent["max_tokens"], 7);
        assert_eq!(sent.get("max_completion_tokens"), None);
    }

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
        let messages = vec![
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
        assert_eq!(sent(&Request { messages, ..Request::default() })["messages"], expected);
    }

    #[test]
    fn what_is_no_json_is_the_callers_fault() {
        let refused = |request: Request| body(&Config::parse("{}").unwrap(), &request).unwrap_err();
        let extra = |text: &str| Request { extra_json: Some(text.into()), ..Request::default() };
        assert!(matches!(refused(extra("{")), Error::InvalidRequest(_)));
        assert!(matches!(refused(extra("[]")), Error::InvalidRequest(_)));
        let schema = Request { output_schema: Some("{".into()), ..Request::default() };
        assert!(matches!(refused(schema), Error::InvalidRequest(_)));
    }
}
