//! The provider itself: what a component of this crate exports.

use gavel_sdk::provider::{Completion, Credential, Error, Manifest, Model, Provider, Request, Sink};

use crate::config::{Config, SCHEMA};
use crate::http::{Response, send};
use crate::{answer, models, request, status};

/// Most bytes of an error's body that are looked at, and of a list of models.
const ERROR_BYTES: usize = 64 << 10;
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
        let response = succeeded(send(&self.config, "/models", None)?)?;
        models::parse(&response.beginning(LIST_BYTES))
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        let body = request::body(&self.config, &request)?;
        drop(request);
        let response = succeeded(send(&self.config, "/chat/completions", Some(&body))?)?;
        drop(body);
        let whole = response.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let read = || response.read();
        let completion = if whole { answer::whole(read, sink) } else { answer::stream(read, sink) }?;
        response.read_out();
        Ok(completion)
    }
}

fn succeeded(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status()) {
        return Ok(response);
    }
    let body = response.beginning(ERROR_BYTES);
    Err(status::error(response.status(), |name| response.header(name), &body))
}

gavel_sdk::export_provider!(OpenAi);
