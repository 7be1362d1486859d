//! Who may go on to a handler: one layer authenticates and applies the route's declared rule.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use gavel_store::{Agent, AgentId};

use super::openapi::takes_query;
use super::problem::{Code, Problem};
use super::{App, Peer};
use crate::auth::{Caller, Rule, TokenKind, rule_for};

/// The subprotocol that the server selects.
pub(super) const CHAT_PROTOCOL: &str = "gavel.chat.v1";
/// A browser's way to show a token: an offered subprotocol with this in front.
const BEARER_PROTOCOL: &str = "bearer.";
/// What every token begins with, by kind.
const TOKEN_PREFIXES: [&str; 2] = [TokenKind::User.prefix(), TokenKind::Key.prefix()];

/// The agent in the path, which the caller may see.
#[derive(Clone)]
pub(super) struct TheAgent(pub(super) Agent);

/// Who calls.
#[derive(Clone)]
pub(super) struct TheCaller(pub(super) Caller);

/// Lets a request through if its route's rule allows it.
pub(super) async fn guard(
    State(app): State<App>,
    route: MatchedPath,
    path: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let rule = rule_for(request.method(), route.as_str())
        .ok_or_else(|| Problem::new(Code::MethodNotAllowed, "no rule allows this"))?;
    // A path that is not UTF-8 names nothing.
    let path = path.map_err(|_| Problem::not_found());
    if rule == Rule::Open {
        path?;
        return Ok(next.run(request).await);
    }
    let admitted = match credential(&request) {
        Ok(shown) => app.access.authenticate(shown).await.map_err(Problem::from),
        Err(refused) => Err(refused),
    };
    let caller = admitted.map_err(|refused| match refused.code() {
        // An issuer that cannot be asked says nothing of whoever came.
        Code::Unauthorized => too_often(&app, &request).unwrap_or(refused),
        _ => refused,
    })?;
    caller.pass(rule)?;
    let path = path?;
    if matches!(rule, Rule::Owner | Rule::Key(_)) {
        let id = path.iter().find(|(name, _)| *name == "id").and_then(|(_, id)| id.parse::<AgentId>().ok());
        let agent = id.map(|id| app.agents.find(&id)).transpose()?.flatten();
        request.extensions_mut().insert(TheAgent(caller.reach(agent)?));
    }
    if request.uri().query().is_some_and(|query| !query.is_empty()) && !takes_query(request.method(), route.as_str()) {
        return Err(Problem::new(Code::InvalidRequest, "this call takes no query parameters"));
    }
    request.extensions_mut().insert(TheCaller(caller));
    Ok(next.run(request).await)
}

/// The refusal of a caller from where too many have come without a valid token; counts this one.
fn too_often(app: &App, request: &Request) -> Option<Problem> {
    let Peer(peer) = request.extensions().get()?;
    let seconds = app.strangers.count_failure(*peer).err()?;
    let detail = "too many requests without a valid token came from this address";
    Some(Problem::new(Code::RateLimited, detail).retry_after(seconds))
}

/// What a request shows to be let in with, in a place where it may.
fn credential(request: &Request) -> Result<&str, Problem> {
    let refused = |detail: &str| Problem::new(Code::Unauthorized, detail);
    let query = request.uri().query().unwrap_or_default();
    if TOKEN_PREFIXES.iter().any(|prefix| query.contains(prefix)) {
        return Err(refused("a token in a query string ends up in logs: it is not accepted"));
    }
    shown(request).ok_or_else(|| refused("a token is needed"))
}

/// The token that a request shows: in its header, or among the subprotocols that it offers.
fn shown(request: &Request) -> Option<&str> {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim());
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offered.find_map(|protocol| protocol.trim().strip_prefix(BEARER_PROTOCOL))
}

impl<S: Sync> FromRequestParts<S> for TheAgent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::not_found)
    }
}

impl<S: Sync> FromRequestParts<S> for TheCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Code::Unauthorized, "a token is needed");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
