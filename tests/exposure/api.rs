//! Errors that give nothing away, limits, members that nobody may set, cursors that nobody may make.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use portico_core::http::routes::{Access, ROUTES, Route};
use portico_core::ports::store::{Item, Key, StoreErrorKind};
use portico_core::schema::{APP_VERSIONS, DEVICES, NOTIFICATIONS, STATUSES, Table, USERS};
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::contract;
use portico_tests::lab::Lab;
use portico_tests::native::NativeHost;
use serde_json::{Map, Value, json};

use crate::faults::{self, Fault, KINDS, TELLTALES};

/// One of everything, to make plausible requests of.
struct Things {
    admin: User,
    ada: User,
    status: String,
    version: String,
    notification: String,
    file: String,
    upload: String,
}

impl Things {
    async fn make(client: &Client) -> Self {
        let admin = client.admin("root").await;
        let ada = client.register("ada").await;
        ada.client.put(&ada.path(), json!({ "phone": "+4915112345678" })).await.expect(200);
        let ada = client.sign_in(&ada.username).await;
        let id = |answer: Answer| answer.expect(201).json()["id"].as_str().unwrap().to_owned();
        let status = id(admin.client.post("/v1/statuses", json!({ "description": "Away" })).await);
        let version = id(admin
            .client
            .post("/v1/app-versions", json!({ "version": "1.0.0", "mandatory": false }))
            .await);
        let body = json!({ "user_id": ada.id, "message": "Hello" });
        admin.client.post("/v1/notifications", body).await.expect(201);
        client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
        let list = ada.client.get("/v1/notifications").await.expect(200).json();
        let notification = list[0]["id"].as_str().unwrap().to_owned();
        let file = json!({ "file_name": "a.txt", "base64": "aGVsbG8=" });
        let file = id(ada.client.post("/v1/files/base64", file).await);
        let upload = json!({ "file_name": "b.txt", "content_type": "text/plain", "size": 5 });
        let upload = ada.client.post("/v1/files/uploads", upload).await.expect(201).json();
        let upload = upload["file"]["id"].as_str().unwrap().to_owned();
        Self { admin, ada, status, version, notification, file, upload }
    }

    /// A request that the route would grant, by somebody who may ask for it.
    fn request(&self, client: &Client, route: &Route) -> Request<Bytes> {
        let by_admin = route.access == Access::Admin || route.operation == "restore_user";
        let client = match route.access {
            Access::Public => client.with_token(None),
            _ if by_admin => self.admin.client.clone(),
            _ => self.ada.client.clone(),
        };
        let id = match route.path.split('/').nth(2) {
            Some("users") => &self.ada.id,
            Some("sessions") => &self.ada.session_id,
            Some("devices") => &self.ada.device_id,
            Some("statuses") => &self.status,
            Some("app-versions") => &self.version,
            Some("files") if route.path.contains("/uploads/") => &self.upload,
            Some("files") => &self.file,
            _ => &self.notification,
        };
        let path = route.path.replace("{id}", id).replace("{action}", "ready");
        client.request(route.method.clone(), &path, self.body(route.operation).as_ref())
    }

    fn body(&self, operation: &str) -> Option<Value> {
        Some(match operation {
            "register_user" => registration("eve"),
            "sign_in" => json!({ "username": "ada", "password": PASSWORD }),
            "sign_in_with_google" => json!({ "credential": "a.b.c" }),
            "refresh_session" => json!({ "refresh_token": self.ada.refresh_token }),
            "update_user" | "patch_user" => json!({ "first_name": "Augusta" }),
            "change_password" | "change_password_legacy" => {
                json!({ "current_password": PASSWORD, "new_password": "another good one" })
            }
            "request_password_recovery" => json!({ "email": self.ada.email() }),
            "complete_password_recovery" => {
                json!({ "email": self.ada.email(), "otp": "AAAAAA", "new_password": "another good one" })
            }
            "confirm_email" => json!({ "token": "A".repeat(32) }),
            "confirm_phone" => json!({ "otp": "AAAAAA" }),
            "create_status" | "update_status" | "patch_status" => json!({ "description": "Busy" }),
            "update_device" | "patch_device" => json!({ "token": "push" }),
            "check_device_version" => json!({ "device_version": "1.0.0" }),
            "create_notification" => json!({ "user_id": self.ada.id, "message": "Hello again" }),
            "create_app_version" => json!({ "version": "2.0.0", "mandatory": false }),
            "update_app_version" | "patch_app_version" => json!({ "notes": "better" }),
            "upload_base64" | "upload_base64_legacy" => json!({ "file_name": "c.txt", "base64": "aGVsbG8=" }),
            "create_upload" => json!({ "file_name": "d.txt", "content_type": "text/plain", "size": 5 }),
            _ => return None,
        })
    }
}

