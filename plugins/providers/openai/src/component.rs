//! The provider itself: what a component of this crate exports.

use gavel_provider_completions::http::Response;
use gavel_provider_completions::{chunk, http};
use gavel_sdk::provider::{Completion, Credential, Error, Manifest, Model, Provider, Request, Sink};

use crate::config::{Config, SCHEMA};
use crate::{models, request};

/// Most bytes of a list of models.
const LIST_BYTES: usize = 4 << 20;

struct OpenAi {
    config: Config,
}

impl Provider for OpenAi {
    fn manifest() -> Manifest {
        Manifest {
            name: "openai".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "OpenAI, and whatever speaks its chat completions at another base URL.".to_owned(),
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
        Config::parse(config_json).map(|config| Self { config })
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        let response = self.send("/models", None)?;
        models::parse(&response.beginning(LIST_BYTES))
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let body = request::body(&self.config, &request)?;
        drop(request);
        let response = self.send("/chat/completions", Some(&body))?;
        drop(body);
        response.completion(chunk::parse, sink)
    }
}

impl OpenAi {
    fn send(&self, path: &str, body: Option<&[u8]>) -> Result<Response, Error> {
        let organization =
            self.config.organization.as_deref().map(|organization| ("openai-organization", organization));
        http::send(&self.config.base, path, organization.as_slice(), body)?.succeeded()
    }
}

gavel_sdk::export_provider!(OpenAi);
