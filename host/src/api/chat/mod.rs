//! `WS /v1/agents/{id}/chat`: the upgrade, and what may refuse it.

mod client;
mod socket;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use gavel_store::AgentState;

use super::App;
use super::guard::{CHAT_PROTOCOL, TheAgent, TheCaller};
use super::problem::{Code, Problem};
use crate::schema;
use crate::telemetry::Origin;

/// Open a chat.
///
/// A WebSocket (RFC 6455). Its frames are in the guide to the protocol, `docs/api.md`. Browsers, which cannot set headers
/// here, offer the subprotocols `gavel.chat.v1` and `bearer.TOKEN`.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/chat",
    tag = "Chat",
    operation_id = "chat",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses(
        (status = 101, description = "The chat is open."),
        (status = 409, description = "The agent is not running."),
        (status = 426, description = "The request asks for no WebSocket."),
    ),
)]
pub(super) async fn chat(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    TheCaller(caller): TheCaller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if agent.state != AgentState::Running {
        return Err(Problem::new(Code::AgentNotRunning, "the agent is not running"));
    }
    if app.tasks.draining().is_cancelled() {
        return Err(Problem::new(Code::ShuttingDown, "the server is going down"));
    }
    let stay = app.access.credentials().hold(&caller);
    // Once more, now that its end would be noticed.
    if !app.access.is_still(&caller)? {
        return Err(Problem::new(Code::Unauthorized, "the token is not valid any more"));
    }
    let upgrade = upgrade.map_err(|_| Problem::new(Code::UpgradeRequired, "a chat takes a WebSocket (RFC 6455)"))?;
    let frame_bytes = client::frame_limit(app.config.limits.message_bytes);
    let upgrade = upgrade
        .protocols([CHAT_PROTOCOL])
        .max_message_size(frame_bytes * socket::READ_AHEAD)
        .max_frame_size(frame_bytes * socket::READ_AHEAD)
        .read_buffer_size(socket::BUFFER_BYTES)
        .write_buffer_size(socket::BUFFER_BYTES);
    let tasks = app.tasks.clone();
    let origin = Origin::here();
    Ok(upgrade.on_upgrade(move |socket| {
        tasks.track(origin.follow(async move {
            let _open = app.metrics.socket_opened();
            socket::Chat::new(app, agent.id, caller, stay).run(socket).await;
        }))
    }))
}