/// Operations that answer without the store.
const WITHOUT_STORE: [&str; 8] = [
    "list_roles",
    "get_jwks",
    "get_discovery",
    "get_openapi",
    "get_docs",
    "sign_in_with_google",
    "download_blob",
    "upload_blob",
];

/// Operations other than GET that, as asked here, write nothing.
const WITHOUT_WRITES: [&str; 7] = [
    "check_health_post",
    "check_device_version",
    "restore_user",
    "confirm_phone",
    "upload_file",
    "upload_file_legacy",
    "complete_upload",
];

/// Whether it is the store that fails, rather than the write that does not fit.
fn is_outage(kind: &StoreErrorKind) -> bool {
    !matches!(kind, StoreErrorKind::TooLarge | StoreErrorKind::Conflict { .. })
}

fn assert_gives_nothing_away(answer: &Answer, what: &str) {
    let headers: String = answer.headers.values().map(|value| format!("{value:?}\n")).collect();
    for telltale in TELLTALES {
        assert!(!answer.text().contains(telltale), "{what}: {}", answer.text());
        assert!(!headers.contains(telltale), "{what}: {headers}");
    }
}

#[tokio::test]
async fn a1_a_failing_store_is_503_and_never_quoted() {
    let (_lab, client, store) = faults::lab();
    let things = Things::make(&client).await;
    for kind in KINDS.into_iter().filter(is_outage) {
        for route in ROUTES.iter().filter(|route| !WITHOUT_STORE.contains(&route.operation)) {
            let what = format!("{kind:?} {}", route.operation);
            store.fail(Fault::All(kind));
            let answer = client.send(things.request(&client, route)).await;
            assert_gives_nothing_away(&answer, &what);
            assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"), "{what}");
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1, "{what}");
        }
    }
}

#[tokio::test]
async fn a1_a_store_that_takes_no_writes_is_503_and_never_quoted() {
    let (lab, client, store) = faults::lab();
    let things = Things::make(&client).await;
    for kind in KINDS {
        for route in ROUTES.iter().filter(|route| !WITHOUT_STORE.contains(&route.operation)) {
            let what = format!("{kind:?} {}", route.operation);
            store.fail(Fault::Writes(kind));
            if route.operation == "request_password_recovery" {
                // Another code may be asked for only after a while.
                lab.clock.advance(61);
            }
            let request = things.request(&client, route);
            // Writes that contradict each other or do not fit are no state that every route knows of.
            let answer =
                if is_outage(&kind) { client.send(request).await } else { client.host().send(request).await };
            assert_ne!(answer.status, 500, "{what}");
            assert_gives_nothing_away(&answer, &what);
            let writes = route.method != Method::GET && !WITHOUT_WRITES.contains(&route.operation);
            if writes && is_outage(&kind) {
                assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"), "{what}");
                assert!(answer.header("retry-after").is_some(), "{what}");
            } else if writes && kind == StoreErrorKind::TooLarge {
                assert!(answer.status >= 400, "{what}: {} {}", answer.status, answer.text());
            }
        }
    }
    store.fail(Fault::None);
    let user = things.ada.client.get("/v1/users/me").await.expect(200).json();
    assert_eq!(user["first_name"], "Ada", "nothing refused was written");
}

