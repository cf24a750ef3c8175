//! A Worker with variables that cannot work: every request is told which, and nobody their values; the log tells no secret.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use portico_tests::client::Answer;
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::hosts::Host;
use serde_json::json;

/// A part of every value that is a secret.
const CANARY: &str = "canary";

/// Wrong values, or none where one is needed.
const WRONG: [(&str, &str); 6] = [
    ("JWT_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"),
    ("MAIL_RELAY_URL", "relay.example.com"),
    ("MAIL_RELAY_TOKEN", ""),
    ("RATE_LIMIT_PER_SECOND", "many"),
    ("STORAGE_BACKEND", "embedded"),
    ("TOKEN_SECRET", "canary"),
];

/// A Worker whose secret key at AWS, which is not wrong, is a canary too.
async fn misconfigured() -> EdgeHost {
    let secret = [("AWS_SECRET_ACCESS_KEY", CANARY)];
    let variables: Vec<_> = WRONG.into_iter().chain(secret).collect();
    EdgeHost::start_on(&Arc::new(Emulators::start()), &variables).await
}

async fn ask(host: &EdgeHost, request: http::request::Builder) -> Answer {
    host.send(request.body(Bytes::new()).unwrap()).await
}

fn names_all(text: &str) {
    for (name, _) in WRONG {
        assert!(text.contains(name), "{name} is not named: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_told_which_variables_are_wrong() {
    let host = misconfigured().await;
    for request in [
        Request::get("/v1/health-check/ping"),
        Request::get("/v1/users/me"),
        Request::post("/v1/users"),
        Request::get("/nothing"),
    ] {
        let answer = ask(&host, request.header("x-request-id", "test-1")).await;
        let answer = answer.expect_problem(503, "not_configured");
        for (name, value) in [
            ("content-type", "application/problem+json"),
            ("retry-after", "60"),
            ("x-request-id", "test-1"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let body = answer.json();
        assert_eq!((&body["status"], &body["request_id"]), (&json!(503), &json!("test-1")));
        names_all(body["detail"].as_str().unwrap());
        for (_, value) in WRONG.iter().filter(|(_, value)| !value.is_empty()) {
            assert!(!answer.text().contains(value), "{value}: {}", answer.text());
        }
        assert!(!answer.text().contains(CANARY), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_once_what_is_wrong_and_tells_no_secret() {
    let host = misconfigured().await;
    for _ in 0..3 {
        ask(&host, Request::get("/v1/health-check/ping")).await.expect(503);
    }
    let log = host.log();
    names_all(&log);
    assert_eq!(log.matches("JWT_PRIVATE_KEY").count(), 1, "{log}");
    assert!(log.contains("ERROR"), "{log}");
    assert!(!log.contains(CANARY), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_read_before_anything_is_asked_of_aws() {
    let host = misconfigured().await;
    ask(&host, Request::get("/v1/health-check/ready")).await.expect(503);
    let calls = host.emulators().tell("/_calls").await;
    assert_eq!(calls["counts"], json!({}), "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_an_id_like_any_answer() {
    let host = misconfigured().await;
    for given in [None, Some("a b".to_owned()), Some("x".repeat(200))] {
        let mut request = Request::get("/v1/health-check/ping");
        if let Some(id) = &given {
            request = request.header("x-request-id", id);
        }
        let answer = ask(&host, request).await;
        let id = answer.header("x-request-id").unwrap_or_default().to_owned();
        assert_eq!(id.len(), 26, "a ULID instead of {given:?}: {id:?}");
        assert_eq!(answer.json()["request_id"], id.as_str());
    }
}
