//! What no handler says of itself, since all share it: who may call it, the ways in which any call fails, and the headers
//! of every answer.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Operation, ParameterIn, Paths};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, Header, Object, OpenApi, Ref, RefOr, Response, Schema};

use super::super::problem::{Body, Code};
use crate::auth::{Rule, Scope, routes};

const PROBLEM: &str = "application/problem+json";
/// The name of the one security scheme.
const BEARER: &str = "bearer";

/// Adds to every operation what its route's rule and its kind make of it.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    add_components(components);
    let mut statuses = BTreeSet::new();
    for (method, route, rule) in routes() {
        if let Some(operation) = operation(&mut document.paths, method, &documented(route)) {
            settle_body(operation);
            add_security(operation, rule);
            add_failures(operation, rule);
            finish_responses(operation, &mut statuses);
        }
    }
    for status in statuses {
        components.schemas.insert(problem_name(status), problem_of(status));
    }
}

/// A route as OpenAPI writes it: it knows no wildcards.
pub(super) fn documented(route: &str) -> String {
    route.replace("{*", "{")
}

/// The operation of a method and path, where there is one.
pub(super) fn operation<'a>(paths: &'a mut Paths, method: &Method, path: &str) -> Option<&'a mut Operation> {
    let item = paths.paths.get_mut(path)?;
    match method.as_str() {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

/// Whether an operation takes query parameters.
pub(super) fn takes_query(operation: &Operation) -> bool {
    let parameters = operation.parameters.iter().flatten();
    let mut places = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(&parameter.parameter_in),
        RefOr::Ref(_) => None,
    });
    places.any(|place| *place == ParameterIn::Query)
}

/// The shape of a problem's code: every code there is.
pub(in super::super) fn every_code() -> Object {
    words(Code::ALL.iter().map(|code| code.entry().0.into()))
}

fn words(words: impl Iterator<Item = Value>) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(words)).build()
}

fn add_components(components: &mut Components) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A user's token (`gvu_…`), an agent's API key (`gvk_…`) with the scope that the operation names, or a JWT of \
         the issuer that the operator configured. Where an operation names no scope, an API key is refused.",
    ));
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer.build())));
    let headers = [
        ("x-request-id", "The request's id: the caller's own if it sent a harmless one.", Type::String),
        ("www-authenticate", "How to show who calls: `Bearer`.", Type::String),
        ("retry-after", "Seconds after which it is worth trying again.", Type::Integer),
    ];
    for (name, description, kind) in headers {
        let mut header = Header::new(ObjectBuilder::new().schema_type(SchemaType::new(kind)));
        header.description = Some(description.to_owned());
        components.headers.insert(name.to_owned(), RefOr::T(header));
    }
    let mut schemas = vec![(Body::name().into_owned(), <Body as utoipa::PartialSchema>::schema())];
    Body::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

/// A body that may be left out is described as one that may be null, which it may not.
fn settle_body(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        if let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
            && let [RefOr::Ref(shape), RefOr::T(Schema::Object(null))] = either.items.as_slice()
            && null.schema_type == SchemaType::new(Type::Null)
        {
            content.schema = Some(RefOr::Ref(shape.clone()));
        }
    }
}

fn add_security(operation: &mut Operation, rule: Rule) {
    let scopes: Vec<String> = match rule {
        // Said outright, so that no reader has to know what the document says as a whole.
        Rule::Open => {
            operation.security = Some(Vec::new());
            return;
        }
        Rule::User | Rule::Auditor | Rule::Admin | Rule::Owner => Vec::new(),
        Rule::Key(scope) | Rule::AnyKey(scope) => vec![scope_name(scope)],
    };
    operation.security = Some(vec![SecurityRequirement::new(BEARER, scopes)]);
}

fn scope_name(scope: Scope) -> String {
    serde_json::to_value(scope).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The answers that follow from the rule, and from what the operation takes.
fn add_failures(operation: &mut Operation, rule: Rule) {
    let mut failures = vec![
        (StatusCode::INTERNAL_SERVER_ERROR, "A fault of the server; its log says which."),
        (StatusCode::SERVICE_UNAVAILABLE, "The server is going down, or is too busy."),
        (StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may."),
    ];
    if rule != Rule::Open {
        failures.push((StatusCode::UNAUTHORIZED, "No token, or not a valid one."));
        failures.push((StatusCode::FORBIDDEN, "Not with this token."));
    }
    if matches!(rule, Rule::Owner | Rule::Key(_)) {
        failures.push((StatusCode::NOT_FOUND, "There is no such thing, or it is another's."));
    }
    // A query that nobody asked for is refused behind the guard, whatever the operation takes.
    if rule != Rule::Open || operation.parameters.is_some() {
        failures.push((StatusCode::BAD_REQUEST, "A parameter or a field is not acceptable."));
    }
    if operation.request_body.is_some() {
        failures.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than it may be."));
        failures.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another type."));
    }
    for (status, description) in failures {
        let described = || RefOr::T(Response::new(description));
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(described);
    }
}

/// Gives every answer its headers, and every failure that says nothing else the body of a problem.
fn finish_responses(operation: &mut Operation, statuses: &mut BTreeSet<u16>) {
    for (status, response) in &mut operation.responses.responses {
        let (Ok(status), RefOr::T(response)) = (status.parse::<u16>(), response) else { continue };
        if status >= 400 && response.content.is_empty() {
            let mut content = Content::new(Some(Ref::from_schema_name(problem_name(status))));
            content.example = Some(example(status, &response.description));
            response.content.insert(PROBLEM.to_owned(), content.into());
            statuses.insert(status);
        }
        let more = match status {
            401 => Some("www-authenticate"),
            429 | 503 => Some("retry-after"),
            _ => None,
        };
        for name in more.into_iter().chain(["x-request-id"]) {
            let shared = Ref::new(format!("#/components/headers/{name}"));
            response.headers.entry(name.to_owned()).or_insert(RefOr::Ref(shared));
        }
    }
}

/// The schema of a problem with this status.
fn problem_name(status: u16) -> String {
    format!("Problem{status}")
}

fn codes_of(status: u16) -> impl Iterator<Item = &'static str> {
    Code::ALL.iter().map(|code| code.entry()).filter(move |(_, of)| of.as_u16() == status).map(|(name, _)| name)
}

/// A problem whose code is one of those that go with the status.
fn problem_of(status: u16) -> RefOr<Schema> {
    let status_only = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).enum_values(Some([status]));
    let narrowed =
        ObjectBuilder::new().property("status", status_only).property("code", words(codes_of(status).map(Value::from)));
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let whole = AllOfBuilder::new().item(Ref::from_schema_name(Body::name())).item(narrowed).title(title);
    RefOr::T(Schema::AllOf(whole.build()))
}

fn example(status: u16, detail: &str) -> Value {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let code = codes_of(status).next();
    json!({"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code})
}
