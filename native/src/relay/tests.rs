use ::http::{HeaderMap, Request};
use portico_core::http::body::Body;
use portico_core::memory::background::QueuedBackground;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::mailer::{Failure, MemoryMailer};
use portico_core::memory::store::MemoryStore;
use portico_core::outbox::delivery;
use portico_core::outbox::model::key;
use serde_json::{Value, json};

use super::*;
use crate::server::Handler;

const TOKEN: &str = "a token of thirty-two characters";
const ID: &str = "01KHXAZZ7M2V4S6T8R0P1Q3W5Y";
const DAY: i64 = 24 * 60 * 60;

struct Lab {
    relay: Arc<Relay>,
    clock: Arc<ManualClock>,
    mailer: Arc<MemoryMailer>,
    background: Arc<QueuedBackground>,
}

impl Lab {
    fn new() -> Self {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let (mailer, background) = (Arc::<MemoryMailer>::default(), Arc::<QueuedBackground>::default());
        let ports = RelayPorts {
            store: Arc::new(MemoryStore::new(clock.clone(), entropy.clone())),
            mailer: mailer.clone(),
            clock: clock.clone(),
            entropy,
            background: background.clone(),
        };
        let from = "Portico <noreply@example.com>".parse().unwrap();
        let relay = Relay::new(&Secret::new(TOKEN), SecretKey::new([1; 32]), from, ports);
        Self { relay, clock, mailer, background }
    }

    async fn send(&self, request: Request<Body>) -> (u16, HeaderMap, Value) {
        let (parts, body) = self.relay.answer(request).await.into_parts();
        let bytes = body.read(1 << 20, None).await.unwrap();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn post(&self, message: &Value) -> (u16, HeaderMap, Value) {
        self.send(request("POST", MESSAGES, Some(TOKEN), message.to_string())).await
    }

    /// Posts the usual message, which must be taken, and tries to send it.
    async fn take(&self) {
        assert_eq!(self.post(&message()).await.0, 202);
        self.background.run().await;
    }

    async fn drain_after(&self, seconds: i64) {
        self.clock.advance(seconds);
        delivery::drain(&self.relay).await;
    }

    async fn waits(&self) -> bool {
        self.relay.ports.store.get(&key(ID)).await.unwrap().is_some()
    }
}

fn request(method: &str, path: &str, token: Option<&str>, body: String) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(token) = token {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    builder.body(body.into_bytes().into()).unwrap()
}

fn message() -> Value {
    json!({
        "from": "Someone else's name <NoReply@example.com>",
        "to": "ada@example.com",
        "subject": "canary-subject",
        "text": "canary-text ABC234",
        "html": "<p>canary-html</p>",
        "message_id": ID,
    })
}

fn message_with(member: &str, value: Value) -> Value {
    let mut message = message();
    message[member] = value;
    message
}

#[tokio::test]
async fn a_message_is_taken_over_and_sent() {
    let lab = Lab::new();
    let (status, headers, body) = lab.post(&message()).await;
    assert_eq!((status, body), (202, json!({"message_id": ID})));
    assert!(headers["x-request-id"].len() == 26 && headers["cache-control"] == "no-store");
    assert!(lab.mailer.sent().is_empty() && lab.waits().await, "it is promised first");
    lab.background.run().await;
    let sent = lab.mailer.sent();
    let [mail] = &sent[..] else { panic!("{} mails", sent.len()) };
    assert_eq!((mail.id.as_str(), mail.to.as_str()), (ID, "ada@example.com"));
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("canary-subject", "canary-text ABC234"));
    assert_eq!(mail.html, "<p>canary-html</p>");
    assert!(!lab.waits().await);
}

#[tokio::test]
async fn one_id_is_one_message_until_a_day_after_it_was_sent_or_given_up() {
    let lab = Lab::new();
    lab.take().await;
    for text in ["canary-text ABC234", "another"] {
        let (status, headers, body) = lab.post(&message_with("text", json!(text))).await;
        assert_eq!((status, body), (202, json!({"message_id": ID})));
        assert_eq!(headers["idempotency-replayed"], "true");
    }
    lab.clock.advance(6 * DAY - 1);
    lab.take().await;
    assert_eq!(lab.mailer.tries(), 1);
    lab.clock.advance(1);
    lab.take().await;
    assert_eq!(lab.mailer.tries(), 2);
}

#[tokio::test]
async fn what_waits_is_sealed_and_bound_to_its_id() {
    let lab = Lab::new();
    assert_eq!(lab.post(&message()).await.0, 202);
    let stored = lab.relay.ports.store.get(&key(ID)).await.unwrap().unwrap();
    let text = serde_json::to_string(&stored.item).unwrap();
    assert!(!text.contains("canary") && !text.contains("ada@") && !text.contains("Y2FuYXJ5"), "{text}");
    let debug = format!("{:?} {:?}", lab.relay, stored.item);
    assert!(!debug.contains("canary") && !debug.contains(TOKEN), "{debug}");
}

#[tokio::test]
async fn a_dead_mail_server_is_tried_for_five_days_and_a_refusal_is_final() {
    let lab = Lab::new();
    lab.mailer.fail(Some(Failure::Temporary));
    lab.take().await;
    lab.drain_after(44).await;
    assert_eq!(lab.mailer.tries(), 1, "too early");
    lab.drain_after(1).await;
    assert_eq!(lab.mailer.tries(), 2);
    lab.drain_after(4 * DAY).await;
    assert!(lab.mailer.tries() == 3 && lab.waits().await);
    lab.drain_after(DAY - 60).await;
    assert!(lab.mailer.tries() == 4 && !lab.waits().await, "given up at the last try in time");

    let lab = Lab::new();
    lab.mailer.fail(Some(Failure::Permanent));
    lab.take().await;
    assert!(lab.mailer.tries() == 1 && !lab.waits().await);
}

