//! The OpenAI-compatible endpoint: chat completions through the same governed turn, and the caller's agents as models.
//!
//! A completion is stateless: `messages` is the conversation, the agent's session is neither read nor written.

mod answer;
mod check;
mod content;
mod conversation;
mod faults;
mod request;
mod shape;
mod stream;
mod wire;

use axum::Json as Answer;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use gavel_store::{Agent, AgentId};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::body::Json;
use super::guard::TheCaller;
use super::problem::{Code, Problem};
use super::rate;
use crate::agent::Reader;
use crate::auth::{Caller, Stay};
use crate::schema;
use crate::turn::Frame;
use answer::Fault;
use check::Wish;
use request::Request;
pub(super) use shape::in_openai_shape;
use wire::ErrorBody;

/// Most bytes of a request's body.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Most agents that are listed as models.
const MAX_MODELS: usize = gavel_store::MAX_PAGE;

/// Answer a conversation as OpenAI's API does, through the governed turn.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "Completions",
    operation_id = "create_completion",
    request_body = Request,
    responses(
        (status = 200, description = "The answer; with `stream`, server-sent events.",
            headers(("x-gavel-leaf-hash" = String, description = "The input's leaf.")),
            content((wire::Completion = "application/json"), (String = "text/event-stream",
                example = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\ndata: [DONE]\n\n"))),
        (status = 400, description = "A field is not acceptable, or a policy blocks it.", body = ErrorBody),
        (status = 401, description = "No token, or not a valid one.", body = ErrorBody),
        (status = 403, description = "Not with this token.", body = ErrorBody),
        (status = 404, description = "The model is none of the caller's agents.", body = ErrorBody),
        (status = 409, description = "The agent is not running.", body = ErrorBody),
        (status = 413, description = "The body is larger than it may be.", body = ErrorBody),
        (status = 415, description = "The body is of another type.", body = ErrorBody),
        (status = 429, description = "Too many requests, here or at the provider.", body = ErrorBody),
        (status = 500, description = "A fault of the server; its log says which.", body = ErrorBody),
        (status = 502, description = "The provider failed, or refused the key.", body = ErrorBody),
        (status = 503, description = "The server is going down, or is too busy.", body = ErrorBody),
        (status = 504, description = "The provider took too long.", body = ErrorBody),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    Json(request): Json<Request, MAX_BODY_BYTES>,
) -> Result<Response, Fault> {
    let wish = check::checked(request)?;
    let agent = agent(&app, &caller, wish.model.as_deref())?;
    match rate::counted(&app, &agent) {
        Ok(standing) => {
            let answer = answered(&app, &caller, agent, wish).await;
            Ok(rate::told(answer.into_response(), standing))
        }
        Err(standing) => {
            let refused = Fault::from(rate::refusal(standing));
            Ok(rate::told(refused.into_response(), Some(standing)))
        }
    }
}

async fn answered(app: &App, caller: &Caller, agent: Agent, wish: Wish) -> Result<Response, Fault> {
    let stay = app.access.credentials().hold(caller);
    // A credential that was taken away before it was held is not told of its end.
    if !app.access.is_still(caller).map_err(Problem::from)? {
        return Err(Problem::new(Code::Unauthorized, "the token is not valid any more").into());
    }
    let model = agent.id.to_string();
    let turn = app.conversations.complete(agent, caller, wish.text, wish.stateless);
    let turn = turn.map_err(|(code, detail)| Problem::new(Code::named(code), detail))?;
    let listener = Listener { reader: Reader::new(turn), stay, over: false };
    if wish.stream {
        stream::respond(&app.tasks, listener, stream::Form { model, usage: wish.include_usage }).await
    } else {
        answer::whole(listener, &model).await
    }
}

/// Reads a turn that nobody else can. When it is dropped the turn is cancelled: its client is gone, and cannot come back.
struct Listener {
    reader: Reader,
    stay: Stay,
    over: bool,
}

impl Listener {
    /// The turn's next frame. When the client's credential ends, the last one is an error.
    async fn next(&mut self) -> Option<Frame> {
        if self.over {
            return None;
        }
        tokio::select! {
            biased;
            () = self.stay.ended().cancelled() => {
                self.over = true;
                let message = "the token has been revoked".to_owned();
                Some(Frame::Error { code: "unauthorized", message, message_id: None, retry_after: None })
            }
            frame = self.reader.next() => frame,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reader.turn().cancel();
    }
}

/// The agent that a caller means: that of its API key, whatever the model is called; else the user's own of this id.
fn agent(app: &App, caller: &Caller, model: Option<&str>) -> Result<Agent, Problem> {
    let id = match (caller.only_agent(), model) {
        (Some(only), _) => Some(only),
        (None, Some(model)) => model.parse().ok(),
        (None, None) => None,
    };
    let agent = id.map(|id: AgentId| app.agents.find(&id)).transpose()?.flatten();
    let none = || Problem::new(Code::ModelNotFound, "there is no such agent: model is the id of one of yours");
    agent.filter(|agent| caller.reaches(agent)).ok_or_else(none)
}

/// The caller's agents.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"object": "list", "data": [
    {"id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "object": "model", "created": 1769860800, "owned_by": "gavel"},
]})))]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

