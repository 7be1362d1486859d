//! `Idempotency-Key`: what is asked for again within a day is done once, and answered as it was.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gavel_log::Hash;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;
use gavel_store::{AgentId, Ask, Asked, KeptAnswer, MAX_ANSWER_BYTES, Seed, StoreError};

use super::App;
use super::body::{MAX_BODY_BYTES, bounded};
use super::guard::{TheAgent, TheCaller};
use super::problem::{Code, Problem};
use crate::clock::now_ms;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Most characters of a key.
const MAX_KEY: usize = 255;

/// Where the id of what a request makes comes from, where it came under a key.
#[derive(Clone, Copy)]
pub(super) struct TheSeed(pub(super) Option<Seed>);

impl<S: Sync> FromRequestParts<S> for TheSeed {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

/// Does once what is asked for under one key. Of two at the same time the second waits for the first.
pub(super) async fn once(
    State(app): State<App>,
    caller: TheCaller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // What is asked of no agent makes one.
    let makes_agent = request.extensions().get::<TheAgent>().is_none();
    done_once(&app, caller, request, next, MAX_BODY_BYTES, makes_agent).await
}

/// The same for components, which are larger.
pub(super) async fn once_for_components(
    State(app): State<App>,
    caller: TheCaller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    done_once(&app, caller, request, next, MAX_COMPONENT_BYTES, false).await
}

async fn done_once(
    app: &App,
    TheCaller(caller): TheCaller,
    request: Request,
    next: Next,
    max_bytes: usize,
    makes_agent: bool,
) -> Result<Response, Problem> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let slot = hash_of(&[caller.user().as_str().as_bytes(), &key]);
    let (head, body) = request.into_parts();
    let mut body = bounded(&head.headers, body, max_bytes).await?;
    let fingerprint = hash_of(&[head.method.as_str().as_bytes(), head.uri.path().as_bytes(), &body]);
    let _alone = app.keys_at_work.of(slot).lock_owned().await;
    let seed = match app.store.ask(Ask { slot, fingerprint, seed: Seed::generate(), now: now_ms() }).await? {
        Asked::Open(seed) => seed,
        Asked::Answered(answer) => return replayed(answer),
        Asked::Gone => return Err(Problem::new(Code::NotFound, "what this key made has been deleted")),
    };
    let mut request = Request::from_parts(head, Body::from(std::mem::take(&mut *body)));
    let made = makes_agent.then(|| seed.agent());
    request.extensions_mut().insert(TheSeed(Some(seed)));
    let response = next.run(request).await;
    settled(app, &slot, made, response).await
}

/// The request's key, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    if keys.next().is_some() || !(1..=MAX_KEY).contains(&key.len()) || !key.as_bytes().iter().all(printable) {
        let detail = format!("an Idempotency-Key is one of 1 to {MAX_KEY} printable ASCII characters");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    Ok(Some(key.as_bytes().to_vec()))
}

/// A hash of texts, each behind its length, so that no two lists read the same.
fn hash_of(texts: &[&[u8]]) -> Hash {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text);
    }
    Hash::of(&bytes)
}

/// Keeps a success for whoever asks again, and forgets what was refused. Of a failure it is not known what came of it, so the
/// next attempt has the same seed.
async fn settled(app: &App, slot: &Hash, made: Option<AgentId>, response: Response) -> Result<Response, Problem> {
    if response.status().is_client_error() {
        app.store.withdraw(slot).await?;
    }
    if !response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await;
    let body = body.map_err(|_| Problem::new(Code::Internal, "the server failed to answer"))?;
    let answer = KeptAnswer {
        status: head.status.as_u16(),
        location: head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    app.store.keep_answer(slot, answer, made).await?;
    Ok(Response::from_parts(head, Body::from(body)))
}

fn replayed(answer: KeptAnswer) -> Result<Response, Problem> {
    let damaged = |_| Problem::internal(&StoreError::Corrupt("a kept answer".to_owned()));
    let status = StatusCode::from_u16(answer.status).map_err(damaged)?;
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = answer.location {
        let location = HeaderValue::from_str(&location);
        let damaged = |_| Problem::internal(&StoreError::Corrupt("a kept answer".to_owned()));
        response.headers_mut().insert(header::LOCATION, location.map_err(damaged)?);
    }
    Ok(response)
}
