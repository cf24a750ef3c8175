//! Thousands of requests that nobody would think of: none may be a fault of the server, and each answer must be one
//! that the description knows (which the client checks).
//!
//! Every run is another; what it was is printed, and `FUZZ_SEED` repeats it. `FUZZ_REQUESTS` asks for more.

use std::env;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use portico_core::http::routes::{ROUTES, Route};
use portico_tests::chance::Chance;
use portico_tests::client::{Client, User};
use portico_tests::lab::Lab;
use serde_json::{Map, Value, json};

use crate::requests::{body_schema, filled, good, has_body, query_parameters};

const REQUESTS: u64 = 4000;

/// Texts that have broken something somewhere.
const TEXTS: &[&str] = &[
    "",
    " ",
    "x",
    "me",
    "root",
    "ada",
    "\u{0}",
    "a\u{0}b",
    "\u{202e}abc",
    "\u{feff}",
    "\u{1b}[31m",
    "\r\nSet-Cookie: a=b",
    "🦀",
    "ß",
    "İ",
    "ﬁ",
    "\u{fdfa}",
    "e\u{301}",
    "..",
    "../../etc/passwd",
    "username#root",
    "email#root@example.com",
    "' OR 1=1 --",
    "{\"$ne\":1}",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>",
    "%00",
    "NaN",
    "-0",
    "1e400",
    "0x10",
    "true",
    "null",
    "undefined",
    "1.10",
    "1.0.0-",
    "1.0.0+é",
    "2024-02-30",
    "0000-00-00",
    "9999-12-31",
    "+442071234567",
    "0044",
    "root@example.com",
    "a@b.c",
    "@",
    "https://[::1]:99999/",
    "http://a\u{0}.b",
    "01KHXAZZ7M2V4S6T8R0P1Q3W5Y",
    "80KHXAZZ7M2V4S6T8R0P1Q3W5Y",
];

/// Pieces of paths and queries.
const PIECES: &[&str] = &[
    "%00",
    "%2F",
    "%2e%2e",
    "%",
    "%zz",
    "%ff",
    "%F0%9F%A6%80",
    "username%23root",
    ".",
    "..",
    "me",
    "ping",
    "ready",
    "",
    "*",
    "~",
    ";x=1",
    "01KHXAZZ7M2V4S6T8R0P1Q3W5Y",
    "eyJ4Ijp9.AAAAAAAAAAAAAAAAAAAAAA",
    "0",
    "1",
    "100",
    "101",
    "-1",
    "true",
    "TRUE",
    "maybe",
    "a&b",
    "a=b",
    "+",
];

const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/json;charset=latin1",
    "text/plain",
    "",
    "application/",
    ";",
    "application/json, text/html",
];

/// Somebody of each kind, and ids that exist.
struct World {
    callers: Vec<Client>,
    ids: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let client = Arc::new(Lab::new()).client();
        let (admin, ada) = (client.admin("root").await, client.register("ada").await);
        let mut ids = vec!["me".to_owned()];
        for User { id, session_id, device_id, .. } in [&admin, &ada] {
            ids.extend([id.clone(), session_id.clone(), device_id.clone()]);
        }
        let notice = json!({"all": true, "message": "hello"});
        admin.client.post("/v1/notifications", notice).await.expect(201);
        for created in [
            admin.client.post("/v1/statuses", json!({"description": "away"})).await.expect(201).json(),
            admin.client.post("/v1/app-versions", json!({"version": "1.0.0"})).await.expect(201).json(),
            ada.client.get("/v1/notifications").await.expect(200).json()[0].clone(),
        ] {
            ids.push(created["id"].as_str().unwrap().to_owned());
        }
        Self { callers: vec![admin.client.clone(), admin.client, ada.client, client], ids }
    }
}

