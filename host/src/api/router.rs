//! Every path, and the handler behind it. Who may call it stands in `auth/rules.rs`.

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{delete, get, post};
use tower_http::cors::{Any, CorsLayer};

use super::guard::guard;
use super::layers::{COMPLETIONS, FILES, PLUGINS, no_such_method, no_such_path, surround};
use super::{
    App, admin, agents, backtest, chat, checkpoints, completions, docs, evaluate, files, health, idempotency, keys,
    log, messages, openapi, plugins, policies, proofs, quota, rate, unread, vault, verdicts, verify,
};

/// The public listener's routes.
pub fn router(app: App) -> Router {
    // Where the answer is no secret and the body no stream.
    let once = from_fn_with_state(app.clone(), idempotency::once);
    let installed_once = from_fn_with_state(app.clone(), idempotency::once_for_components);
    let few_at_once = from_fn_with_state(app.clone(), plugins::few_at_once);
    let agents = Router::new()
        .route("/v1/agents", post(agents::create).layer(once.clone()).get(agents::list))
        .route("/v1/agents/{id}/api-keys", post(keys::give).get(keys::list))
        .route("/v1/agents/{id}/api-keys/{key_id}", delete(keys::revoke))
        .route("/v1/agents/{id}/vault", post(vault::put).get(vault::list).delete(vault::remove))
        .route(FILES, post(files::create).get(files::list))
        .route("/v1/agents/{id}/files/{file_id}", get(files::show).delete(files::remove))
        .route("/v1/agents/{id}", get(agents::show).patch(agents::change).delete(agents::delete))
        .route("/v1/agents/{id}/policies", get(policies::list).put(policies::replace))
        .route("/v1/agents/{id}/start", post(agents::start))
        .route("/v1/agents/{id}/stop", post(agents::stop))
        .route("/v1/agents/{id}/chat", get(chat::chat))
        .route("/v1/agents/{id}/messages", get(messages::list).delete(messages::clear))
        .route("/v1/agents/{id}/checkpoints", post(checkpoints::create).layer(once).get(checkpoints::list))
        .route("/v1/agents/{id}/checkpoints/{checkpoint_id}", get(checkpoints::show))
        .route("/v1/agents/{id}/checkpoints/{checkpoint_id}/restore", post(checkpoints::restore))
        .route("/v1/agents/{id}/proofs/{leaf_hash}", get(proofs::show))
        .route("/v1/agents/{id}/verdicts", get(verdicts::of_agent))
        .route("/v1/agents/{id}/quota", get(quota::show))
        .route("/v1/policies/{name}/evaluate", post(evaluate::evaluate))
        .route("/v1/verdicts", get(verdicts::of_all))
        .route("/v1/policies/{name}/backtest", post(backtest::run))
        .route(PLUGINS, post(plugins::install).layer(installed_once).layer(few_at_once).get(plugins::list))
        .route("/v1/plugins/{name}", get(plugins::show))
        .route("/v1/plugins/{name}/versions", get(plugins::versions))
        .route("/v1/plugins/{name}/versions/{digest}", delete(plugins::delete))
        .route("/v1/plugins/{name}/approve", post(plugins::approve))
        .route(COMPLETIONS, post(completions::create))
        .route("/v1/models", get(completions::models))
        .route("/v1/models/{model}", get(completions::model))
        .layer(from_fn_with_state(app.clone(), rate::count))
        .layer(map_response(never_cached));
    // The log and its proofs are for everyone, whatever page asks.
    let log = Router::new()
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/key", get(log::key))
        .route("/log/consistency", get(log::consistency))
        .route("/log/tile/{*tile}", get(log::tile))
        .route("/verify/proof/{leaf_hash}", get(verify::proof))
        .layer(CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::HEAD]));
    let documents = Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(docs::page))
        .route("/verify/", get(verify::portal))
        .route("/verify/{file}", get(verify::file))
        .route("/docs/{file}", get(docs::file));
    finished(health_routes().merge(agents).merge(log).merge(documents), app)
}

/// The admin listener's routes, for the operator alone.
pub fn admin_router(app: App) -> Router {
    let metrics = Router::new().route("/metrics", get(admin::metrics));
    health_routes()
        .merge(metrics)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), surround))
        .with_state(app)
}

fn health_routes() -> Router<App> {
    Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
}

fn finished(routes: Router<App>, app: App) -> Router {
    routes
        .route_layer(from_fn_with_state(app.clone(), guard))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), surround))
        .layer(from_fn(completions::in_openai_shape))
        .layer(from_fn(unread::end_the_connection))
        .with_state(app)
}

/// What belongs to one caller is kept by no cache.
async fn never_cached(mut response: Response) -> Response {
    use axum::http::{HeaderValue, header};
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
