//! `Idempotency-Key`: a request sent again is not done again.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request};
use portico_core::idempotency::{key, record};
use portico_core::ports::store::Key;
use portico_core::schema::COUNTERS;
use portico_tests::client::{Answer, Client, registration};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

fn keyed(client: &Client, path: &str, key: &str, body: Option<&Value>) -> Request<Bytes> {
    let mut request = client.request(Method::POST, path, body);
    request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    request
}

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.send(keyed(client, path, key, Some(body))).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

on_every_host! {
    async fn a2_a_registration_sent_again_gets_the_same_tokens(client: Client) {
        let body = registration("ada");
        let first = post(&client, "/v1/users", "key-1", &body).await.expect(201);
        assert!(!is_replayed(&first));
        let second = post(&client, "/v1/users", "key-1", &body).await.expect(201);
        assert!(is_replayed(&second));
        assert_eq!((&first.bytes, first.header("content-type")), (&second.bytes, second.header("content-type")));
        post(&client, "/v1/users", "key-1", &registration("bob")).await
            .expect_problem(422, "idempotency_key_reused");
        post(&client, "/v1/password-recovery/request", "key-1", &json!({ "email": "ada@example.com" })).await
            .expect_problem(422, "idempotency_key_reused");
        post(&client, "/v1/users", "key-2", &body).await.expect_problem(409, "username_taken");
        let refused = post(&client, "/v1/users", "key-2", &body).await.expect_problem(409, "username_taken");
        assert!(is_replayed(&refused));
        let token = first.json()["access_token"].as_str().unwrap().to_owned();
        client.with_token(Some(&token)).get("/v1/sessions").await.expect(200);
    }
}

on_every_host! {
    async fn a2_a_key_belongs_to_its_caller(client: Client) {
        let (root, other) = (client.admin("root").await, client.admin("other").await);
        let body = json!({ "description": "Available" });
        let first = post(&root.client, "/v1/statuses", "k", &body).await.expect(201).json();
        let second = post(&other.client, "/v1/statuses", "k", &body).await.expect(201).json();
        assert_ne!(first["id"], second["id"]);
        let again = post(&root.client, "/v1/statuses", "k", &body).await.expect(201);
        assert_eq!((is_replayed(&again), &again.json()["id"]), (true, &first["id"]));
        assert_eq!(root.client.get("/v1/statuses").await.expect(200).json().as_array().unwrap().len(), 2);
    }
}

on_every_host! {
    async fn a2_keys_have_a_form(client: Client) {
        let root = client.admin("root").await;
        for wrong in ["", "a b", &"k".repeat(256)] {
            let body = json!({ "description": "Available" });
            post(&root.client, "/v1/statuses", wrong, &body).await.expect_problem(400, "invalid_idempotency_key");
        }
        root.client.send(keyed(&root.client, "/v1/sessions/logout", "a b", None)).await.expect(200);
    }
}

on_every_host! {
    async fn a2_an_upload_sent_again_is_one_file(client: Client) {
        let ada = client.register("ada").await;
        let send = async |boundary: &str, text: &str| {
            let mut request = keyed(&ada.client, "/v1/files", "upload-1", None);
            let form = format!("multipart/form-data; boundary={boundary}");
            request.headers_mut().insert("content-type", HeaderValue::from_str(&form).unwrap());
            request.headers_mut().insert("host", HeaderValue::from_static("files.example.com"));
            let body = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{text}\r\n--{boundary}--\r\n"
            );
            request.headers_mut().insert("content-length", body.len().into());
            *request.body_mut() = body.into();
            ada.client.send(request).await
        };
        let first = send("one", "hello").await.expect(201);
        let second = send("two", "hello").await.expect(201);
        assert!(is_replayed(&second) && first.bytes == second.bytes);
        send("one", "hello, all").await.expect_problem(422, "idempotency_key_reused");
        // As long, but not the same.
        send("one", "hallo").await.expect_problem(422, "idempotency_key_reused");
        let mut list = ada.client.request(Method::GET, "/v1/files", None);
        list.headers_mut().insert("host", HeaderValue::from_static("files.example.com"));
        assert_eq!(ada.client.send(list).await.expect(200).json()["returned"], 1);
    }
}

