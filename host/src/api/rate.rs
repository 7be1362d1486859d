//! Counts the requests to an agent, and tells each caller how the agent stands: the `RateLimit` and `RateLimit-Policy`
//! fields of draft-ietf-httpapi-ratelimit-headers-09.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gavel_store::Agent;

use super::App;
use super::guard::TheAgent;
use super::problem::{Code, Problem};
use crate::quota::Standing;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How the agent in the path stands with its limit of requests, this one counted; none where there is no limit.
#[derive(Clone, Copy)]
pub(super) struct TheStanding(pub(super) Option<Standing>);

/// Counts a request to the agent in the path, which the guard has let through.
pub(super) async fn count(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(TheAgent(agent)) = request.extensions().get() else {
        return next.run(request).await;
    };
    let counted = counted(&app, agent);
    let (response, standing) = match counted {
        Ok(standing) => {
            request.extensions_mut().insert(TheStanding(standing));
            (next.run(request).await, standing)
        }
        Err(standing) => (refusal(standing).into_response(), Some(standing)),
    };
    told(response, standing)
}

/// Counts one request to an agent.
pub(super) fn counted(app: &App, agent: &Agent) -> Result<Option<Standing>, Standing> {
    app.quotas.of(&agent.owner).count_request(&agent.id)
}

/// The answer to a request that the minute does not allow.
pub(super) fn refusal(standing: Standing) -> Problem {
    let detail = format!("the agent takes {} requests a minute", standing.limit);
    Problem::new(Code::RateLimited, detail).retry_after(standing.retry_after)
}

/// The answer with the fields that say how the agent stands, where its requests are limited.
pub(super) fn told(mut response: Response, standing: Option<Standing>) -> Response {
    let Some(Standing { limit, remaining, reset, .. }) = standing else { return response };
    let fields = [
        (RATE_LIMIT_POLICY, format!("\"requests\";q={limit};w=60")),
        (RATE_LIMIT, format!("\"requests\";r={remaining};t={reset}")),
    ];
    for (name, value) in fields {
        // Digits and ASCII letters: it is always a header's value.
        response.headers_mut().extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    response
}
