//! A turn as its client saw it.

use serde_json::Value;

/// The frames of one turn, and what they say.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The client's message.
    pub message_id: String,
    /// All of the turn's frames, in order.
    pub frames: Vec<Value>,
    /// The input's governance result; null where there is none.
    pub input: Value,
    /// The output's governance result; null where there is none.
    pub output: Value,
    /// The answer's text.
    pub text: String,
    /// The model's thinking, as far as it was shown.
    pub thinking: String,
    /// The thinking's governance result; null where there is none.
    pub thought: Value,
    /// How the answer ended; empty where the message was refused before its turn began.
    pub finish_reason: String,
    /// What it cost.
    pub usage: Value,
    /// The error, if there was one; else null.
    pub error: Value,
}

impl Turn {
    /// What these frames of one turn say.
    #[must_use]
    pub fn of(message_id: &str, frames: Vec<Value>) -> Self {
        let mut turn = Self {
            message_id: message_id.to_owned(),
            input: Value::Null,
            output: Value::Null,
            text: String::new(),
            thinking: String::new(),
            thought: Value::Null,
            finish_reason: String::new(),
            usage: Value::Null,
            error: Value::Null,
            frames: Vec::new(),
        };
        for frame in &frames {
            match (frame["type"].as_str(), frame["stage"].as_str()) {
                (Some("governance_result"), Some("input")) => turn.input = frame.clone(),
                (Some("governance_result"), Some("output")) => turn.output = frame.clone(),
                (Some("governance_result"), Some("reasoning")) => turn.thought = frame.clone(),
                (Some("reasoning_chunk"), _) => turn.thinking.push_str(text(&frame["content"])),
                (Some("stream_chunk"), _) => turn.text.push_str(text(&frame["content"])),
                (Some("stream_end"), _) => {
                    text(&frame["finish_reason"]).clone_into(&mut turn.finish_reason);
                    turn.usage = frame["usage"].clone();
                }
                (Some("error"), _) => turn.error = frame.clone(),
                _ => {}
            }
        }
        turn.frames = frames;
        turn
    }

    /// The frames' types in order, neighbouring chunks as one; `governance_result` with its stage.
    #[must_use]
    pub fn shape(&self) -> Vec<String> {
        let mut shape: Vec<String> = Vec::new();
        for frame in &self.frames {
            let kind = match frame["type"].as_str() {
                Some("governance_result") => format!("governance_result {}", text(&frame["stage"])),
                kind => kind.unwrap_or("?").to_owned(),
            };
            if !kind.ends_with("_chunk") || shape.last() != Some(&kind) {
                shape.push(kind);
            }
        }
        shape
    }

    /// The answer's id.
    #[must_use]
    pub fn answer_id(&self) -> &str {
        let start = self.frames.iter().find(|frame| frame["type"] == "stream_start");
        start.map_or("", |start| text(&start["message_id"]))
    }

    /// Checks how the turn ended.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn ended(&self, finish_reason: &str) -> &Self {
        assert_eq!(self.finish_reason, finish_reason, "{:#?}", self.frames);
        self
    }

    /// Whether a text stands anywhere in what the client was sent.
    #[must_use]
    pub fn shows(&self, needle: &str) -> bool {
        self.text.contains(needle) || self.frames.iter().any(|frame| frame.to_string().contains(needle))
    }

    /// The leaf hashes that the client was told.
    #[must_use]
    pub fn leaf_hashes(&self) -> Vec<String> {
        let told = self.frames.iter().filter_map(|frame| frame["leaf_hash"].as_str());
        told.map(str::to_owned).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
