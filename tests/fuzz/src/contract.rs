//! What every answer must be, whatever was asked: described, no fault of the server's, and of the form it says.

use std::sync::OnceLock;

use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use portico_core::http::router::Router;
use serde_json::Value;

use crate::world::Answer;

/// What may be answered because something is not there, and is not there here.
const NOT_THERE: [&str; 2] = ["google_not_configured", "google_unavailable"];

const PROBLEM: &str = "application/problem+json";

/// Checks an answer.
///
/// # Panics
/// When the answer breaks the contract.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let (status, body) = (answer.status, answer.json());
    let shown =
        || format!("{method} {path:.200} answers {status}: {:.500}", String::from_utf8_lossy(&answer.bytes));
    let code = body["code"].as_str().unwrap_or_default();
    assert!(status < 500 || NOT_THERE.contains(&code), "{}", shown());
    assert!(answer.headers.contains_key("x-request-id"), "no id: {}", shown());
    assert!(answer.headers.contains_key("cache-control"), "no caching rule: {}", shown());
    if let Some(length) = answer.headers.get(CONTENT_LENGTH).filter(|_| *method != Method::HEAD) {
        assert_eq!(length.to_str().ok(), Some(answer.bytes.len().to_string().as_str()), "{}", shown());
    }
    let media = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media == PROBLEM {
        check_problem(answer, &body, &shown);
    }
    let Some(template) = template(path) else {
        let is_refusal = matches!(status, 404 | 414 | 431) && media == PROBLEM;
        return assert!(is_refusal, "described nowhere: {}", shown());
    };
    let operation = operation(&template, method);
    if *method == Method::OPTIONS || (operation.is_null() && matches!(status, 405 | 414 | 431)) {
        return;
    }
    let described = resolve(&operation["responses"][status.to_string()]);
    assert!(described.is_object(), "not described: {}", shown());
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let required = resolve(header)["required"].as_bool().unwrap_or(false);
        assert!(!required || answer.headers.contains_key(name), "without {name}: {}", shown());
    }
    let essence = media.split(';').next().unwrap_or_default();
    match described["content"].as_object() {
        Some(content) => {
            let is_described = content.contains_key(essence) || content.contains_key("*/*");
            assert!(is_described, "{media} is not described: {}", shown());
        }
        None => assert!(answer.bytes.is_empty(), "a body where none is described: {}", shown()),
    }
}

fn check_problem(answer: &Answer, body: &Value, shown: &dyn Fn() -> String) {
    if answer.bytes.is_empty() {
        // An answer to HEAD.
        return;
    }
    assert_eq!(body["status"], answer.status, "{}", shown());
    let code = body["code"].as_str().unwrap_or_default();
    assert!(!document()["x-portico-problem-codes"][code].is_null(), "unknown code: {}", shown());
    for error in body["errors"].as_array().into_iter().flatten() {
        let pointer = error["pointer"].as_str().unwrap_or_default();
        assert!(pointer.is_empty() || pointer.starts_with("/"), "no pointer: {}", shown());
    }
}

/// The operation of a path template and a method.
#[must_use]
pub fn operation(template: &str, method: &Method) -> &'static Value {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    // OpenAPI has no sign for a parameter that holds slashes.
    &document()["paths"][template.replace("{*", "{")][method.as_str().to_ascii_lowercase()]
}

fn template(path: &str) -> Option<&'static str> {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER.get_or_init(|| Router::new().expect("the route table is consistent")).template(path)
}

/// The API description, as the server publishes it.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        serde_json::from_slice(portico_core::description::OPENAPI_JSON).expect("the description is JSON")
    })
}

/// Follows references within the description.
#[must_use]
pub fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            resolve(document().pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null))
        }
        None => value,
    }
}
