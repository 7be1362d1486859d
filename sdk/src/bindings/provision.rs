//! `provider.wit`: requests in, deltas out.

use crate::bindings::provider_plugin::exports::gavel::plugin::provider as wit;
use crate::bindings::provider_plugin::gavel::plugin::sink;
use crate::provider::{
    Closed, Completion, Credential, Delta, Error, FinishReason, Manifest, Model, Request, Tool, ToolChoice,
};

/// Hands a delta to the host.
pub(crate) fn send(delta: Delta) -> Result<(), Closed> {
    sink::send(&delta.into()).map_err(|()| Closed)
}

impl From<Delta> for sink::Delta {
    fn from(delta: Delta) -> Self {
        match delta {
            Delta::Text(text) => Self::Text(text),
            Delta::Reasoning(reasoning) => Self::Reasoning(reasoning.into()),
            Delta::ToolCall(call) => Self::ToolCall(call.into()),
        }
    }
}

impl From<Manifest> for wit::Manifest {
    fn from(manifest: Manifest) -> Self {
        Self {
            name: manifest.name,
            version: manifest.version,
            summary: manifest.summary,
            origins: manifest.origins,
            credential: manifest.credential.map(Into::into),
            config_schema: manifest.config_schema,
        }
    }
}

impl From<Credential> for wit::Credential {
    fn from(Credential { header, format, required }: Credential) -> Self {
        Self { header, format, required }
    }
}

impl From<wit::Tool> for Tool {
    fn from(wit::Tool { name, description, parameters_schema }: wit::Tool) -> Self {
        Self { name, description, parameters_schema }
    }
}

impl From<wit::ToolChoice> for ToolChoice {
    fn from(choice: wit::ToolChoice) -> Self {
        match choice {
            wit::ToolChoice::Auto => Self::Auto,
            wit::ToolChoice::None => Self::None,
            wit::ToolChoice::Required => Self::Required,
            wit::ToolChoice::Named(tool) => Self::Named(tool),
        }
    }
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
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

impl From<FinishReason> for wit::FinishReason {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
            FinishReason::ToolCalls => Self::ToolCalls,
            FinishReason::ContentFilter => Self::ContentFilter,
        }
    }
}

impl From<Completion> for wit::Completion {
    fn from(Completion { finish_reason, usage, model }: Completion) -> Self {
        Self { finish_reason: finish_reason.into(), usage: usage.map(Into::into), model }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthorized(why) => Self::Unauthorized(why),
            Error::RateLimited(ms) => Self::RateLimited(ms),
            Error::InvalidRequest(why) => Self::InvalidRequest(why),
            Error::Unavailable(why) => Self::Unavailable(why),
            Error::Interrupted(why) => Self::Interrupted(why),
            Error::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Model> for wit::Model {
    fn from(Model { id, context_tokens }: Model) -> Self {
        Self { id, context_tokens }
    }
}
