//! What the API description says about requests, and a good body for every operation.

use http::Method;
use portico_core::files::handlers::MAX_BASE64_BYTES;
use portico_core::http::request::MAX_JSON_BYTES;
use portico_core::http::routes::{ROUTES, Route};
use portico_tests::client::{PASSWORD, registration};
use portico_tests::contract::document;
use serde_json::{Value, json};

fn described(route: &Route) -> &'static Value {
    let path = route.path.replace("{*", "{");
    &document()["paths"][path][route.method.as_str().to_ascii_lowercase()]
}

/// Follows references within the description.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => resolve(document().pointer(reference.trim_start_matches('#')).expect("a target")),
        None => value,
    }
}

/// The schema of an operation's body, if it takes one as JSON.
pub(crate) fn body_schema(operation: &str) -> Option<&'static Value> {
    let route = ROUTES.iter().find(|route| route.operation == operation)?;
    let body = resolve(&described(route)["requestBody"]);
    let schema = resolve(&body["content"]["application/json"]["schema"]);
    schema.is_object().then_some(schema)
}

/// The longest body that an operation reads as JSON, in bytes.
pub(crate) fn max_json_bytes(operation: &str) -> usize {
    if operation.starts_with("upload_base64") { MAX_BASE64_BYTES } else { MAX_JSON_BYTES }
}

/// The query parameters of an operation.
pub(crate) fn query_parameters(route: &Route) -> impl Iterator<Item = &'static str> {
    let parameters = described(route)["parameters"].as_array().into_iter().flatten().map(resolve);
    parameters
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| parameter["name"].as_str())
}

/// The JSON types that a schema admits.
pub(crate) fn types_of(schema: &'static Value) -> Vec<&'static str> {
    let schema = resolve(schema);
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().flat_map(types_of).collect();
    }
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ if schema["const"].is_boolean() => vec!["boolean"],
        _ => panic!("no type: {schema}"),
    }
}

/// Whether a value is of one of the types.
pub(crate) fn is_of(value: &Value, types: &[&str]) -> bool {
    let own = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    types.contains(&own) || (own == "number" && types.contains(&"integer"))
}

/// A body that `root`, an Admin, may send, and of which no member is missing or wrong by itself.
pub(crate) fn good(operation: &str) -> Value {
    match operation {
        "register_user" => registration("ada.lovelace"),
        "change_password" | "change_password_legacy" => {
            json!({"current_password": PASSWORD, "new_password": "four gardens under the hill"})
        }
        "sign_in" => json!({"username": "root", "password": PASSWORD}),
        "sign_in_with_google" => json!({"credential": "a.b.c"}),
        "refresh_session" => json!({"refresh_token": "x"}),
        "request_password_recovery" => json!({"email": "nobody@example.com"}),
        "complete_password_recovery" => {
            json!({"email": "nobody@example.com", "otp": "ABCDEF", "new_password": "four gardens under the hill"})
        }
        "confirm_email" => json!({"token": "ABCDEF"}),
        "confirm_phone" => json!({"otp": "ABCDEF"}),
        "create_status" | "update_status" | "patch_status" => json!({"description": "away"}),
        "check_device_version" => json!({"device_version": "1.0.0"}),
        "create_notification" => json!({"all": true, "message": "hello"}),
        "upload_base64" | "upload_base64_legacy" => json!({"file_name": "a.txt", "base64": "aGVsbG8="}),
        "create_upload" => json!({"file_name": "a.txt", "content_type": "text/plain", "size": 5}),
        "create_app_version" => json!({"version": "2.0.0"}),
        _ => json!({}),
    }
}

/// The path of a route, with an id in place of its parameters.
pub(crate) fn filled(route: &Route, id: &str) -> String {
    route.path.replace("{id}", id).replace("{action}", id)
}

/// Whether a request of the method commonly has a body.
pub(crate) fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
