use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::Value;

use super::shared::documented;
use super::{takes_query, text};
use crate::api::Code;
use crate::auth::{Rule, routes};

/// The guide to the API.
const GUIDE: &str = include_str!("../../../../docs/api.md");
/// What the document calls operations.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(&text()).unwrap()
}

/// Every operation with its name, `GET /path`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                operations.push((format!("{} {path}", method.to_uppercase()), operation));
            }
        }
    }
    operations
}

/// What a reference of the document refers to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

#[test]
fn the_document_that_is_checked_in_is_the_one_that_is_served() {
    let checked_in = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
    assert!(checked_in.unwrap() == text(), "renew it: cargo run -- openapi > docs/openapi.json");
}

#[test]
fn every_route_is_an_operation_and_every_operation_a_route() {
    let document = document();
    let ruled: BTreeSet<_> = routes().map(|(method, route, _)| format!("{method} {}", documented(route))).collect();
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let undescribed: Vec<_> = ruled.difference(&described).collect();
    assert!(undescribed.is_empty(), "annotate with #[utoipa::path] and name in openapi/mod.rs: {undescribed:?}");
    let unruled: Vec<_> = described.difference(&ruled).collect();
    assert!(unruled.is_empty(), "described, but in no line of auth/rules.rs: {unruled:?}");
}

#[test]
fn an_operation_needs_a_token_unless_its_rule_is_open() {
    let document = document();
    let operations = operations(&document);
    for (method, route, rule) in routes() {
        let name = format!("{method} {}", documented(route));
        let (_, operation) = operations.iter().find(|(known, _)| *known == name).unwrap();
        let security = operation["security"].as_array().unwrap();
        assert_eq!(security.is_empty(), rule == Rule::Open, "{name}");
        assert_eq!(operation["responses"]["401"].is_object(), rule != Rule::Open, "{name}");
    }
}

#[test]
fn every_operation_is_named_grouped_and_summed_up() {
    let document = document();
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name} has another's operationId");
        assert!(tags.contains(&&operation["tags"][0]), "{name} has no tag of openapi/mod.rs");
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.ends_with('.') && !summary.contains('`'), "{name}: {summary:?} is no sentence");
    }
}

#[test]
fn every_parameter_of_a_path_is_described() {
    let document = document();
    for (name, operation) in operations(&document) {
        let in_path: BTreeSet<_> = name.split(['{', '}']).skip(1).step_by(2).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: BTreeSet<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(described, in_path, "{name}");
        for parameter in &parameters {
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
        }
    }
}

#[test]
fn every_body_has_an_example() {
    let document = document();
    for (name, operation) in operations(&document) {
        let asked = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answers = operation["responses"].as_object().unwrap().values();
        let answered = answers.filter_map(|answer| answer["content"].as_object()).flatten();
        for (kind, content) in asked.chain(answered) {
            let exempt = ["application/octet-stream", "application/wasm", "image/png", "*/*"].contains(&kind.as_str());
            assert!(exempt || has_example(&document, content), "{name} has a {kind} without an example");
        }
    }
}

fn has_example(document: &Value, content: &Value) -> bool {
    if content["example"] != Value::Null || content["examples"] != Value::Null {
        return true;
    }
    let schemas = content["schema"]["oneOf"].as_array().cloned().unwrap_or_else(|| vec![content["schema"].clone()]);
    schemas.iter().any(|schema| {
        let schema = resolved(document, schema);
        schema["examples"] != Value::Null || schema["example"] != Value::Null
    })
}

#[test]
fn the_document_says_which_routes_take_a_query() {
    assert!(takes_query(&Method::GET, "/v1/agents") && takes_query(&Method::HEAD, "/v1/agents"));
    assert!(takes_query(&Method::DELETE, "/v1/agents/{id}/vault"));
    assert!(!takes_query(&Method::POST, "/v1/agents") && !takes_query(&Method::GET, "/v1/agents/{id}/vault"));
}

#[test]
fn no_body_is_null() {
    let document = document();
    for (name, operation) in operations(&document) {
        for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(|kinds| kinds.values()) {
            assert!(content["schema"]["oneOf"].is_null(), "{name}: {content}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                assert!(!members.contains_key("$ref") || !resolved(document, value).is_null(), "{value}");
                members.values().for_each(|member| walk(document, member));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn every_failure_is_a_problem_that_names_its_codes() {
    let document = document();
    assert_eq!(document["openapi"].as_str().and_then(|version| version.get(..3)), Some("3.1"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let problems: Vec<_> = schemas.iter().filter(|(name, _)| name.starts_with("Problem4")).collect();
    assert!(problems.len() > 5);
    for (name, schema) in problems {
        let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
        assert!(!codes.is_empty(), "no code of api/problem.rs goes with {name}");
    }
}

/// The rows of the guide's table under this heading, each as its cells.
fn guide_table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = GUIDE.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_call_of_the_guide_is_an_operation_and_every_operation_in_the_guide() {
    let mut guide = BTreeSet::new();
    for row in guide_table("## Endpoints\n") {
        let mut method = "";
        for call in row[0].split('`').filter(|text| text.contains('/')) {
            let path = call.rsplit(' ').next().unwrap().split('?').next().unwrap();
            method = call.split_once(' ').map_or(method, |(method, _)| method);
            guide.insert(format!("{method} {path}"));
        }
    }
    let document = document();
    let mut described: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();
    // The page's own files are no calls for people, and the guide tells tiles from bundles.
    assert!(described.remove("GET /docs/{file}") && described.remove("GET /log/tile/{tile}"));
    described.extend(["GET /log/tile/<L>/<N>".to_owned(), "GET /log/tile/entries/<N>".to_owned()]);
    assert_eq!(guide, described);
}

#[test]
fn the_guide_has_every_code_with_its_status() {
    let rows = guide_table("## Error codes\n");
    let guide: BTreeSet<_> = rows
        .iter()
        .filter(|row| !row[1].is_empty())
        .map(|row| (row[0].trim_matches('`'), row[1].get(..3).and_then(|status| status.parse().ok()).unwrap()))
        .collect();
    let known: BTreeSet<_> =
        Code::ALL.iter().map(|code| code.entry()).map(|(name, status)| (name, status.as_u16())).collect();
    assert_eq!(guide, known);
    let names: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names.len(), rows.len(), "a code stands twice");
}
