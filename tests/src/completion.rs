//! An answer of the OpenAI-compatible endpoint, whole or streamed: both say the same.

use serde_json::{Value, json};

use crate::{Agent, Answer, User};

/// What a completion said.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The answer over HTTP.
    pub answer: Answer,
    /// The chunks, where it was streamed.
    pub chunks: Vec<Value>,
    /// The text.
    pub text: String,
    /// The model's thinking, as far as it was shown.
    pub thinking: String,
    /// The tool calls.
    pub calls: Vec<Value>,
    /// How it ended; empty where it failed.
    pub finish_reason: String,
    /// What it cost; null where it is not told.
    pub usage: Value,
    /// The governance results.
    pub results: Vec<Value>,
    /// The error, if there is one; else null.
    pub error: Value,
}

impl Completion {
    fn of(answer: Answer) -> Self {
        let mut completion = Self {
            chunks: Vec::new(),
            text: String::new(),
            thinking: String::new(),
            calls: Vec::new(),
            finish_reason: String::new(),
            usage: Value::Null,
            results: Vec::new(),
            error: Value::Null,
            answer,
        };
        if completion.answer.header("content-type").starts_with("text/event-stream") {
            let text = completion.answer.text();
            let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
            for event in events.filter(|event| *event != "[DONE]") {
                let chunk: Value = serde_json::from_str(event).unwrap_or_else(|_| panic!("no JSON: {event}"));
                completion.take(&chunk, "delta");
                completion.chunks.push(chunk);
            }
        } else {
            let body = completion.answer.body.clone();
            completion.take(&body, "message");
        }
        completion
    }

    fn take(&mut self, body: &Value, said: &str) {
        let choice = &body["choices"][0];
        let (message, text) = (&choice[said], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        self.text.push_str(&text(&message["content"]));
        self.thinking.push_str(&text(&message["reasoning_content"]));
        self.calls.extend(message["tool_calls"].as_array().cloned().unwrap_or_default());
        self.finish_reason.push_str(&text(&choice["finish_reason"]));
        if body["usage"].is_object() {
            self.usage = body["usage"].clone();
        }
        if body["error"].is_object() {
            self.error = body["error"].clone();
        }
        for governance in [&body["governance"], &body["error"]["governance"]] {
            self.results.extend(governance["results"].as_array().cloned().unwrap_or_default());
        }
    }

    /// Checks how it ended.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn ended(self, finish_reason: &str) -> Self {
        assert_eq!((self.answer.status, self.finish_reason.as_str()), (200, finish_reason), "{}", self.answer.text());
        self
    }

    /// Checks that it is refused with this status and code, in OpenAI's shape.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let given = (self.answer.status, &self.error["code"]);
        assert_eq!(given, (status, &json!(code)), "{}", self.answer.text());
        assert_eq!(self.answer.header("content-type"), "application/json");
        for member in ["message", "type"] {
            assert!(self.error[member].is_string(), "{member} of {}", self.error);
        }
        assert!(self.error.as_object().is_some_and(|error| error.contains_key("param")), "{}", self.error);
        self
    }

    /// The one result at this stage.
    ///
    /// # Panics
    /// When there is none, or another one.
    #[must_use]
    #[track_caller]
    pub fn at(&self, stage: &str) -> &Value {
        let found: Vec<_> = self.results.iter().filter(|result| result["stage"] == stage).collect();
        assert_eq!(found.len(), 1, "{stage}: {:#?}", self.results);
        found[0]
    }

    /// The stages of the results, in order.
    #[must_use]
    pub fn stages(&self) -> Vec<&str> {
        self.results.iter().filter_map(|result| result["stage"].as_str()).collect()
    }

    /// Whether a text stands anywhere in what the client got.
    #[must_use]
    pub fn shows(&self, needle: &str) -> bool {
        let calls = Value::from(self.calls.clone()).to_string();
        [self.text.as_str(), &self.thinking, &calls, &self.answer.text()].iter().any(|said| said.contains(needle))
    }
}

impl User {
    /// Asks an agent to complete a conversation; the wish may hold any other field.
    pub async fn completes(&self, agent: &Agent, messages: Value, wish: Value) -> Completion {
        let mut body = json!({"model": agent.id, "messages": messages});
        if let (Some(body), Some(wish)) = (body.as_object_mut(), wish.as_object()) {
            body.extend(wish.clone());
        }
        Completion::of(self.post("/v1/chat/completions", &body).await)
    }

    /// The same, from any body.
    pub async fn asks_to_complete(&self, body: &Value) -> Completion {
        Completion::of(self.post("/v1/chat/completions", body).await)
    }
}
