//! A request as OpenAI's chat completions have it.

use gavel_provider_completions::conversation::{extra, messages, parse, tool, tool_choice};
use gavel_sdk::provider::{Error, Request};
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
    let extra = request.extra_json.as_deref().map_or_else(|| Ok(Map::new()), extra)?;
    if let Some(schema) = &request.output_schema {
        let schema = parse("the output's schema", schema)?;
        set("response_format", Some(answer_format(schema, &extra)));
    }
    for (name, value) in extra {
        if !OURS.contains(&name.as_str()) {
            body.entry(name).or_insert(value);
        }
    }
    serde_json::to_vec(&body).map_err(|error| Error::InvalidRequest(error.to_string()))
}

/// The format of an answer with this schema; `extra` may say its name, its description and whether it is strict.
fn answer_format(schema: Value, extra: &Map<String, Value>) -> Value {
    let mut format = json!({"name": "answer", "strict": true});
    let said = extra.get("response_format").and_then(|format| format.get("json_schema")).and_then(Value::as_object);
    if let (Some(format), Some(said)) = (format.as_object_mut(), said) {
        format.extend(said.clone());
    }
    if let Some(format) = format.as_object_mut() {
        format.insert("schema".into(), schema);
    }
    json!({"type": "json_schema", "json_schema": format})
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_sdk::provider::{Tool, ToolChoice};
    use gavel_sdk::types::{Message, Role};

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
    fn what_else_is_said_of_a_schema_stands_beside_it() {
        let said =
            r#"{"response_format":{"type":"json_schema","json_schema":{"name":"person","strict":false,"schema":1}}}"#;
        let schema = Some(r#"{"type":"object"}"#.to_owned());
        let request = Request { output_schema: schema, extra_json: Some(said.into()), ..Request::default() };
        let format = json!({"name": "person", "strict": false, "schema": {"type": "object"}});
        assert_eq!(sent(&request)["response_format"], json!({"type": "json_schema", "json_schema": format}));
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
    fn what_is_no_json_is_the_callers_fault() {
        let refused = |request: Request| body(&Config::parse("{}").unwrap(), &request).unwrap_err();
        let extra = |text: &str| Request { extra_json: Some(text.into()), ..Request::default() };
        assert!(matches!(refused(extra("{")), Error::InvalidRequest(_)));
        assert!(matches!(refused(extra("[]")), Error::InvalidRequest(_)));
        let schema = Request { output_schema: Some("{".into()), ..Request::default() };
        assert!(matches!(refused(schema), Error::InvalidRequest(_)));
    }
}
