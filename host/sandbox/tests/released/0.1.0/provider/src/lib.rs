//! The provider `released-provider`: speaks to an API of chat completions, such as a local llama.cpp, vLLM or Ollama.
//!
//! Each chat has an instance of its own. The host does the HTTP: it lets the provider call only origins that the operator
//! granted, and adds the key, which no provider sees.

pub mod answer;
#[cfg(target_family = "wasm")]
mod http;

use gavel_sdk::provider::{Completion, Credential, Error, Manifest, Model, Provider, Request, Sink};
use gavel_sdk::types::{Message, Part, Role};
use serde::Deserialize;
use serde_json::{Value, json};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "required": ["base_url"],
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": "^https?://",
            "description": "Where the API is, such as http://127.0.0.1:11434/v1."
        },
        "models": { "type": "array", "items": { "type": "string" }, "default": [], "description": "Models that it offers." }
    }
}"#;

/// The provider with its configuration.
#[derive(Debug, Deserialize)]
pub struct ChatCompletions {
    base_url: String,
    #[serde(default)]
    models: Vec<String>,
}

gavel_sdk::export_provider!(ChatCompletions);

impl Provider for ChatCompletions {
    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Speaks to an API of chat completions.".to_owned(),
            // A request, not a right: the operator grants it. {base-url} stands for the origin of the configured base_url.
            origins: vec!["{base-url}".to_owned()],
            credential: Some(Credential {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
                required: false,
            }),
            config_schema: SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        serde_json::from_str(config_json).map_err(|error| error.to_string())
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        Ok(self.models.iter().map(|id| Model { id: id.clone(), context_tokens: None }).collect())
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let url = format!("{}/chat/completions", self.base_url.trim_end_matches('/'));
        exchange(&url, body(&request)?.to_string().as_bytes(), sink)
    }
}

#[cfg(target_family = "wasm")]
fn exchange(url: &str, body: &[u8], sink: &mut Sink<'_>) -> Result<Completion, Error> {
    let response = http::post(url, body)?;
    answer::check(response.status(), || response.header("retry-after"))?;
    answer::read(|| response.read(), sink)
}

/// Without WebAssembly there is no host that would do the HTTP: the tests go in below it.
#[cfg(not(target_family = "wasm"))]
fn exchange(_: &str, _: &[u8], _: &mut Sink<'_>) -> Result<Completion, Error> {
    Err(Error::Unavailable("only a component speaks HTTP".to_owned()))
}

/// The request as the API wants it.
///
/// # Errors
/// What this provider cannot say to the API.
pub fn body(request: &Request) -> Result<Value, Error> {
    if !request.tools.is_empty() {
        return Err(Error::InvalidRequest("this provider knows no tools".to_owned()));
    }
    let messages = request.messages.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let mut body = json!({
        "model": request.model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let more = [
        ("max_tokens", request.max_output_tokens.map(Value::from)),
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("stop", (!request.stop.is_empty()).then(|| json!(request.stop))),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    Ok(body)
}

fn message(message: &Message) -> Result<Value, Error> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut content = String::new();
    for part in &message.parts {
        let Part::Text(text) = part else {
            return Err(Error::InvalidRequest("this provider speaks text only".to_owned()));
        };
        content.push_str(text);
    }
    Ok(json!({ "role": role, "content": content }))
}
