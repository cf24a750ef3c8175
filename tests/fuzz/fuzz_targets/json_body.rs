//! JSON bodies: what the strict reader takes is what another reader takes, and every operation that takes one answers
//! whatever comes.
//!
//! The first byte chooses the operation; the rest is the body.
#![no_main]

use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use portico_core::http::body::Body;
use portico_core::http::json::{MAX_DEPTH, parse};
use portico_core::http::routes::{ROUTES, Route};
use portico_fuzz::world::{Options, World, has_body};
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    compare(body);
    let routes: Vec<&Route> = ROUTES.iter().filter(|route| has_body(&route.method)).collect();
    send(routes[usize::from(*choice) % routes.len()], body);
});

/// Reads a body twice: by the product, and by serde_json alone.
fn compare(body: &[u8]) {
    let plain = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    match parse::<Map<String, Value>>(body) {
        Ok(members) => {
            let value = Value::Object(members);
            assert_eq!(plain.as_ref(), Some(&value), "read as something else");
            assert!(depth(&value) <= MAX_DEPTH, "nested too deep, and taken");
            let printed = value.to_string();
            let again = parse::<Map<String, Value>>(printed.as_bytes()).map(Value::Object);
            assert_eq!(again.ok(), Some(value), "does not come back");
        }
        Err(error) => {
            assert_eq!(error.status.as_u16(), 400);
            let known =
                ["malformed_json", "duplicate_member", "invalid_utf8", "nesting_too_deep", "wrong_type"];
            assert!(known.contains(&error.code), "{}", error.code);
            let is_right = plain.is_some_and(|value| depth(&value) <= MAX_DEPTH);
            assert!(
                !is_right || error.code == "duplicate_member",
                "refused with {}: {}",
                error.code,
                error.detail
            );
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn send(route: &Route, body: &[u8]) {
    let world = World::new(Options::default());
    let id = match route.path {
        path if path.starts_with("/v1/users") => "{ada}",
        path if path.starts_with("/v1/statuses") => "{status}",
        path if path.starts_with("/v1/devices") => "{device}",
        path if path.starts_with("/v1/notifications") => "{notice}",
        path if path.starts_with("/v1/app-versions") => "{version}",
        _ => "{file}",
    };
    let path =
        route.path.replace("{id}", world.named(id)).replace("{action}", "ping").replace("{*key}", "files/a");
    let request = Request::builder()
        .method(route.method.clone())
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {}", world.named("{admin}")));
    world.answer(request.body(Body::from(body.to_vec())).expect("a request"));
}
