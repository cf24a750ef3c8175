//! Health: alive, and ready.

use std::future::pending;
use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use portico_core::ports::store::{Key, Page, Query, Store, StoreError, StoreErrorKind, Versioned, Write};
use portico_tests::lab::{Lab, LabOptions, PortsChange};
use portico_tests::on_every_host;
use serde_json::json;

const PING: &str = "/v1/health-check/ping";
const READY: &str = "/v1/health-check/ready";

/// Puts a store that is down in the place of the lab's.
fn down(silent: bool) -> PortsChange {
    Box::new(move |ports| ports.store = Arc::new(Down { silent }))
}

/// A store that is down: it fails, or never answers.
#[derive(Debug)]
struct Down {
    silent: bool,
}

impl Down {
    async fn fail<T>(&self) -> Result<T, StoreError> {
        if self.silent {
            return pending().await;
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, "disk /dev/canary is gone"))
    }
}

#[async_trait]
impl Store for Down {
    async fn get(&self, _key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.fail().await
    }

    async fn query(&self, _query: &Query) -> Result<Page, StoreError> {
        self.fail().await
    }

    async fn transact(&self, _writes: &[Write]) -> Result<(), StoreError> {
        self.fail().await
    }
}

on_every_host! {
    async fn a_host_is_alive_and_ready_by_get_post_and_head(client: Client) {
        for (path, message) in [(PING, "pong"), (READY, "ok")] {
            for method in [Method::GET, Method::POST] {
                let answer = client.call(method, path, None).await.expect(200);
                assert_eq!(answer.json(), json!({"message": message}));
            }
            let head = client.call(Method::HEAD, path, None).await.expect(200);
            assert!(head.bytes.is_empty());
        }
    }
}

on_every_host! {
    async fn any_other_action_is_unknown(client: Client) {
        for action in ["x", "PING", "ping%20", "ready.", "%00", "me"] {
            for method in [Method::GET, Method::POST] {
                let path = format!("/v1/health-check/{action}");
                client.call(method, &path, None).await.expect_problem(400, "unknown_action");
            }
        }
        for path in ["/v1/health-check", "/v1/health-check/", "/v1/health-check/ping/"] {
            client.get(path).await.expect_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn l3_a_store_that_fails_makes_the_host_unready_and_nothing_else_is_told() {
    let ports = Some(down(false));
    let client = Arc::new(Lab::with(LabOptions { ports, ..LabOptions::default() })).client();
    client.get(PING).await.expect(200);
    for answer in [
        client.get(READY).await,
        client.get("/v1/app-versions").await,
        client.post("/v1/sessions/login", json!({"username": "ada", "password": "x"})).await,
        client.post("/v1/users", portico_tests::client::registration("ada")).await,
    ] {
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        answer.expect_problem(503, "storage_unavailable");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_within_a_second_is_not_ready() {
    let ports = Some(down(true));
    let lab = Arc::new(Lab::with(LabOptions { ports, ..LabOptions::default() }));
    let client = lab.client();
    client.get(PING).await.expect(200);
    let asked = tokio::spawn(async move { client.get(READY).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    lab.clock.advance_ms(900);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    lab.clock.advance_ms(100);
    asked.await.unwrap().expect_problem(503, "storage_unavailable");
}