#[tokio::test]
async fn another_key_loses_nothing() {
    let lab = Lab::new();
    assert_eq!(lab.post(&message()).await.0, 202);
    let Relay { from, ports, .. } = &*lab.relay;
    let relay = |key| Relay::new(&Secret::new(TOKEN), key, from.clone(), ports.clone());
    delivery::drain(&relay(SecretKey::new([2; 32]))).await;
    assert!(lab.mailer.tries() == 0 && lab.waits().await);
    lab.clock.advance(45);
    delivery::drain(&relay(SecretKey::new([1; 32]))).await;
    assert_eq!(lab.mailer.sent().len(), 1);
}

#[tokio::test]
async fn only_who_knows_the_token_is_heard() {
    let lab = Lab::new();
    let longer = format!("{TOKEN}x");
    for (token, code, challenge) in [
        (None, "unauthenticated", "Bearer"),
        (Some(""), "unauthenticated", "Bearer"),
        (Some("wrong"), "invalid_token", "Bearer error=\"invalid_token\""),
        (Some(&TOKEN[1..]), "invalid_token", "Bearer error=\"invalid_token\""),
        (Some(longer.as_str()), "invalid_token", "Bearer error=\"invalid_token\""),
    ] {
        // What it says does not even matter.
        let (status, headers, body) = lab.send(request("POST", MESSAGES, token, "{".to_owned())).await;
        assert_eq!((status, &body["code"]), (401, &json!(code)), "{token:?}");
        assert_eq!(headers["www-authenticate"], challenge);
    }
    assert!(!lab.waits().await);
}

#[tokio::test]
async fn what_is_not_acceptable_is_told_at_once() {
    let lab = Lab::new();
    let (status, _, body) = lab.post(&json!({})).await;
    let pointers: Vec<_> = body["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(status, 422);
    assert_eq!(pointers, ["/from", "/to", "/subject", "/text", "/html", "/message_id"]);
    for (member, value, code) in [
        ("from", json!("eve@example.com"), "not_allowed"),
        ("from", json!("noreply@example.com, eve@example.com"), "invalid_format"),
        ("to", json!("ada@example.com, eve@example.com"), "invalid_format"),
        ("to", json!("Ada <ada@example.com>"), "invalid_format"),
        ("to", json!("ada@example.com\r\nBcc: eve@example.com"), "invalid_format"),
        ("to", json!(format!("{}@example.com", "a".repeat(250))), "too_long"),
        ("subject", json!("a\r\nBcc: eve@example.com"), "invalid_characters"),
        ("subject", json!("a".repeat(999)), "too_long"),
        ("subject", json!(""), "too_short"),
        ("text", json!(""), "too_short"),
        ("html", json!(""), "too_short"),
        ("message_id", json!("../etc"), "invalid_format"),
        ("message_id", json!("a".repeat(65)), "invalid_format"),
        ("message_id", json!("a>\r\nBcc: eve@example.com"), "invalid_format"),
    ] {
        let (status, _, body) = lab.post(&message_with(member, value.clone())).await;
        let error = &body["errors"][0];
        assert_eq!((status, &error["code"]), (422, &json!(code)), "{member} {value}: {body}");
        assert_eq!(error["pointer"], format!("/{member}"));
        assert!(!body.to_string().contains("eve@"), "values are not repeated");
    }
    let (status, _, body) = lab.post(&message_with("to", json!(["ada@example.com"]))).await;
    assert_eq!((status, &body["code"]), (400, &json!("wrong_type")));
    assert_eq!(lab.mailer.tries(), 0);
}

#[tokio::test]
async fn the_longest_message_fits_and_a_longer_one_does_not() {
    let lab = Lab::new();
    let room = 256 * 1024 - message_with("text", json!("")).to_string().len();
    // What JSON must escape is as long at rest as it was when it came.
    let longest = format!("{}{}", "\n".repeat(1000), "\u{7f}".repeat(room - 2000));
    let (status, _, body) = lab.post(&message_with("text", json!(format!("{longest}x")))).await;
    assert_eq!((status, &body["code"]), (413, &json!("body_too_large")));
    let (status, _, body) = lab.post(&message_with("text", json!(longest))).await;
    assert_eq!(status, 202, "{body}");
    lab.background.run().await;
    assert_eq!(lab.mailer.sent()[0].text, longest);
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let lab = Lab::new();
    for (method, path, status, allow) in [
        ("POST", "/messages/", 404, None),
        ("GET", "/", 404, None),
        ("GET", MESSAGES, 405, Some("POST")),
        ("OPTIONS", MESSAGES, 405, Some("POST")),
        ("POST", "/v1/health-check/ping", 405, Some("GET, HEAD")),
    ] {
        let (found, headers, body) = lab.send(request(method, path, Some(TOKEN), String::new())).await;
        assert_eq!(found, status, "{method} {path}");
        assert_eq!(headers.get("allow").map(|value| value.to_str().unwrap()), allow);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(body["status"], status);
    }
    let mut request = request("POST", MESSAGES, Some(TOKEN), message().to_string());
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(lab.send(request).await.0, 415);
}

#[tokio::test]
async fn probes_are_answered_without_the_token() {
    let lab = Lab::new();
    let (status, _, body) = lab.send(request("GET", "/v1/health-check/ping", None, String::new())).await;
    assert_eq!((status, body), (200, json!({"message": "pong"})));
    let (status, headers, body) =
        lab.send(request("HEAD", "/v1/health-check/ping", None, String::new())).await;
    assert_eq!((status, &headers["content-length"], body), (200, &"18".parse().unwrap(), Value::Null));
}