fn value(chance: &mut Chance, depth: usize) -> Value {
    match chance.below(if depth == 0 { 8 } else { 10 }) {
        0 => Value::Null,
        1 => json!(chance.one_in(2)),
        2 => json!(*chance.of_these(&[0.0, -0.0, 1.0, 1.5, -1.0, 1e300, 9_007_199_254_740_993.0, 1e-300])),
        3 => json!(*chance.of_these(&[0, 1, 2, -1, i64::MAX, i64::MIN])),
        4..=6 => json!(chance.of_these(TEXTS)),
        7 => {
            let times = *chance.of_these(&[3, 64, 65, 100, 129, 255, 2001, 5000]);
            json!(chance.of_these(TEXTS).repeat(times).chars().take(10_000).collect::<String>())
        }
        8 => (0..chance.below(4)).map(|_| value(chance, depth - 1)).collect(),
        _ => {
            let members = (0..chance.below(4))
                .map(|_| ((*chance.of_these(TEXTS)).to_owned(), value(chance, depth - 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// A good body with a few members exchanged, added or left out.
fn body(chance: &mut Chance, operation: &str) -> Value {
    let mut body = good(operation);
    let members: Vec<&String> = body_schema(operation)
        .and_then(|schema| schema["properties"].as_object())
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    for _ in 0..chance.below(4) {
        let name = match members.is_empty() || chance.one_in(8) {
            true => (*chance.of_these(TEXTS)).to_owned(),
            false => (*chance.of_these(&members)).clone(),
        };
        if chance.one_in(5) {
            body.as_object_mut().unwrap().remove(&name);
        } else {
            body[name] = value(chance, 3);
        }
    }
    body
}

/// Flips, drops, doubles and inserts bytes.
fn garble(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let byte = *chance.of_these(b"{}[]\",:\\\0\xff\x80u01e-n ");
        match chance.below(4) {
            0 => bytes.insert(at, byte),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => bytes[at] = byte,
            _ if at < bytes.len() => bytes.extend_from_within(at..),
            _ => {}
        }
    }
}

fn path(chance: &mut Chance, world: &World, route: &Route) -> String {
    let id = if chance.one_in(3) { *chance.of_these(PIECES) } else { chance.of_these(&world.ids) };
    let mut path = filled(route, id);
    if chance.one_in(20) {
        path = format!("{path}/{}", chance.of_these(PIECES));
    }
    for name in query_parameters(route).chain(["x"]) {
        if chance.one_in(3) {
            let separator = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{separator}{name}={}", chance.of_these(PIECES));
        }
    }
    path
}

/// The next request; none if it is not even HTTP.
fn request(chance: &mut Chance, world: &World) -> Option<(Client, Request<Bytes>)> {
    let route = &ROUTES[chance.below(ROUTES.len())];
    let caller = chance.of_these(&world.callers).clone();
    let method = if chance.one_in(30) {
        ROUTES[chance.below(ROUTES.len())].method.clone()
    } else {
        route.method.clone()
    };
    let path = path(chance, world, route);
    path.parse::<http::Uri>().ok()?;
    let mut bytes = Vec::new();
    if has_body(&method) || chance.one_in(10) {
        bytes = body(chance, route.operation).to_string().into_bytes();
        if chance.one_in(5) {
            garble(chance, &mut bytes);
        }
    }
    let mut request = caller.request(method, &path, None).map(|_| Bytes::from(bytes));
    let headers = request.headers_mut();
    let media = if chance.one_in(20) { *chance.of_these(MEDIA_TYPES) } else { "application/json" };
    headers.insert("content-type", media.parse().ok()?);
    for name in [
        "x-request-id",
        "origin",
        "idempotency-key",
        "user-agent",
        "host",
        "authorization",
        "x-forwarded-for",
    ] {
        if chance.one_in(40) {
            headers.insert(name, chance.of_these(TEXTS).parse().ok()?);
        }
    }
    Some((caller, request))
}

#[tokio::test]
async fn no_request_is_the_servers_fault() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("FUZZ_SEED").unwrap_or(now.as_secs());
    println!("FUZZ_SEED={seed}");
    let (mut chance, mut world) = (Chance::of(seed), World::new().await);
    for _ in 0..number("FUZZ_REQUESTS").unwrap_or(REQUESTS) {
        let Some((caller, request)) = request(&mut chance, &world) else { continue };
        let asked = format!("{request:?}");
        let answer = caller.send(request).await;
        // What is not configured here is not a fault.
        let expected = answer.status < 500 || answer.code() == "google_not_configured";
        assert!(expected, "{asked:.2000}\n{}", answer.text());
        if answer.code() == "session_ended" {
            world = World::new().await;
        }
    }
}
