//! Whether the server is well, for people and orchestrators.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use gavel_log::Hash;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::schema;

/// How long a failed commit is shown. A server that is sent nothing for it would never write again, and so never be well.
const FAILURE_SHOWN: Duration = Duration::from_secs(60);

/// How the server is.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "ok", "version": "0.1.0", "uptime_seconds": 86400,
    "workers": [{"name": "store", "status": "up", "detail": null}],
    "log": {
        "origin": "gavel.example.org/log", "tree_size": 70,
        "root_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
})))]
pub(super) struct Health {
    /// `degraded` when a worker is down.
    status: Status,
    version: &'static str,
    uptime_seconds: u64,
    workers: Vec<Worker>,
    log: LogView,
}

/// Whether all parts of the server are up.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Degraded,
}

/// What a probe is answered.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"status": "ok"})))]
pub(super) struct Probe {
    status: Status,
}

/// Whether one part of the server is up.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WorkerStatus {
    Up,
    Down,
}

/// One part of the server.
#[derive(Serialize, ToSchema)]
struct Worker {
    name: &'static str,
    status: WorkerStatus,
    /// Why it is down.
    #[schema(required)]
    detail: Option<&'static str>,
}

/// The log's head.
#[derive(Serialize, ToSchema)]
#[schema(as = LogHead)]
struct LogView {
    origin: String,
    /// Leaves in the log.
    tree_size: u64,
    #[schema(value_type = schema::HexHash)]
    root_hash: Hash,
}

/// Say how the server is.
#[utoipa::path(
    get,
    path = "/health",
    tag = "Health",
    operation_id = "health",
    responses(
        (status = 200, description = "All is well.", body = Health),
        (status = 503, description = "A worker is down.", body = Health),
    ),
)]
pub(super) async fn health(State(app): State<App>) -> impl IntoResponse {
    let workers = workers(&app);
    let status = status(&workers);
    let head = app.store.head();
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        workers,
        log: LogView { origin: app.log_key.name().to_string(), tree_size: head.size, root_hash: head.root },
    };
    (code(status), Answer(health))
}

/// Say that the process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "Health",
    operation_id = "live",
    responses((status = 200, description = "It does.", body = Probe)),
)]
pub(super) async fn live() -> Answer<Probe> {
    Answer(Probe { status: Status::Ok })
}

/// Say whether the server takes requests.
///
/// It does not while it goes down, nor before the policies that its configuration binds are compiled: a turn would be judged,
/// but more slowly.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Health",
    operation_id = "ready",
    responses(
        (status = 200, description = "It does.", body = Probe),
        (status = 503, description = "It does not.", body = Probe),
    ),
)]
pub(super) async fn ready(State(app): State<App>) -> impl IntoResponse {
    let well = status(&workers(&app)) == Status::Ok && app.plugins.is_warm();
    let status = if well { Status::Ok } else { Status::Degraded };
    (code(status), Answer(Probe { status }))
}

fn status(workers: &[Worker]) -> Status {
    let well = workers.iter().all(|worker| worker.status == WorkerStatus::Up);
    if well { Status::Ok } else { Status::Degraded }
}

fn code(status: Status) -> StatusCode {
    match status {
        Status::Ok => StatusCode::OK,
        Status::Degraded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn workers(app: &App) -> Vec<Worker> {
    let store = app.store.status();
    let writer = if !store.writing {
        Some("the writer has ended")
    } else if store.failed_commit.is_some_and(|ago| ago < FAILURE_SHOWN) {
        Some("a commit failed")
    } else {
        None
    };
    let stands_still = "it stands still";
    vec![
        worker("store", app.store.user_by_token(&Hash::ZERO).err().map(|_| "the store cannot be read")),
        worker("store-writer", writer),
        worker("policy-clock", (!app.plugins.policies.is_ticking()).then_some(stands_still)),
        worker("provider-clock", (!app.plugins.providers.is_ticking()).then_some(stands_still)),
        worker("turns", app.tasks.draining().is_cancelled().then_some("the server is going down")),
    ]
}

/// A worker that is up, or down for this reason.
fn worker(name: &'static str, fault: Option<&'static str>) -> Worker {
    let status = if fault.is_none() { WorkerStatus::Up } else { WorkerStatus::Down };
    Worker { name, status, detail: fault }
}
