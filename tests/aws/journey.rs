//! A way through the product that touches everything that it keeps at AWS.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request};
use portico::aws::connect;
use portico::entropy::SystemEntropy;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::attribute::AttributeValue;
use portico_core::dynamo::client::DynamoClient;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::request::{PutItem, Request as Call};
use portico_core::dynamo::store::DynamoStore;
use portico_core::memory::clock::ManualClock;
use portico_core::schema::SESSIONS;
use portico_core::time::Timestamp;
use portico_core::users::purge::RETENTION_SECONDS;
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::emulators::{self, Emulators};
use portico_tests::lab::Lab;
use serde_json::{Value, json};

use crate::templates::allowed_headers;

const PHONE: &str = "+442071234567";

/// Of `hello`.
const HASH: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Does everything that users and an administrator can do.
pub async fn travel(client: &Client, admin: &User, emulators: &Emulators) {
    client.get("/v1/health-check/ready").await.expect(200);
    let ada = register(client, "ada").await;
    codes(client, &ada, emulators).await;
    let ada = client.sign_in("ada").await;
    sessions(client, &ada).await;
    let ada = client.sign_in("ada").await;
    lists(client, admin, &ada).await;
    devices(client, admin, &ada).await;
    files(client, &ada).await;
    users(client, admin, &ada, emulators).await;
}

async fn register(client: &Client, username: &str) -> User {
    let mut body = registration(username);
    (body["phone"], body["device_uuid"]) = (json!(PHONE), json!("a-phone"));
    let mut request = client.request(Method::POST, "/v1/users", Some(&body));
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static("once"));
    User::of(client, username, &client.send(request).await.expect(201))
}

async fn codes(client: &Client, ada: &User, emulators: &Emulators) {
    let token = code(emulators, &format!("/_mail?to={}", ada.email()), 32).await;
    ada.client.post("/v1/confirm-email/validate-code", json!({ "token": token })).await.expect(200);
    ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    let otp = code(emulators, "/_aws/sns/sms-messages", 6).await;
    ada.client.post("/v1/confirm-phone/validate-code", json!({ "otp": "000000" })).await.expect(422);
    ada.client.post("/v1/confirm-phone/validate-code", json!({ "otp": otp })).await.expect(200);
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    let otp = code(emulators, &format!("/_mail?to={}", ada.email()), 6).await;
    let body = json!({ "email": ada.email(), "otp": otp, "new_password": PASSWORD });
    client.post("/v1/password-recovery/validate-code", body).await.expect(200);
}

