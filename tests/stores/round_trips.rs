//! How many calls of the store each operation costs, in the ordinary case: at the port, and as DynamoDB sees them.

use std::sync::Arc;

use http::Method;
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::counting::CountingStore;
use portico_tests::emulators::Emulators;
use portico_tests::lab::{Lab, LabOptions};
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

/// What every request costs that carries a token, unless its session is remembered.
const SESSION: usize = 1;

/// The operations and the most calls that each may cost.
async fn cost(client: &Client, calls: impl AsyncFn() -> Vec<String>) {
    let at_most = async |what: &str, most: usize| {
        let calls = calls().await;
        assert!(calls.len() <= most, "{what}: {} calls instead of {most}: {calls:?}", calls.len());
    };
    let admin = client.admin("root").await;
    let user = json!({ "user_id": admin.id, "message": "hello" });
    admin.client.post("/v1/notifications", user).await.expect(201);
    let notifications = admin.client.get("/v1/notifications?limit=1").await.expect(200).json();
    calls().await;

    let answer = client.post("/v1/users", registration("ada")).await.expect(201);
    at_most("registering", 1).await;
    let ada = User::of(client, "ada", &answer);
    client.post("/v1/sessions/login", json!({ "username": "ada", "password": PASSWORD })).await.expect(200);
    at_most("signing in", 2).await;
    ada.client.get("/v1/roles").await.expect(200);
    at_most("a request with a token", SESSION).await;
    ada.client.get("/v1/sessions").await.expect(200);
    at_most("session and user", 2).await;
    ada.refresh_with(&ada.refresh_token).await.expect(200);
    at_most("refreshing", 3).await;
    for list in ["/v1/devices", "/v1/notifications", "/v1/files", "/v1/sessions"] {
        let path = if list == "/v1/sessions" { format!("{}/sessions", ada.path()) } else { list.to_owned() };
        ada.client.get(&path).await.expect(200);
        at_most(&path, SESSION + 1).await;
    }
    admin.client.get("/v1/users").await.expect(200);
    // An Admin's account is read with the session.
    at_most("listing users", SESSION + 1 + 8).await;
    let path = format!("/v1/notifications/{}", notifications["data"][0]["id"].as_str().unwrap());
    admin.client.call(Method::PUT, &path, None).await.expect(200);
    at_most("marking a notification read", SESSION + 1 + 2).await;
}

/// A lab whose store is counted, and whose messages wait.
fn counted(variables: &[(&'static str, &str)]) -> (Arc<Lab>, Arc<CountingStore>) {
    let found: Arc<std::sync::OnceLock<Arc<CountingStore>>> = Arc::default();
    let keep = found.clone();
    let lab = Lab::with(LabOptions {
        variables: variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        ports: Some(Box::new(move |ports| {
            let store = Arc::new(CountingStore::new(ports.store.clone()));
            keep.set(store.clone()).expect("once");
            ports.store = store;
        })),
        keys: None,
    });
    lab.settle(false);
    (Arc::new(lab), found.get().expect("a store").clone())
}

#[tokio::test]
async fn an_operation_costs_so_many_calls_of_the_store() {
    let (lab, store) = counted(&[("SESSION_CACHE_SECONDS", "0")]);
    cost(&lab.client(), async || store.take()).await;
}

#[tokio::test]
async fn a_session_that_is_remembered_costs_none() {
    let (lab, store) = counted(&[("SESSION_CACHE_SECONDS", "5")]);
    let ada = lab.client().register("ada").await;
    ada.client.get("/v1/roles").await.expect(200);
    assert!(store.take().len() <= 2);
    ada.client.get("/v1/roles").await.expect(200);
    assert_eq!(store.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_costs_as_many_calls_of_dynamodb() {
    let host = Arc::new(NativeHost::start_on_aws().await);
    let emulators: &Emulators = host.emulators().expect("it is on AWS");
    cost(&Client::new(host.clone()), async || {
        let record = emulators.tell("/_calls").await;
        emulators.forget_calls().await;
        let calls = record["last"].as_array().unwrap().iter().filter(|call| call["service"] == "dynamodb");
        // Messages leave after the answer, and what is due is looked for all the time.
        let calls = calls.filter(|call| !call["resource"].as_str().is_some_and(|r| r.starts_with("outbox")));
        calls.map(Value::to_string).collect()
    })
    .await;
}
