//! Between the host's types and those that bindgen makes of the WIT.

use super::bindings::exports::gavel::plugin::provider as wit;
use super::bindings::gavel::plugin::{sink, types};
use super::chat::{
    ChatRequest, Completion, Delta, FinishReason, Media, Message, Model, Part, ResultPart, Role, Tool, ToolChoice,
    Usage,
};
use super::error::detail;

impl From<ChatRequest> for wit::Request {
    fn from(request: ChatRequest) -> Self {
        Self {
            model: request.model,
            messages: request.messages.into_iter().map(Into::into).collect(),
            tools: request.tools.into_iter().map(Into::into).collect(),
            tool_choice: request.tool_choice.map(Into::into),
            output_schema: request.output_schema,
            max_output_tokens: request.max_output_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            stop: request.stop,
            extra_json: request.extra_json,
        }
    }
}

impl From<Tool> for wit::Tool {
    fn from(tool: Tool) -> Self {
        Self { name: tool.name, description: tool.description, parameters_schema: tool.parameters_schema }
    }
}

impl From<ToolChoice> for wit::ToolChoice {
    fn from(choice: ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => Self::Auto,
            ToolChoice::None => Self::None,
            ToolChoice::Required => Self::Required,
            ToolChoice::Named(name) => Self::Named(name),
        }
    }
}

impl From<Message> for types::Message {
    fn from(message: Message) -> Self {
        let role = match message.role {
            Role::System => types::Role::System,
            Role::User => types::Role::User,
            Role::Assistant => types::Role::Assistant,
            Role::Tool => types::Role::Tool,
        };
        Self { role, parts: message.parts.into_iter().map(Into::into).collect() }
    }
}

impl From<Part> for types::Part {
    fn from(part: Part) -> Self {
        match part {
            Part::Text(text) => Self::Text(text),
            Part::Media(media) => Self::Media(media.into()),
            Part::Reasoning { text, opaque } => Self::Reasoning(types::Reasoning { text, opaque }),
            Part::ToolCall { id, name, arguments_json, opaque } => {
                Self::ToolCall(types::ToolCall { id, name, arguments_json, opaque })
            }
            Part::ToolResult { call_id, parts, is_error } => {
                let parts = parts.into_iter().map(Into::into).collect();
                Self::ToolResult(types::ToolResult { call_id, parts, is_error })
            }
        }
    }
}

impl From<ResultPart> for types::ResultPart {
    fn from(part: ResultPart) -> Self {
        match part {
            ResultPart::Text(text) => Self::Text(text),
            ResultPart::Media(media) => Self::Media(media.into()),
        }
    }
}

impl From<Media> for types::Media {
    fn from(media: Media) -> Self {
        Self { media_type: media.media_type, data: media.data }
    }
}

impl From<sink::Delta> for Delta {
    fn from(delta: sink::Delta) -> Self {
        match delta {
            sink::Delta::Text(text) => Self::Text(text),
            sink::Delta::Reasoning(types::Reasoning { text, opaque }) => Self::Reasoning { text, opaque },
            sink::Delta::ToolCall(types::ToolCall { id, name, arguments_json, opaque }) => {
                Self::ToolCall { id, name, arguments_json, opaque }
            }
        }
    }
}

impl From<wit::Completion> for Completion {
    fn from(completion: wit::Completion) -> Self {
        let finish_reason = match completion.finish_reason {
            wit::FinishReason::Stop => FinishReason::Stop,
            wit::FinishReason::Length => FinishReason::Length,
            wit::FinishReason::ToolCalls => FinishReason::ToolCalls,
            wit::FinishReason::ContentFilter => FinishReason::ContentFilter,
        };
        Self {
            finish_reason,
            usage: completion.usage.map(Into::into),
            model: completion.model.map(|model| detail(&model, None)),
        }
    }
}

impl From<types::Usage> for Usage {
    fn from(usage: types::Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}

impl From<wit::Model> for Model {
    fn from(model: wit::Model) -> Self {
        Self { id: detail(&model.id, None), context_tokens: model.context_tokens }
    }
}