/// An agent as a model.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!(
    {"id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "object": "model", "created": 1769860800, "owned_by": "gavel"}
)))]
pub(super) struct Model {
    #[schema(value_type = schema::AgentId)]
    id: AgentId,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

impl From<Agent> for Model {
    fn from(agent: Agent) -> Self {
        Self { id: agent.id, object: "model", created: agent.created_at / 1000, owned_by: "gavel" }
    }
}

/// List the caller's agents as models.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "Completions",
    operation_id = "list_models",
    responses(
        (status = 200, description = "The caller's agents, or the API key's one.", body = ModelList),
        (status = 401, description = "No token, or not a valid one.", body = ErrorBody),
        (status = 403, description = "Not with this token.", body = ErrorBody),
        (status = 500, description = "A fault of the server; its log says which.", body = ErrorBody),
        (status = 503, description = "The server is going down, or is too busy.", body = ErrorBody),
        (status = 504, description = "The request took longer than it may.", body = ErrorBody),
    ),
)]
pub(super) async fn models(State(app): State<App>, TheCaller(caller): TheCaller) -> Result<Answer<ModelList>, Problem> {
    let agents = match caller.only_agent() {
        Some(only) => app.agents.find(&only)?.into_iter().collect(),
        None => app.agents.list(caller.user(), None, MAX_MODELS)?,
    };
    Ok(Answer(ModelList { object: "list", data: agents.into_iter().map(Model::from).collect() }))
}

/// Show one of the caller's agents as a model.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "Completions",
    operation_id = "show_model",
    params(("model" = String, Path, description = "The agent's id; with an API key anything.")),
    responses(
        (status = 200, description = "The agent.", body = Model),
        (status = 400, description = "The path is not UTF-8.", body = ErrorBody),
        (status = 401, description = "No token, or not a valid one.", body = ErrorBody),
        (status = 403, description = "Not with this token.", body = ErrorBody),
        (status = 404, description = "The model is none of the caller's agents.", body = ErrorBody),
        (status = 500, description = "A fault of the server; its log says which.", body = ErrorBody),
        (status = 503, description = "The server is going down, or is too busy.", body = ErrorBody),
        (status = 504, description = "The request took longer than it may.", body = ErrorBody),
    ),
)]
pub(super) async fn model(
    State(app): State<App>,
    TheCaller(caller): TheCaller,
    model: Result<Path<String>, PathRejection>,
) -> Result<Answer<Model>, Problem> {
    let Path(model) = model.map_err(|_| Problem::new(Code::InvalidRequest, "the model's name is not UTF-8"))?;
    agent(&app, &caller, Some(&model)).map(|agent| Answer(agent.into()))
}
