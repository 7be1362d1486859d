//! The API's own description, OpenAPI 3.1, from what stands beside the handlers.

mod shared;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use utoipa::OpenApi;

pub(super) use shared::every_code;

use super::{
    agents, backtest, chat, checkpoints, completions, docs, evaluate, files, health, keys, log, messages, plugins,
    policies, proofs, quota, vault, verdicts, verify,
};
use crate::auth::routes;

/// What the handlers say of themselves. What all of them share is added by [`shared::complete`].
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gavel",
        description = "A self-hosted platform for AI agents. Every answer goes through sandboxed policies, and every \
                       verdict is a leaf of a signed Merkle log.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        agents::change,
        agents::create,
        agents::delete,
        agents::list,
        agents::show,
        agents::start,
        agents::stop,
        backtest::run,
        chat::chat,
        checkpoints::create,
        checkpoints::list,
        checkpoints::restore,
        checkpoints::show,
        completions::create,
        completions::model,
        completions::models,
        docs::file,
        docs::page,
        document,
        evaluate::evaluate,
        files::create,
        files::list,
        files::remove,
        files::show,
        health::health,
        health::live,
        health::ready,
        keys::give,
        keys::list,
        keys::revoke,
        log::checkpoint,
        log::consistency,
        log::key,
        log::tile,
        messages::clear,
        messages::list,
        plugins::approve,
        plugins::delete,
        plugins::install,
        plugins::list,
        plugins::show,
        plugins::versions,
        policies::list,
        policies::replace,
        proofs::show,
        quota::show,
        vault::list,
        vault::put,
        vault::remove,
        verdicts::of_agent,
        verdicts::of_all,
        verify::portal,
        verify::file,
        verify::proof,
    ),
    tags(
        (name = "Agents", description = "Made, changed, started, stopped and deleted."),
        (name = "Chat", description = "Governed turns."),
        (name = "Checkpoints", description = "Places in a conversation to go back to."),
        (name = "Completions", description = "Governed turns as OpenAI's clients ask for them."),
        (name = "Policies", description = "What judges an agent's turns."),
        (name = "Messages", description = "What was said, as far as it passed."),
        (name = "Files", description = "What messages may name."),
        (name = "API keys", description = "Tokens for one agent, with scopes."),
        (name = "Vault", description = "The agent's own keys for its providers."),
        (name = "Plugins", description = "Policies and providers: what is installed, and what is granted."),
        (name = "Quota", description = "What an agent may use, and has used."),
        (name = "Verdicts", description = "What was decided, by which rule, and when."),
        (name = "Proofs", description = "What was decided, and that nobody changed it since."),
        (name = "Log", description = "The public log, as C2SP tlog-tiles has it."),
        (name = "Health", description = "How the server is."),
        (name = "Reference", description = "This document, and a page that shows it."),
    ),
)]
struct Handlers;

/// The document, as it is served and checked in.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

/// The routes whose operations take query parameters.
static WITH_QUERY: LazyLock<BTreeSet<(&Method, &str)>> = LazyLock::new(|| {
    let mut paths = Handlers::openapi().paths;
    let mut takes = |method: &Method, route: &str| {
        shared::operation(&mut paths, method, &shared::documented(route)).is_some_and(|it| shared::takes_query(it))
    };
    routes().map(|(method, route, _)| (method, route)).filter(|(method, route)| takes(method, route)).collect()
});

/// Whether a route's operation takes query parameters. One that takes none would ignore them, and with them a typo.
pub(super) fn takes_query(method: &Method, route: &str) -> bool {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    WITH_QUERY.contains(&(method, route))
}

/// The document as text, in a stable order.
#[must_use]
pub fn text() -> String {
    let mut document = Handlers::openapi();
    shared::complete(&mut document);
    // Texts, numbers and maps of them always have a JSON form.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Give this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Reference",
    operation_id = "openapi",
    responses((status = 200, description = "The API's description, OpenAPI 3.1.", body = Object,
        example = json!({"openapi": "3.1.0", "info": {"title": "Gavel", "version": "0.1.0"}, "paths": {}}))),
)]
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], DOCUMENT.clone())
}

#[cfg(test)]
mod tests;
