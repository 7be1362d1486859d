//! What is answered, as OpenAI's clients read it; `governance` is ours.

use gavel_store::MessageId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use crate::turn::{GovernanceResult, ToolCallView, Usage};

/// A whole answer: `chat.completion`.
#[derive(Serialize, ToSchema)]
#[schema(as = Completion, examples(json!({
    "id": "msg_01k6zv3mfe5x8q2r7t9w4y6b0n", "object": "chat.completion", "created": 1769860800,
    "model": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris.", "refusal": null}, "logprobs": null,
        "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 14, "completion_tokens": 2, "total_tokens": 16}, "governance": {"results": []},
})))]
pub(in crate::api) struct Completion {
    #[schema(value_type = schema::MessageId)]
    pub(super) id: Option<MessageId>,
    pub(super) object: &'static str,
    pub(super) created: i64,
    pub(super) model: String,
    #[schema(value_type = Vec<Choice>)]
    pub(super) choices: [Choice; 1],
    pub(super) usage: Tokens,
    pub(super) governance: Governance,
}

/// The one answer.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionChoice)]
pub(super) struct Choice {
    pub(super) index: u32,
    pub(super) message: Message,
    #[schema(required, value_type = Option<Object>)]
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: &'static str,
}

/// What the assistant says.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionAnswer)]
pub(super) struct Message {
    pub(super) role: &'static str,
    #[schema(required)]
    pub(super) content: Option<String>,
    #[schema(required, value_type = Option<Object>)]
    pub(super) refusal: Option<()>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<ToolCall>,
}

/// A piece of an answer: `chat.completion.chunk`.
#[derive(Serialize)]
pub(super) struct Chunk<'a> {
    pub(super) id: Option<MessageId>,
    pub(super) object: &'static str,
    pub(super) created: i64,
    pub(super) model: &'a str,
    pub(super) choices: Vec<DeltaChoice<'a>>,
    /// Null in all but the last chunk, where it was asked for; else left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Tokens>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) governance: Option<Results<'a>>,
}

/// What is new of the one answer.
#[derive(Serialize)]
pub(super) struct DeltaChoice<'a> {
    pub(super) index: u32,
    pub(super) delta: Delta<'a>,
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: Option<&'a str>,
}

/// What is new.
#[derive(Default, Serialize)]
pub(super) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[ToolCall; 1]>,
}

/// A tool call.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionAnswerToolCall)]
pub(super) struct ToolCall {
    /// Its number, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CompletionAnswerFunction)]
struct Function {
    name: String,
    arguments: String,
}

impl ToolCall {
    pub(super) fn of(call: ToolCallView, index: Option<usize>) -> Self {
        let ToolCallView { id, name, arguments } = call;
        Self { index, id, kind: "function", function: Function { name, arguments } }
    }
}

/// Tokens; zeros where the provider does not count them.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionTokens)]
pub(super) struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let (prompt_tokens, completion_tokens) = (usage.input_tokens, usage.output_tokens);
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens.saturating_add(completion_tokens) }
    }
}

/// All verdicts of the turn: the input's first, the output's last.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionGovernance)]
pub(super) struct Governance {
    pub(super) results: Vec<GovernanceResult>,
}

/// The same, borrowed.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionResults)]
pub(super) struct Results<'a> {
    pub(super) results: &'a [GovernanceResult],
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionError, examples(json!({"error": {
    "message": "there is no such agent: model is the id of one of yours", "type": "invalid_request_error",
    "param": "model", "code": "model_not_found",
}})))]
pub(in crate::api) struct ErrorBody<'a> {
    pub(super) error: ErrorObject<'a>,
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionErrorObject)]
pub(super) struct ErrorObject<'a> {
    pub(super) message: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[schema(required)]
    pub(super) param: Option<String>,
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) governance: Option<Results<'a>>,
}