/// Waits for a code of so many characters in what was sent.
async fn code(emulators: &Emulators, path: &str, length: usize) -> String {
    let alphabet = portico_core::verifications::code::ALPHABET;
    for _ in 0..200 {
        let text = emulators.tell(path).await.to_string();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        let mut words =
            words.filter(|word| word.len() == length && word.bytes().all(|byte| alphabet.contains(&byte)));
        if let Some(word) = words.next() {
            return word.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no code of {length} characters came to {path}");
}

async fn sessions(client: &Client, ada: &User) {
    let wrong = json!({ "username": "ada", "password": "wrong wrong wrong" });
    client.post("/v1/sessions/login", wrong).await.expect(401);
    ada.refresh_with(&ada.refresh_token).await.expect(200);
    client.post("/v1/sessions/refresh", json!({ "refresh_token": "unknown" })).await.expect(401);
    ada.client.get("/v1/sessions").await.expect(200);
    ada.client.get(&format!("{}/sessions", ada.path())).await.expect(200);
    let other = client.sign_in("ada").await;
    ada.client.delete(&format!("/v1/sessions/{}", other.session_id)).await.expect(200);
    let body = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    ada.client.post("/v1/users/me/password", body).await;
    let last = client.sign_in("ada").await;
    last.client.post_empty("/v1/sessions/logout-all").await.expect(200);
}

async fn lists(client: &Client, admin: &User, ada: &User) {
    for (path, body, change) in [
        ("/v1/statuses", json!({ "description": "Away" }), json!({ "description": "Back" })),
        ("/v1/app-versions", json!({ "version": "1.2.0" }), json!({ "version": "1.3.0" })),
    ] {
        let made = admin.client.post(path, body).await.expect(201).json();
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        ada.client.get(path).await.expect(200);
        ada.client.get(&one).await.expect(200);
        admin.client.put(&one, change).await.expect(200);
        admin.client.delete(&one).await.expect(200);
    }
    for _ in 0..3 {
        let body = json!({ "user_id": ada.id, "message": "hello" });
        admin.client.post("/v1/notifications", body).await.expect(201);
    }
    let shown = ada.client.get("/v1/notifications?limit=10").await.expect(200).json();
    let one = |n: usize| format!("/v1/notifications/{}", shown["data"][n]["id"].as_str().unwrap());
    ada.client.get("/v1/notifications").await.expect(200);
    ada.client.call(Method::PUT, &one(0), None).await.expect(200);
    ada.client.call(Method::PUT, "/v1/notifications/read-all", None).await.expect(200);
    ada.client.delete(&one(1)).await.expect(200);
    client.get("/v1/roles").await.expect(200);
}

async fn devices(client: &Client, admin: &User, ada: &User) {
    let path = format!("/v1/devices/{}", ada.device_id);
    ada.client.get("/v1/devices").await.expect(200);
    ada.client.get(&path).await.expect(200);
    ada.client.put(&path, json!({ "token": "push" })).await.expect(200);
    admin.client.post("/v1/app-versions", json!({ "version": "9.0.0" })).await.expect(201);
    ada.client.put("/v1/devices/version", json!({ "device_version": "1.0.0" })).await.expect(409);
    let body = json!({ "username": "ada", "password": PASSWORD, "device_uuid": "a-tablet" });
    let tablet = User::of(client, "ada", &client.post("/v1/sessions/login", body).await.expect(200));
    ada.client.delete(&format!("/v1/devices/{}", tablet.device_id)).await.expect(200);
}

async fn files(client: &Client, ada: &User) {
    let small = upload(ada, &[b'a'; 1000], true).await.expect(201).json();
    let large = upload(ada, &vec![b'b'; 9 << 20], true).await.expect(201).json();
    // It breaks off when some of it has been sent on, which has to be taken back.
    upload(ada, &vec![b'c'; 17 << 20], false).await.expect(400);
    let path = |file: &Value| format!("/v1/files/{}", file["id"].as_str().unwrap());
    for file in [&small, &large] {
        ada.client.get(&path(file)).await.expect(200);
    }
    ada.client.get("/v1/files").await.expect(200);
    ada.client.delete(&path(&small)).await.expect(200);

    let begin = json!({ "file_name": "hello.txt", "content_type": "text/plain", "size": 5, "sha256": HASH });
    let begun = ada.client.post("/v1/files/uploads", begin).await.expect(201).json();
    let headers = begun["upload"]["headers"].as_object().unwrap().keys();
    // The length a browser sends by itself.
    let headers: BTreeSet<String> = headers.filter(|name| *name != "content-length").cloned().collect();
    assert_eq!(headers, allowed_headers(), "what a browser has to send");
    follow(Method::PUT, &begun["upload"], b"hello").await;
    ada.client
        .post_empty(&format!("/v1/files/uploads/{}/complete", begun["file"]["id"].as_str().unwrap()))
        .await
        .expect(200);
    let link = ada.client.get(&format!("{}/url", path(&begun["file"]))).await.expect(200).json();
    follow(Method::GET, &link, b"").await;
    client.get(&path(&large)).await.expect(401);
}

/// Uploads a file, of which the last piece may be missing.
pub async fn upload(user: &User, bytes: &[u8], whole: bool) -> Answer {
    let head = b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";
    let tail: &[u8] = if whole { b"\r\n--edge--\r\n" } else { b"" };
    let mut request = user.client.request(Method::POST, "/v1/files", None);
    let form = HeaderValue::from_static("multipart/form-data; boundary=edge");
    request.headers_mut().insert("content-type", form);
    *request.body_mut() = [head, bytes, tail].concat().into();
    user.client.send(request).await
}

/// Does what a presigned URL permits.
async fn follow(method: Method, presigned: &Value, body: &'static [u8]) {
    let mut request = Request::builder().method(method).uri(presigned["url"].as_str().unwrap());
    for (name, value) in presigned["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    emulators::send(request.body(Bytes::from_static(body)).unwrap()).await.expect(200);
}

async fn users(client: &Client, admin: &User, ada: &User, emulators: &Emulators) {
    admin.client.get("/v1/users").await.expect(200);
    ada.client.get("/v1/users/me/export").await.expect(200);
    let moved = json!({ "username": "augusta", "email": "augusta@example.com" });
    ada.client.put(&ada.path(), moved).await;
    ada.client.delete(&ada.path()).await.expect(200);
    admin.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
    let bob = client.register("bob").await;
    upload(&bob, b"bob's", true).await.expect(201);
    leave_older_session(emulators, &bob).await;
    bob.client.delete(&bob.path()).await.expect(200);
}

/// A session that the older system ended: nothing says when it is to go, so that it goes with its account.
async fn leave_older_session(emulators: &Emulators, user: &User) {
    let text = |(name, value): (&str, &str)| (name.to_owned(), AttributeValue::string(value));
    let texts = [("session_id", "01H00000000000000000SESS90"), ("user_id", &user.id)].map(text);
    let item = texts.into_iter().chain([("enable".to_owned(), AttributeValue::Bool(false))]).collect();
    let put = PutItem { table_name: SESSIONS.name.to_owned(), item, condition: None };
    let client = SdkClient::new(&connect(&emulators.settings()).await);
    client.send(&Call::PutItem(put)).await.expect("a row");
}

/// Lets the time pass until what is deleted is purged. The server's own clock cannot be set; another instance, in process
/// and ahead of time, does what the server would.
pub async fn purge(emulators: &Emulators) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a right clock").as_secs();
    let then = i64::try_from(now).expect("a right clock") + RETENTION_SECONDS + 60;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(then * 1000)));
    let client = SdkClient::new(&connect(&emulators.settings()).await);
    let names = TableNames::default();
    let store = DynamoStore::new(Arc::new(client), clock.clone(), Arc::new(SystemEntropy), names);
    let lab = Lab::on_store(Arc::new(store), clock);
    while lab.app.drain_outbox().await > 0 {}
}
