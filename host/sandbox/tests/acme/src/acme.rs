//! The provider.

use std::hint::black_box;

use gavel_sdk::provider::{Completion, Credential, Error, FinishReason, Manifest, Model, Provider, Request, Sink};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

const NAME: &str = "acme-provider-00";
/// Where a test writes another version.
const VERSION: &str = "1.1000.0";
/// Where a test writes other ports. Twice the same origin is asked for once.
const ORIGINS: [&str; 2] = ["http://127.0.0.1:10001", "http://127.0.0.1:10002"];

struct Acme;

impl Provider for Acme {
    fn manifest() -> Manifest {
        Manifest {
            name: NAME.to_owned(),
            version: black_box(VERSION).to_owned(),
            summary: "Posts to where it asks to.".to_owned(),
            origins: origins(),
            credential: Some(Credential {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
                required: true,
            }),
            config_schema: "{}".to_owned(),
        }
    }

    fn configure(_: &str) -> Result<Self, String> {
        Ok(Self)
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    fn chat(&self, _: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        for origin in origins().iter().rev() {
            post(origin).map_err(Error::Unavailable)?;
        }
        sink.text(format!("posted by {}", black_box(VERSION)))?;
        Ok(Completion { finish_reason: FinishReason::Stop, usage: None, model: None })
    }
}

fn origins() -> Vec<String> {
    let mut origins = black_box(ORIGINS).map(str::to_owned).to_vec();
    origins.dedup();
    origins
}

fn post(origin: &str) -> Result<(), String> {
    let authority = origin.strip_prefix("http://").ok_or("scheme")?;
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Post).map_err(|()| "method")?;
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some("/v1/chat/completions")).map_err(|()| "path")?;
    let body = request.body().map_err(|()| "body")?;
    OutgoingBody::finish(body, None).map_err(|error| format!("{error:?}"))?;
    let pending = handle(request, None).map_err(|error| format!("{error:?}"))?;
    pending.subscribe().block();
    let arrived = pending.get().and_then(Result::ok).ok_or("no answer")?;
    arrived.map(drop).map_err(|error| format!("{error:?}"))
}

gavel_sdk::export_provider!(Acme);
