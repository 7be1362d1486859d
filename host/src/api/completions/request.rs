//! What a client sends, as `docs/api.md` lists it: every field that is taken, and those that are known and refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use utoipa::ToSchema;

use super::content::Content;
use crate::object::{Object, objects};

/// The body of `POST /v1/chat/completions`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionRequest, examples(json!({
    "model": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "messages": [{"role": "user", "content": "What is the capital of France?"}],
})))]
pub(in crate::api) struct Request {
    #[serde(default, deserialize_with = "objects")]
    /// The conversation; the last message is answered.
    #[schema(required, value_type = Vec<Message>, min_items = 1, max_items = 1024)]
    pub(super) messages: Option<Vec<Message>>,
    /// The id of one of the caller's agents; with an API key anything, or nothing.
    pub(super) model: Option<String>,
    /// Whether the answer comes as server-sent events.
    pub(super) stream: Option<bool>,
    #[schema(value_type = Option<StreamOptions>)]
    pub(super) stream_options: Option<Object<StreamOptions>>,
    #[serde(default, deserialize_with = "objects")]
    #[schema(value_type = Option<Vec<Tool>>, max_items = 128)]
    pub(super) tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required`, or a function that stands in `tools`.
    #[schema(value_type = Option<Value>)]
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    #[schema(value_type = Option<ResponseFormat>)]
    pub(super) response_format: Option<Object<ResponseFormat>>,
    #[schema(minimum = 0, maximum = 2)]
    pub(super) temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub(super) top_p: Option<f64>,
    #[schema(minimum = 1)]
    pub(super) max_tokens: Option<u32>,
    #[schema(minimum = 1)]
    pub(super) max_completion_tokens: Option<u32>,
    /// A text at which the answer ends, or up to four.
    #[schema(value_type = Option<Value>)]
    pub(super) stop: Option<Value>,
    // Passed on as they are, where the provider can.
    pub(super) seed: Option<i64>,
    #[schema(minimum = -2, maximum = 2)]
    pub(super) frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    pub(super) presence_penalty: Option<f64>,
    pub(super) logit_bias: Option<BTreeMap<String, f64>>,
    #[schema(max_length = 256)]
    pub(super) reasoning_effort: Option<String>,
    #[schema(max_length = 256)]
    pub(super) verbosity: Option<String>,
    #[schema(max_length = 256)]
    pub(super) service_tier: Option<String>,
    #[schema(max_length = 256)]
    pub(super) user: Option<String>,
    #[schema(max_length = 256)]
    pub(super) safety_identifier: Option<String>,
    #[schema(max_length = 256)]
    pub(super) prompt_cache_key: Option<String>,
    // Ignored: nothing of the conversation is to be kept elsewhere.
    #[serde(rename = "store")]
    _store: Option<bool>,
    #[serde(rename = "metadata")]
    _metadata: Option<BTreeMap<String, String>>,
    #[serde(rename = "prompt_cache_retention")]
    _prompt_cache_retention: Option<String>,
    // Taken where they ask for nothing that would go around the gate.
    #[schema(minimum = 1, maximum = 1)]
    pub(super) n: Option<u32>,
    pub(super) logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 0)]
    pub(super) top_logprobs: Option<u32>,
    pub(super) modalities: Option<Vec<String>>,
    // Refused.
    #[schema(ignore)]
    pub(super) audio: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(super) prediction: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(super) functions: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(super) function_call: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(super) web_search_options: Option<IgnoredAny>,
}

/// How an answer is streamed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionStreamOptions)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
    #[serde(rename = "include_obfuscation")]
    _include_obfuscation: Option<bool>,
}

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CompletionRole)]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// One message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionMessage)]
pub(super) struct Message {
    pub(super) role: Role,
    /// A text, or parts of the type `text`.
    #[schema(value_type = Option<Value>)]
    pub(super) content: Option<Content>,
    pub(super) refusal: Option<String>,
    #[serde(default, deserialize_with = "objects")]
    #[schema(value_type = Option<Vec<ToolCall>>)]
    pub(super) tool_calls: Option<Vec<ToolCall>>,
    pub(super) tool_call_id: Option<String>,
    #[schema(ignore)]
    pub(super) audio: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(super) function_call: Option<IgnoredAny>,
    // Ignored: providers have no place for them. Clients send back what they were given.
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "reasoning_content")]
    _reasoning: Option<String>,
    #[schema(value_type = Option<Value>)]
    #[serde(rename = "annotations")]
    _annotations: Option<IgnoredAny>,
}

/// A tool call that the model made before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionToolCall)]
pub(super) struct ToolCall {
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[schema(value_type = CalledFunction)]
    pub(super) function: Object<CalledFunction>,
    #[serde(rename = "index")]
    _index: Option<u32>,
}

/// What was called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionCalledFunction)]
pub(super) struct CalledFunction {
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    pub(super) name: String,
    pub(super) arguments: String,
}

/// A tool that the model may call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionTool)]
pub(super) struct Tool {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[schema(required, value_type = Function)]
    pub(super) function: Option<Object<Function>>,
    #[schema(ignore)]
    #[serde(rename = "custom")]
    _custom: Option<IgnoredAny>,
}

/// A function.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionFunction)]
pub(super) struct Function {
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// A JSON Schema.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub(super) parameters: Option<Value>,
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// What the answer has to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionResponseFormat)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[schema(value_type = Option<AnswerSchema>)]
    pub(super) json_schema: Option<Object<AnswerSchema>>,
}

/// The schema of an answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompletionAnswerSchema)]
pub(super) struct AnswerSchema {
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    pub(super) name: String,
    pub(super) description: Option<String>,
    #[schema(required, value_type = std::collections::BTreeMap<String, Value>)]
    pub(super) schema: Option<Value>,
    pub(super) strict: Option<bool>,
}
