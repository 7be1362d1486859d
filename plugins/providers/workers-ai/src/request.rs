//! A request as Workers AI's text generation has it.

use gavel_provider_completions::conversation::{self, parse, tool, tool_choice};
use gavel_sdk::provider::{Error, Request, ToolChoice};
use gavel_sdk::types::Message;
use serde_json::{Map, Value, json};

use crate::config::Config;

/// Further settings that this API knows and that leave the gate where it is. It takes others that would not: a
/// `prompt` beside the messages, `functions` with code.
const PASSED_ON: &[&str] = &[
    "frequency_penalty",
    "lora",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "repetition_penalty",
    "seed",
    "top_k",
];

/// What is sent, and what the answer has to be measured by.
#[derive(Debug)]
pub(crate) struct Call {
    /// The path under the account's `ai`.
    pub(crate) path: String,
    /// The JSON.
    pub(crate) body: Vec<u8>,
    /// Tokens of the answer at most.
    pub(crate) max_tokens: u32,
}

/// The call that a request becomes.
pub(crate) fn call(config: &Config, request: &Request) -> Result<Call, Error> {
    let path = config.path(&format!("/run/{}", model(&request.model)?))?;
    let max_tokens = request.max_output_tokens.unwrap_or(config.max_tokens);
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("messages", Some(request.messages.iter().flat_map(messages).collect()));
    set("max_tokens", Some(json!(max_tokens)));
    set("temperature", request.temperature.map(Value::from));
    set("top_p", request.top_p.map(Value::from));
    set("stop", (!request.stop.is_empty()).then(|| json!(request.stop)));
    set("stream", Some(json!(request.output_schema.is_none())));
    if let Some(schema) = &request.output_schema {
        // An answer under a schema does not stream here.
        let schema = parse("the output's schema", schema)?;
        set("response_format", Some(json!({"type": "json_schema", "json_schema": schema})));
    }
    if let Some((tools, choice)) = tools(request)? {
        set("tools", Some(tools));
        set("tool_choice", choice);
    }
    if let Some(extra) = &request.extra_json {
        let extra = conversation::extra(extra)?.into_iter();
        extra.filter(|(name, _)| PASSED_ON.contains(&name.as_str())).for_each(|(name, value)| set(&name, Some(value)));
    }
    let body = serde_json::to_vec(&body).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    Ok(Call { path, body, max_tokens })
}

/// A model's name, which becomes part of the path: it may lead nowhere else.
fn model(name: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@/._-:".contains(&byte);
    let leads_on = |segment: &str| !segment.is_empty() && !segment.bytes().all(|byte| byte == b'.');
    if name.bytes().all(plain) && name.split('/').all(leads_on) {
        return Ok(name);
    }
    Err(Error::InvalidRequest("the model is no name such as @cf/meta/llama-3.1-8b-instruct".into()))
}

/// As chat completions have them; but this API wants a text where there is none.
fn messages(message: &Message) -> Vec<Value> {
    let mut messages = conversation::messages(message);
    for content in messages.iter_mut().filter_map(|message| message.get_mut("content")) {
        if content.is_null() {
            *content = json!("");
        }
    }
    messages
}

/// This API cannot be told to call one tool of several: it is given that one alone, and has to call one.
fn tools(request: &Request) -> Result<Option<(Value, Option<Value>)>, Error> {
    if request.tools.is_empty() {
        return Ok(None);
    }
    let (named, choice) = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => (Some(name), Some(tool_choice(&ToolChoice::Required))),
        choice => (None, choice.as_ref().map(tool_choice)),
    };
    let chosen = request.tools.iter().filter(|tool| named.is_none_or(|name| tool.name == *name));
    Ok(Some((chosen.map(tool).collect::<Result<_, _>>()?, choice)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_sdk::provider::Tool;
    use gavel_sdk::types::{Part, Role, ToolCall};

    const ACCOUNT: &str = r#"{"account_id":"023e105f4ecef8ad9ca31a8372d0c353"}"#;

    fn made(request: &Request) -> Result<(String, Value), Error> {
        let call = call(&Config::parse(ACCOUNT).unwrap(), request)?;
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["max_tokens"], call.max_tokens);
        Ok((call.path, body))
    }

    fn request() -> Request {
        Request {
            model: "@cf/meta/llama-3.1-8b-instruct".into(),
            messages: vec![Message::text(Role::System, "s"), Message::text(Role::User, "u")],
            ..Request::default()
        }
    }

    #[test]
    fn a_plain_request() {
        let (path, body) = made(&request()).unwrap();
        assert_eq!(path, "/accounts/023e105f4ecef8ad9ca31a8372d0c353/ai/run/@cf/meta/llama-3.1-8b-instruct");
        let expected = json!({
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            "max_tokens": 1024,
            "stream": true,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn every_field_finds_its_place() {
        let tool = |name: &str| Tool {
            name: name.into(),
            description: "d".into(),
            parameters_schema: r#"{"type":"object","properties":{}}"#.into(),
        };
        let call = ToolCall { id: "c1".into(), name: "t".into(), arguments_json: "{}".into(), opaque: None };
        let request = Request {
            messages: vec![Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] }],
            tools: vec![tool("t"), tool("other")],
            tool_choice: Some(ToolChoice::Named("t".into())),
            max_output_tokens: Some(7),
            temperature: Some(0.5),
            top_p: Some(0.25),
            stop: vec!["end".into()],
            extra_json: Some(
                r#"{"seed":1,"top_k":3,"prompt":"p","functions":[],"messages":[],"stream":false,"raw":true}"#.into(),
            ),
            ..request()
        };
        let function = json!({"name": "t", "description": "d", "parameters": {"type": "object", "properties": {}}});
        let called = json!({"id": "c1", "type": "function", "function": {"name": "t", "arguments": "{}"}});
        let expected = json!({
            "messages": [{"role": "assistant", "content": "", "tool_calls": [called]}],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": "required",
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.25,
            "stop": ["end"],
            "stream": true,
            "seed": 1,
            "top_k": 3,
        });
        assert_eq!(made(&request).unwrap().1, expected);
    }

    #[test]
    fn an_answer_under_a_schema_does_not_stream() {
        let (_, body) = made(&Request { output_schema: Some(r#"{"type":"object"}"#.into()), ..request() }).unwrap();
        assert_eq!(body["stream"], false);
        assert_eq!(body["response_format"], json!({"type": "json_schema", "json_schema": {"type": "object"}}));
    }

    #[test]
    fn a_models_name_leads_nowhere_else() {
        for model in
            ["", "@cf/../../zones", "@cf//m", "/m", "m/", "@cf/m?x=1", "@cf/m#x", "@cf/m%2f", "@cf/\u{e9}", "a b", "."]
        {
            let refused = made(&Request { model: model.into(), ..request() });
            assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{model}");
        }
    }
}