#[tokio::test]
async fn a1_what_the_parser_says_of_malformed_input_is_harmless() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let long = "9".repeat(500);
    for body in [
        "{",
        "[]",
        "nul",
        "{\"username\":1}",
        "{\"username\":{\"a\":[1,2]}}",
        "\u{feff}{}",
        "{\"a\":1e400}",
        "{\"username\":\"\\ud800\"}",
        &format!("{{\"username\":{long}}}"),
    ] {
        let request = Request::post("/v1/sessions/login").header("content-type", "application/json");
        let answer = client.send(request.body(Bytes::from(body.to_owned())).unwrap()).await.expect(400);
        for inside in ["serde", "::", "panicked", "src/", ".rs", "Deserialize", "struct "] {
            assert!(!answer.text().contains(inside), "{body}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a3_a_burst_is_let_through_then_429_then_time_helps() {
    let lab = Arc::new(Lab::with_variables(&[("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "5")]));
    let client = lab.client();
    let sign_in = async || client.post("/v1/sessions/login", json!({})).await;
    for left in (0..5).rev() {
        let answer = sign_in().await.expect(422);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=5;w=5"));
        let limit = answer.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"address\";r={left};t=")), "{limit}");
    }
    let refused = sign_in().await.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"address\";r=0;t=1"));
    assert!(refused.header("ratelimit-policy").is_some());
    // The limit is of the address, over all routes that have it, and of no other address or route.
    client.post("/v1/users", registration("ada")).await.expect_problem(429, "rate_limited");
    client.get("/v1/roles").await.expect(200);
    lab.move_to("203.0.113.9".parse::<IpAddr>().unwrap());
    sign_in().await.expect(422);
    lab.move_to("127.0.0.1".parse::<IpAddr>().unwrap());
    sign_in().await.expect_problem(429, "rate_limited");
    lab.clock.advance(1);
    sign_in().await.expect(422);
    sign_in().await.expect_problem(429, "rate_limited");
    lab.clock.advance(3600);
    for _ in 0..5 {
        sign_in().await.expect(422);
    }
    sign_in().await.expect_problem(429, "rate_limited");
}

#[tokio::test]
async fn a3_every_limited_route_says_so_and_no_other() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let things = Things::make(&client).await;
    assert!(ROUTES.iter().filter(|route| route.limited).count() >= 5);
    for route in ROUTES {
        let answer = client.send(things.request(&client, route)).await;
        for name in ["ratelimit", "ratelimit-policy"] {
            assert_eq!(answer.header(name).is_some(), route.limited, "{}: {name}", route.operation);
        }
    }
}

