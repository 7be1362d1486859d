//! `types.wit`: the conversation.

use gavel_sdk_policy_world::gavel::plugin::types as wit;

use crate::types::{Media, Message, Part, Reasoning, ResultPart, Role, ToolCall, ToolResult, Usage};

impl From<wit::Role> for Role {
    fn from(role: wit::Role) -> Self {
        match role {
            wit::Role::System => Self::System,
            wit::Role::User => Self::User,
            wit::Role::Assistant => Self::Assistant,
            wit::Role::Tool => Self::Tool,
        }
    }
}

impl From<wit::Media> for Media {
    fn from(wit::Media { media_type, data }: wit::Media) -> Self {
        Self { media_type, data }
    }
}

impl From<wit::Reasoning> for Reasoning {
    fn from(wit::Reasoning { text, opaque }: wit::Reasoning) -> Self {
        Self { text, opaque }
    }
}

impl From<Reasoning> for wit::Reasoning {
    fn from(Reasoning { text, opaque }: Reasoning) -> Self {
        Self { text, opaque }
    }
}

impl From<wit::ToolCall> for ToolCall {
    fn from(wit::ToolCall { id, name, arguments_json, opaque }: wit::ToolCall) -> Self {
        Self { id, name, arguments_json, opaque }
    }
}

impl From<ToolCall> for wit::ToolCall {
    fn from(ToolCall { id, name, arguments_json, opaque }: ToolCall) -> Self {
        Self { id, name, arguments_json, opaque }
    }
}

impl From<wit::ResultPart> for ResultPart {
    fn from(part: wit::ResultPart) -> Self {
        match part {
            wit::ResultPart::Text(text) => Self::Text(text),
            wit::ResultPart::Media(media) => Self::Media(media.into()),
        }
    }
}

impl From<wit::ToolResult> for ToolResult {
    fn from(wit::ToolResult { call_id, parts, is_error }: wit::ToolResult) -> Self {
        Self { call_id, parts: parts.into_iter().map(Into::into).collect(), is_error }
    }
}

impl From<wit::Part> for Part {
    fn from(part: wit::Part) -> Self {
        match part {
            wit::Part::Text(text) => Self::Text(text),
            wit::Part::Media(media) => Self::Media(media.into()),
            wit::Part::Reasoning(reasoning) => Self::Reasoning(reasoning.into()),
            wit::Part::ToolCall(call) => Self::ToolCall(call.into()),
            wit::Part::ToolResult(result) => Self::ToolResult(result.into()),
        }
    }
}

impl From<wit::Message> for Message {
    fn from(wit::Message { role, parts }: wit::Message) -> Self {
        Self { role: role.into(), parts: parts.into_iter().map(Into::into).collect() }
    }
}

impl From<Usage> for wit::Usage {
    fn from(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens } = usage;
        Self { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens }
    }
}
