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

fn resolve(value: &'static Value) -> &'static Value {
    let target =
        value["$ref"].as_str().and_then(|reference| document().pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
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
        for status in ["200", "201", "429"] {
            let Some(described) = responses.get(status).map(resolve) else { continue };
            for header in ["RateLimit", "RateLimit-Policy"] {
                assert!(described["headers"][header].is_object(), "{} {status} {header}", route.operation);
            }
        }
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

/// Every `code` that a described answer may carry, with its status.
fn codes_of_responses() -> BTreeSet<(u64, String)> {
    let responses = document()["components"]["responses"].as_object().unwrap();
    responses
        .values()
        .map(|response| &response["content"]["application/problem+json"]["schema"])
        // Some are made of others.
        .filter(|schema| schema["properties"].is_object())
        .flat_map(|schema| {
            let problem = &schema["properties"];
            let status = problem["status"]["const"].as_u64().unwrap();
            let codes = problem["code"]["enum"].as_array().unwrap();
            codes.iter().map(move |code| (status, code.as_str().unwrap().to_owned()))
        })
        .collect()
}

#[test]
fn every_problem_code_is_explained_and_belongs_to_an_answer() {
    let explained: BTreeSet<(u64, String)> = document()["x-portico-problem-codes"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(code, explained)| {
            let statuses = explained["status"].as_array().unwrap();
            statuses.iter().map(move |status| (status.as_u64().unwrap(), code.clone()))
        })
        .collect();
    assert_eq!(explained, codes_of_responses());
    let names: BTreeSet<&str> = explained.iter().map(|(_, code)| code.as_str()).collect();
    let listed = document()["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    assert_eq!(names, listed.iter().map(|code| code.as_str().unwrap()).collect());
}
