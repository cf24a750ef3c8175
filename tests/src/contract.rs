//! Validates every answer against the schema of its operation and status in the API description.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Resource, Validator};
use portico_core::http::router::Router;
use serde_json::{Value, json};

use crate::client::Answer;

/// The API description, as the server publishes it.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        serde_json::from_slice(portico_core::description::OPENAPI_JSON).expect("the description is JSON")
    })
}

/// Checks an answer.
///
/// # Panics
/// When the description does not have the operation, the status, the header or the shape.
pub fn check(method: &str, path: &str, answer: &Answer) {
    let Some(template) = template(path) else {
        let refused_unseen = matches!(answer.status, 404 | 414 | 431);
        assert!(refused_unseen, "{method} {path:.100} is described nowhere: {}", answer.text());
        return check_schema("Problem", &json!({"$ref": "urn:portico#/components/schemas/Problem"}), answer);
    };
    let operation = match method {
        "HEAD" => &document()["paths"][&template]["get"],
        other => &document()["paths"][&template][other.to_ascii_lowercase()],
    };
    if method == "OPTIONS" || (operation.is_null() && answer.status == 405) {
        return;
    }
    assert!(operation.is_object(), "{method} {template} is not described");
    let status = answer.status.to_string();
    let described = resolve(&operation["responses"][&status]);
    assert!(
        described.is_object(),
        "{method} {template} answers {status}, which is not described: {}",
        answer.text()
    );
    check_headers(method, &template, described, answer);
    if method != "HEAD" {
        check_body(method, &template, described, answer);
    }
}

fn check_headers(method: &str, template: &str, described: &'static Value, answer: &Answer) {
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let required = resolve(header)["required"].as_bool().unwrap_or(false);
        assert!(
            !required || answer.header(name).is_some(),
            "{method} {template} {} lacks {name}",
            answer.status
        );
    }
    assert!(answer.header("x-request-id").is_some(), "{method} {template}: every answer has X-Request-Id");
}

fn check_body(method: &str, template: &str, described: &Value, answer: &Answer) {
    let Some(content) = described["content"].as_object() else {
        assert!(answer.bytes.is_empty(), "{method} {template} {} has a body", answer.status);
        return;
    };
    let media = answer.header("content-type").unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    let described = content.get(essence).or_else(|| content.get("*/*")).unwrap_or_else(|| {
        panic!("{method} {template} {} is {essence:?}, which is not described", answer.status)
    });
    if essence.ends_with("json") && !content.contains_key("*/*") {
        let name = format!("{method} {template} {}", answer.status);
        check_schema(&name, &absolute(&described["schema"]), answer);
    }
}

fn check_schema(name: &str, schema: &Value, answer: &Answer) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, &'static Validator>>> = OnceLock::new();
    let mut validators =
        VALIDATORS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let validator =
        *validators.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::new(compile(name, schema))));
    drop(validators);
    let body = answer.json();
    let errors: Vec<String> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name} does not fit its schema:\n{}\n{body:#}", errors.join("\n"));
}

fn compile(name: &str, schema: &Value) -> Validator {
    let registry = jsonschema::Registry::new()
        .add("urn:portico", Resource::from_contents(document().clone()))
        .and_then(jsonschema::RegistryBuilder::prepare)
        .expect("the description is a resource");
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_registry(&registry)
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|error| panic!("{name}: the schema is not usable: {error}"))
}

/// The path template that a path belongs to.
fn template(path: &str) -> Option<String> {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    let path = path.split('?').next().unwrap_or_default();
    ROUTER
        .get_or_init(|| Router::new().expect("the route table is consistent"))
        .template(path)
        // OpenAPI has no sign for a parameter that holds slashes.
        .map(|template| template.replace("{*", "{"))
}

/// Follows a `$ref` within the description.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => document().pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

/// A schema whose references name the description, so that it can be compiled on its own.
fn absolute(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(reference)) => (name.clone(), json!(format!("urn:portico{reference}"))),
                _ => (name.clone(), absolute(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(absolute).collect(),
        other => other.clone(),
    }
}
