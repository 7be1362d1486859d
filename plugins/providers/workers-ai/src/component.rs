//! The provider itself: what a component of this crate exports.

use gavel_provider_completions::http;
use gavel_sdk::provider::{Completion, Credential, Error, Manifest, Model, Provider, Request, Sink};

use crate::config::{Config, SCHEMA};
use crate::request::Call;
use crate::{event, models, request};

/// Most bytes of a list of models.
const LIST_BYTES: usize = 4 << 20;

struct WorkersAi {
    config: Config,
}

impl Provider for WorkersAi {
    fn manifest() -> Manifest {
        Manifest {
            name: "workers-ai".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Cloudflare Workers AI: the models whose names begin with @cf/.".to_owned(),
            origins: vec!["{base-url}".to_owned()],
            credential: Some(Credential {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
                required: true,
            }),
            config_schema: SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        Config::parse(config_json).map(|config| Self { config })
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        let path = self.config.path(models::CALL)?;
        let response = http::send(&self.config.base, &path, &[], None)?.succeeded()?;
        models::parse(&response.beginning(LIST_BYTES))
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let Call { path, body, max_tokens } = request::call(&self.config, &request)?;
        drop(request);
        let response = http::send(&self.config.base, &path, &[], Some(&body))?.succeeded()?;
        drop(body);
        Ok(event::measured(response.completion(event::parse, sink)?, max_tokens))
    }
}

gavel_sdk::export_provider!(WorkersAi);
