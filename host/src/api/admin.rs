//! The operator's view: figures in Prometheus' formats.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{prometheus_text, text};

use super::App;
use super::problem::Problem;

/// The content type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What a scraper that takes OpenMetrics names.
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text";

/// `GET /metrics`: OpenMetrics for who asks for it, as Prometheus does; else Prometheus' older text format.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let open = accepted.into_iter().any(|accept| accept.contains(OPEN_METRICS_TYPE));
    let mut figures = String::new();
    let (encoded, content_type) = if open {
        (text::encode(&mut figures, &app.registry), OPEN_METRICS)
    } else {
        (prometheus_text::encode(&mut figures, &app.registry), prometheus_text::CONTENT_TYPE)
    };
    encoded.map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, content_type)], figures).into_response())
}