#[tokio::test]
async fn a2_on_public_routes_a_key_belongs_to_the_address() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    post(&client, "/v1/users", "k", &registration("ada")).await.expect(201);
    lab.move_to(IpAddr::from([203, 0, 113, 9]));
    post(&client, "/v1/users", "k", &registration("ada")).await.expect_problem(409, "username_taken");
}

#[tokio::test]
async fn a2_an_answer_is_kept_for_a_day() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    post(&client, "/v1/users", "k", &registration("ada")).await.expect(201);
    lab.clock.advance_ms(23 * 60 * 60 * 1000);
    assert!(is_replayed(&post(&client, "/v1/users", "k", &registration("ada")).await.expect(201)));
    lab.clock.advance_ms(2 * 60 * 60 * 1000);
    post(&client, "/v1/users", "k", &registration("ada")).await.expect_problem(409, "username_taken");
}

#[tokio::test]
async fn a2_the_same_request_twice_at_once_is_done_once() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let body = registration("ada");
    let posts = (0..8).map(|_| post(&client, "/v1/users", "k", &body));
    for answer in futures::future::join_all(posts).await {
        match answer.status {
            201 => {}
            _ => {
                let answer = answer.expect_problem(409, "request_in_flight");
                assert!(answer.header("retry-after").is_some());
            }
        }
    }
    assert!(is_replayed(&post(&client, "/v1/users", "k", &body).await.expect(201)));
}

#[tokio::test]
async fn a2_a_request_that_never_ended_frees_its_key() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let body = registration("ada");
    // What a request notes before it is done, and then the server dies.
    let id = key::record_id(&lab.app, "address/127.0.0.1", "k");
    let fingerprint = key::fingerprint(&lab.app, &Method::POST, "/v1/users", body.to_string().as_bytes());
    record::start(&lab.app, &id, &fingerprint, record::LEASE).await.unwrap();
    let waiting = post(&client, "/v1/users", "k", &body).await.expect_problem(409, "request_in_flight");
    assert!(waiting.header("retry-after").is_some());
    post(&client, "/v1/users", "k", &registration("bob")).await.expect_problem(422, "idempotency_key_reused");
    lab.clock.advance_ms(61 * 1000);
    assert!(!is_replayed(&post(&client, "/v1/users", "k", &body).await.expect(201)));
}

#[tokio::test]
async fn a2_what_a_replay_needs_is_sealed_at_rest() {
    let lab = Arc::new(Lab::new());
    let answer = post(&lab.client(), "/v1/users", "k", &registration("ada")).await.expect(201).json();
    let id = key::record_id(&lab.app, "address/127.0.0.1", "k");
    let item = lab.ports.store.get(&Key::new(&COUNTERS, id)).await.unwrap().unwrap().item;
    let text = Value::Object(item).to_string();
    assert!(text.contains("answer") && !text.contains("ada"), "{text}");
    for secret in ["access_token", "refresh_token"] {
        assert!(!text.contains(answer[secret].as_str().unwrap()));
    }
}

#[tokio::test]
async fn a2_an_answer_that_does_not_stand_frees_its_key() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let path = "/v1/confirm-email/request";
    let too_soon = ada.client.send(keyed(&ada.client, path, "k", None)).await;
    too_soon.expect_problem(429, "too_soon");
    lab.clock.advance_ms(61 * 1000);
    assert!(!is_replayed(&ada.client.send(keyed(&ada.client, path, "k", None)).await.expect(200)));
    assert!(is_replayed(&ada.client.send(keyed(&ada.client, path, "k", None)).await.expect(200)));
}
