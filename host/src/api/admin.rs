//! The operator's view: figures in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::App;

/// The content type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let figures = [
        ("gavel_http_requests_total", "counter", "Requests answered.", app.counters.requests.load(Ordering::Relaxed)),
        ("gavel_sockets_open", "gauge", "WebSockets that are open.", app.counters.sockets.load(Ordering::Relaxed)),
        ("gavel_turns_open", "gauge", "Turns that are under way.", app.open_turns.count() as u64),
        ("gavel_log_entries", "gauge", "Entries in the log.", app.store.head().size),
        ("gavel_uptime_seconds", "gauge", "Seconds since the start.", app.started.elapsed().as_secs()),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in figures {
        // Writing to a string does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], text)
}
