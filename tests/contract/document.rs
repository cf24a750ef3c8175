//! The route table and the API description are one and the same, both ways.

use std::collections::BTreeSet;

use portico_core::http::routes::{Access, ROUTES, Route};
use portico_tests::contract::document;
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// The path as the description has it, which knows no parameters of several segments.
fn path(route: &Route) -> String {
    route.path.replace("{*", "{")
}

fn operation(route: &Route) -> &'static Value {
    &document()["paths"][path(route)][route.method.as_str().to_ascii_lowercase()]
}

fn name_of(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::User => "user",
        Access::SelfOrAdmin => "self_or_admin",
        Access::OwnerOrAdmin => "owner_or_admin",
        Access::Admin => "admin",
    }
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let routes: BTreeSet<(String, String, String)> = ROUTES
        .iter()
        .map(|route| (path(route), route.method.to_string(), route.operation.to_owned()))
        .collect();
    let mut described = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
                described.insert((path.clone(), method.to_ascii_uppercase(), id));
            }
        }
    }
    assert_eq!(routes, described);
}

#[test]
fn the_description_says_who_may_call() {
    for route in ROUTES {
        let operation = operation(route);
        assert_eq!(operation["x-portico-access"], name_of(route.access), "{}", route.operation);
        let expected = match route.access {
            Access::Public => serde_json::json!([]),
            _ => serde_json::json!([{"bearer": []}]),
        };
        assert_eq!(operation["security"], expected, "{}", route.operation);
    }
}

#[test]
fn what_is_limited_by_address_says_so() {
    for route in ROUTES.iter().filter(|route| route.limited) {
        let responses = &operation(route)["responses"];
        assert!(responses.get("429").is_some(), "{} does not describe 429", route.operation);
    }
}

#[test]
fn every_operation_that_needs_a_token_describes_its_refusal() {
    for route in ROUTES {
        let responses = operation(route)["responses"].as_object().unwrap();
        let needs_token = route.access != Access::Public;
        assert!(!needs_token || responses.contains_key("401"), "{}", route.operation);
        let may_refuse = matches!(route.access, Access::Admin | Access::SelfOrAdmin);
        assert!(!may_refuse || responses.contains_key("403"), "{}", route.operation);
        assert!(responses.keys().all(|status| status != "500"), "{} describes a 500", route.operation);
    }
}