#[tokio::test]
async fn a4_ipv6_addresses_of_one_subscriber_count_together() {
    let lab = Arc::new(Lab::with_variables(&[("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "3")]));
    let client = lab.client();
    let from = async |address: &str| {
        lab.move_to(address.parse::<IpAddr>().unwrap());
        client.post("/v1/sessions/login", json!({})).await.status
    };
    assert_eq!(from("2001:db8:1:2::1").await, 422);
    assert_eq!(from("2001:db8:1:2:ffff::1").await, 422);
    assert_eq!(from("2001:db8:1:2:1:2:3:4").await, 422);
    assert_eq!(from("2001:db8:1:2::9").await, 429);
    assert_eq!(from("2001:db8:1:3::9").await, 422);
    assert_eq!(from("::ffff:192.0.2.1").await, 422);
}

async fn post_from(client: &Client, path: &str, forwarded_for: &[&str], body: &Value) -> Answer {
    let mut request = client.request(Method::POST, path, Some(body));
    for value in forwarded_for {
        request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
    }
    client.send(request).await
}

async fn address_of_session(client: &Client, forwarded_for: &[&str], username: &str) -> String {
    let answer = post_from(client, "/v1/users", forwarded_for, &registration(username)).await.expect(201);
    let user = User::of(client, username, &answer);
    let sessions = user.client.get("/v1/users/me/sessions").await.expect(200).json();
    sessions[0]["ip"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_stranger_does_not_choose_his_address() {
    let limits = [("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "4")];
    let client = Client::new(Arc::new(NativeHost::start_with(&limits).await));
    assert_eq!(address_of_session(&client, &["198.51.100.7"], "ada").await, "127.0.0.1");
    let mut statuses = Vec::new();
    for n in 0..8 {
        let forged = format!("198.51.100.{n}");
        statuses.push(post_from(&client, "/v1/sessions/login", &[&forged], &json!({})).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_trusted_hop_is_believed_for_one_hop() {
    let variables = [
        ("RATE_LIMIT_PER_SECOND", "1"),
        ("RATE_LIMIT_BURST", "3"),
        ("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.1"),
    ];
    let client = Client::new(Arc::new(NativeHost::start_with(&variables).await));
    assert_eq!(address_of_session(&client, &["203.0.113.9"], "one").await, "203.0.113.9");
    assert_eq!(address_of_session(&client, &["6.6.6.6, 203.0.113.10"], "two").await, "203.0.113.10");
    assert_eq!(
        address_of_session(&client, &["6.6.6.6", "203.0.113.11, 10.0.0.1"], "three").await,
        "203.0.113.11"
    );
    assert_eq!(address_of_session(&client, &["203.0.113.12, garbage"], "four").await, "127.0.0.1");
    let from =
        async |address: &str| post_from(&client, "/v1/sessions/login", &[address], &json!({})).await.status;
    let mut statuses = Vec::new();
    for n in 1..=6 {
        statuses.push(from(&format!("2001:db8:1:2::{n}")).await);
    }
    assert!(statuses.starts_with(&[422, 422, 422]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(from("2001:db8:1:3::1").await, 422);
    assert_eq!(from("203.0.113.99").await, 422);
}

#[tokio::test]
async fn a5_bodies_nesting_and_addresses_have_limits() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let send = async |body: String| {
        let request = Request::post("/v1/sessions/login").header("content-type", "application/json");
        client.send(request.body(Bytes::from(body)).unwrap()).await
    };
    let of_length = |bytes: usize| {
        let frame = r#"{"x":""}"#.len();
        format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - frame))
    };
    send(of_length(64 * 1024)).await.expect(422);
    send(of_length(64 * 1024 + 1)).await.expect_problem(413, "body_too_large");
    send(of_length(1024 * 1024)).await.expect_problem(413, "body_too_large");
    for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
        // The outermost object is the first level.
        let nested =
            |levels: usize| format!(r#"{{"x":{}0{}}}"#, open.repeat(levels - 1), close.repeat(levels - 1));
        send(nested(64)).await.expect(422);
        send(nested(65)).await.expect_problem(400, "nesting_too_deep");
        send(nested(9000)).await.expect_problem(400, "nesting_too_deep");
    }
    let path = |bytes: usize| format!("/v1/roles?{}", "x".repeat(bytes - "/v1/roles?".len()));
    client.get(&path(8 * 1024)).await.expect(200);
    client.get(&path(8 * 1024 + 1)).await.expect_problem(414, "uri_too_long");
    client.get(&format!("/v1/users/{}", "x".repeat(9000))).await.expect_problem(414, "uri_too_long");
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_header_blocks_have_a_limit() {
    let client = Client::new(Arc::new(NativeHost::start().await));
    let send = async |bytes: usize| {
        let mut request = Request::get("/v1/roles");
        for n in 0..bytes / 1000 {
            request = request.header(format!("x-{n:03}"), "y".repeat(1000 - 5 - 32));
        }
        client.send(request.body(Bytes::new()).unwrap()).await
    };
    send(31_000).await.expect(200);
    send(34_000).await.expect_problem(431, "headers_too_large");
    send(1_000).await.expect(200);
    let body = Bytes::from(vec![b' '; 2 * 1024 * 1024]);
    let request = Request::post("/v1/sessions/login").header("content-type", "application/json");
    client.send(request.body(body).unwrap()).await.expect_problem(413, "body_too_large");
    client.get("/v1/roles").await.expect(200);
}

/// Members of records, in the API's words and in the store's, that no client may set.
fn forbidden_members(stranger: &str) -> Map<String, Value> {
    let members = json!({
        "id": stranger, "user_id": stranger, "email_confirmed": true, "phone_confirmed": true, "verified": true,
        "created": "2001-01-01T00:00:00.000Z", "updated": "2001-01-01T00:00:00.000Z",
        "created_at": "2001-01-01T00:00:00.000Z", "updated_at": "2001-01-01T00:00:00.000Z",
        "deleted_at": "2001-01-01T00:00:00.000Z", "deleted": true, "deleted_username": "x", "deleted_email": "x@x.example",
        "password_hash": "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "hash": "x", "google_sub": "sub-1", "auth_provider": "google", "list_shard": "0", "claims": ["x"], "rest": { "role": "Admin" },
        "version": 7, "purge_at": 1, "expires_at": 1, "session_id": stranger, "owner_id": stranger,
        "__proto__": { "role": "Admin" }, "constructor": { "role": "Admin" }, "Role": "Admin", "ROLE": "Admin", "is_admin": true,
    });
    members.as_object().unwrap().clone()
}

async fn row(lab: &Lab, table: &'static Table, id: &str) -> Item {
    lab.ports.store.get(&Key::new(table, id)).await.unwrap().expect("a row").item
}

fn without(item: &Item, names: &[&str]) -> Item {
    item.iter()
        .filter(|(name, _)| !names.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

#[tokio::test]
async fn a8_a_registration_sets_only_what_it_may() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let plain = client.register("plain").await;
    let mut body = registration("eve");
    let members = body.as_object_mut().unwrap();
    for (name, value) in forbidden_members(&plain.id) {
        members.entry(name).or_insert(value);
    }
    members.insert("role".to_owned(), json!("Admin"));
    members.insert("enable".to_owned(), json!(0));
    let answer = client.post("/v1/users", body).await;
    let eve = User::of(&client, "eve", &answer.expect(201));
    assert_ne!(eve.id, plain.id);
    let (ours, usual) = (row(&lab, &USERS, &eve.id).await, row(&lab, &USERS, &plain.id).await);
    assert_eq!(ours.keys().collect::<Vec<_>>(), usual.keys().collect::<Vec<_>>());
    let own = ["user_id", "username", "email", "password_hash", "created_at", "updated_at", "list_shard"];
    assert_eq!(without(&ours, &own), without(&usual, &own));
    assert!(ours["created_at"].as_str().unwrap().starts_with("2026-"));
    client.sign_in("eve").await;
    eve.client.get("/v1/users").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a8_an_update_sets_only_what_it_may() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (admin, bob, ada) =
        (client.admin("root").await, client.register("bob").await, client.register("ada").await);
    let before = row(&lab, &USERS, &ada.id).await;
    let bobs = row(&lab, &USERS, &bob.id).await;
    for method in [Method::PUT, Method::PATCH] {
        // One by one and all at once, by the user and by an Admin, who may not either.
        for caller in [&ada, &admin] {
            let all = forbidden_members(&bob.id);
            let mut bodies: Vec<Value> = all.iter().map(|(name, value)| json!({ name: value })).collect();
            bodies.push(Value::Object(all));
            for body in bodies {
                let answer = caller.client.call(method.clone(), &ada.path(), Some(&body)).await;
                assert!(matches!(answer.status, 200 | 403 | 422), "{body}: {}", answer.text());
                let after = row(&lab, &USERS, &ada.id).await;
                assert_eq!(without(&after, &["updated_at"]), without(&before, &["updated_at"]), "{body}");
                assert!(after["updated_at"].as_str().unwrap().starts_with("2026-"), "{body}");
            }
        }
        for body in [
            json!({ "role": "Admin" }),
            json!({ "role": "User" }),
            json!({ "enable": 1 }),
            json!({ "enable": false }),
            json!({ "first_name": "Augusta", "role": "Admin" }),
        ] {
            ada.client.call(method.clone(), &ada.path(), Some(&body)).await.expect_problem(403, "forbidden");
            assert_eq!(row(&lab, &USERS, &ada.id).await["first_name"], "Ada");
        }
    }
    assert_eq!(row(&lab, &USERS, &bob.id).await, bobs);
    let after = row(&lab, &USERS, &ada.id).await;
    assert_eq!((&after["role"], &after["enable"]), (&json!("User"), &json!(1)));
}

#[tokio::test]
async fn a8_no_other_record_takes_what_it_may_not() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let things = Things::make(&client).await;
    let bob = client.register("bob").await;
    let Things { admin, ada, status, version, notification, .. } = &things;
    let mut extra = forbidden_members(&bob.id);
    for name in ["version", "hash"] {
        extra.remove(name);
    }
    let with = |body: Value| {
        let mut all = extra.clone();
        all.extend(body.as_object().unwrap().clone());
        Value::Object(all)
    };
    let device = row(&lab, &DEVICES, &ada.device_id).await;
    let body =
        with(json!({ "token": "push", "uuid": "x", "device_uuid": "x", "enable": false, "device_id": "x" }));
    ada.client.put(&format!("/v1/devices/{}", ada.device_id), body).await.expect(200);
    let changed = row(&lab, &DEVICES, &ada.device_id).await;
    assert_eq!(changed["token"], "push");
    assert_eq!(without(&changed, &["token", "updated_at"]), without(&device, &["token", "updated_at"]));

    let unread = row(&lab, &NOTIFICATIONS, notification).await;
    let body = with(json!({ "message": "forged", "readed": 1, "template_id": "x", "device_id": "x" }));
    ada.client.put(&format!("/v1/notifications/{notification}"), body).await.expect(200);
    let read = row(&lab, &NOTIFICATIONS, notification).await;
    for name in ["notification_id", "user_id", "message", "template_id", "device_id", "created_at"] {
        assert_eq!(read.get(name), unread.get(name), "{name}");
    }

    let old = row(&lab, &STATUSES, status).await;
    let body = with(json!({ "description": "Away", "status_id": bob.id }));
    admin.client.put(&format!("/v1/statuses/{status}"), body.clone()).await.expect(200);
    assert_eq!(row(&lab, &STATUSES, status).await.keys().collect::<Vec<_>>(), old.keys().collect::<Vec<_>>());
    let created = admin.client.post("/v1/statuses", body).await.expect(201).json();
    assert_ne!(created["id"], bob.id.as_str());

    let old = row(&lab, &APP_VERSIONS, version).await;
    let body = with(json!({ "notes": "n", "version_id": bob.id }));
    admin.client.put(&format!("/v1/app-versions/{version}"), body).await.expect(200);
    let new = row(&lab, &APP_VERSIONS, version).await;
    assert_eq!(without(&new, &["notes", "updated_at"]), without(&old, &["notes", "updated_at"]));

    // A change of password is the caller's own, whoever is named.
    let bobs = row(&lab, &USERS, &bob.id).await;
    let body =
        with(json!({ "current_password": PASSWORD, "new_password": "another good one", "username": "bob" }));
    ada.client.post("/v1/users/me/password", body).await.expect(200);
    assert_eq!(row(&lab, &USERS, &bob.id).await, bobs);
    // And a sign-in is of whoever is named by `username`.
    let body = with(json!({ "username": "bob", "password": PASSWORD, "role": "Admin" }));
    let signed_in = client.post("/v1/sessions/login", body).await.expect(200).json();
    assert_eq!((&signed_in["user"]["id"], &signed_in["user"]["role"]), (&json!(bob.id), &json!("User")));
    assert_eq!(row(&lab, &USERS, &bob.id).await, bobs);
}

/// Every list in pages, as the API description has them.
fn paged_lists() -> Vec<String> {
    let is_cursor = |parameter: &Value| {
        let name = parameter["$ref"].as_str().or(parameter["name"].as_str()).unwrap_or_default();
        name.to_ascii_lowercase().ends_with("cursor")
    };
    let paths = contract::document()["paths"].as_object().unwrap();
    let listed = paths.iter().filter(|(_, operations)| {
        let own = operations["get"]["parameters"].as_array().into_iter().flatten();
        own.chain(operations["parameters"].as_array().into_iter().flatten()).any(is_cursor)
    });
    listed.map(|(path, _)| path.clone()).collect()
}

#[tokio::test]
async fn a9_a_cursor_is_good_for_its_list_and_its_reader_alone() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let mut paths = paged_lists();
    assert_eq!(paths.len(), 7, "{paths:?}");
    paths.push("/v1/notifications?all=true".to_owned());
    let readers = [client.admin("root").await, client.admin("other").await];
    for n in 0..3 {
        readers[0]
            .client
            .post("/v1/statuses", json!({ "description": format!("status {n}") }))
            .await
            .expect(201);
        let body = json!({ "version": format!("1.{n}.0"), "mandatory": false });
        readers[0].client.post("/v1/app-versions", body).await.expect(201);
        for reader in &readers {
            let body = json!({ "user_id": reader.id, "message": format!("message {n}") });
            readers[0].client.post("/v1/notifications", body).await.expect(201);
            let file = json!({ "file_name": format!("{n}.txt"), "base64": "aGVsbG8=" });
            reader.client.post("/v1/files/base64", file).await.expect(201);
            client.sign_in(&reader.username).await;
        }
    }
    let page = async |reader: &User, path: &str, query: &str| {
        let path = path.replace("{id}", "me");
        let separator = if path.contains('?') { '&' } else { '?' };
        reader.client.get(&format!("{path}{separator}{query}")).await
    };
    let mut cursors = Vec::new();
    for path in &paths {
        for reader in &readers {
            let first = page(reader, path, "limit=1").await.expect(200).json();
            let cursor =
                first["next_cursor"].as_str().unwrap_or_else(|| panic!("{path}: {first}")).to_owned();
            cursors.push((path.clone(), reader.username.clone(), cursor));
        }
    }
    // Whose list it is matters where it differs by reader.
    let is_shared = |path: &str| ["/v1/users", "/v1/app-versions"].contains(&path);
    for (made_for, made_by, cursor) in &cursors {
        for path in &paths {
            for reader in &readers {
                let own = path == made_for && (is_shared(path) || *made_by == reader.username);
                let answer = page(reader, path, &format!("cursor={cursor}")).await;
                let what = format!("{made_by}'s cursor of {made_for} for {}'s {path}", reader.username);
                if own {
                    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                } else {
                    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_cursor"), "{what}");
                }
            }
        }
    }
    for (path, made_by, cursor) in cursors {
        let reader = readers.iter().find(|reader| reader.username == made_by).unwrap();
        let (payload, tag) = cursor.split_once('.').unwrap();
        let mut forged = vec![
            String::new(),
            ".".to_owned(),
            payload.to_owned(),
            format!("{payload}."),
            format!(".{tag}"),
            format!("{payload}.{}", "A".repeat(tag.len())),
            format!("{payload}.{tag}A"),
            format!("{payload}.{tag}.{tag}"),
            format!("e30.{tag}"),
            format!("bnVsbA.{tag}"),
            "%00".to_owned(),
            "x".repeat(4000),
            reader.id.clone(),
        ];
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            forged.push(String::from_utf8(changed).unwrap());
        }
        for forged in forged {
            let answer = page(reader, &path, &format!("cursor={forged}")).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_cursor"), "{path}: {forged}");
        }
        for limit in ["0", "101", "-1", "x", "1.5", "", "99999999999999999999"] {
            let answer = page(reader, &path, &format!("limit={limit}")).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_parameter"),
                "{path}: {limit}"
            );
        }
    }
}
