//! Whether the server is well, for people and orchestrators.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use gavel_log::Hash;
use serde::Serialize;

use super::App;

/// The answer of `/health`.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    workers: Vec<Worker>,
    log: LogView,
}

/// One part of the server.
#[derive(Serialize)]
struct Worker {
    name: &'static str,
    status: &'static str,
    detail: Option<&'static str>,
}

/// The log's head.
#[derive(Serialize)]
struct LogView {
    origin: String,
    tree_size: u64,
    root_hash: Hash,
}

/// `GET /health`
pub(super) async fn health(State(app): State<App>) -> impl IntoResponse {
    let workers = workers(&app);
    let well = workers.iter().all(|worker| worker.status == "up");
    let head = app.store.head();
    let health = Health {
        status: if well { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        workers,
        log: LogView { origin: app.log_key.name().to_string(), tree_size: head.size, root_hash: head.root },
    };
    (status(well), Answer(health))
}

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> impl IntoResponse {
    Answer(serde_json::json!({"status": "ok"}))
}

/// `GET /health/ready`: it takes requests, which it does not while it goes down.
pub(super) async fn ready(State(app): State<App>) -> impl IntoResponse {
    let ready = workers(&app).iter().all(|worker| worker.status == "up");
    (status(ready), Answer(serde_json::json!({"status": if ready { "ok" } else { "degraded" }})))
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn workers(app: &App) -> Vec<Worker> {
    let stored = app.store.user_by_token(&Hash::ZERO).is_ok();
    let draining = app.tasks.draining().is_cancelled();
    vec![
        worker("store", stored.then_some(()).ok_or("the store cannot be read")),
        worker("turns", if draining { Err("the server is going down") } else { Ok(()) }),
    ]
}

fn worker(name: &'static str, state: Result<(), &'static str>) -> Worker {
    Worker { name, status: if state.is_ok() { "up" } else { "down" }, detail: state.err() }
}
