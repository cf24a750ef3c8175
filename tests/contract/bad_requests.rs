//! Bad requests to every operation, and what each gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use portico_core::http::routes::ROUTES;
use portico_tests::client::{Answer, Client, PASSWORD, registration};
use portico_tests::contract::document;
use portico_tests::lab::Lab;
use serde_json::{Value, json};

/// An operation that takes a JSON body of the usual size, and the members that it cannot do without. (Files in base64 are
/// larger, and tested with files.)
struct Takes {
    operation: &'static str,
    required: &'static [&'static str],
}

#[rustfmt::skip]
const TAKES: &[Takes] = &[
    Takes { operation: "register_user", required: &["username", "password", "email", "first_name", "last_name"] },
    Takes { operation: "update_user", required: &[] },
    Takes { operation: "patch_user", required: &[] },
    Takes { operation: "change_password", required: &["current_password", "new_password"] },
    Takes { operation: "change_password_legacy", required: &["current_password", "new_password"] },
    Takes { operation: "sign_in", required: &["username", "password"] },
    Takes { operation: "sign_in_with_google", required: &["credential"] },
    Takes { operation: "refresh_session", required: &["refresh_token"] },
    Takes { operation: "request_password_recovery", required: &["email"] },
    Takes { operation: "complete_password_recovery", required: &["email", "otp", "new_password"] },
    Takes { operation: "confirm_email", required: &["token"] },
    Takes { operation: "confirm_phone", required: &["otp"] },
    Takes { operation: "create_status", required: &["description"] },
    Takes { operation: "update_status", required: &["description"] },
    Takes { operation: "patch_status", required: &["description"] },
    Takes { operation: "update_device", required: &[] },
    Takes { operation: "patch_device", required: &[] },
    Takes { operation: "check_device_version", required: &["device_version"] },
    Takes { operation: "create_notification", required: &["message"] },
    Takes { operation: "create_upload", required: &["file_name", "content_type", "size"] },
    Takes { operation: "create_app_version", required: &["version"] },
    Takes { operation: "update_app_version", required: &[] },
    Takes { operation: "patch_app_version", required: &[] },
];

/// A value that is of the right type and still not acceptable.
struct Refused {
    operation: &'static str,
    member: &'static str,
    value: fn() -> Value,
    code: &'static str,
}

macro_rules! refused {
    ($($operation:literal $member:literal $value:expr => $code:literal;)*) => {
        &[$(Refused { operation: $operation, member: $member, value: || json!($value), code: $code }),*]
    };
}

const REFUSED: &[Refused] = refused! {
    "register_user" "username" "ab" => "too_short";
    "register_user" "username" "a".repeat(65) => "too_long";
    "register_user" "username" "ada lovelace" => "invalid_characters";
    "register_user" "username" "ada\u{0}" => "invalid_characters";
    "register_user" "username" "ada\u{202e}" => "invalid_characters";
    "register_user" "password" "seven77" => "too_short";
    "register_user" "password" "x".repeat(129) => "too_long";
    "register_user" "password" "password123" => "too_common";
    "register_user" "password" "ADA.lovelace" => "same_as_identity";
    "register_user" "email" "ada" => "invalid_format";
    "register_user" "email" "ada@example.com\nBcc: x@example.com" => "invalid_format";
    "register_user" "email" format!("a@{}com", "b.".repeat(130)) => "too_long";
    "register_user" "first_name" "" => "too_short";
    "register_user" "first_name" "a".repeat(101) => "too_long";
    "register_user" "last_name" "a\u{7}b" => "invalid_characters";
    "register_user" "phone" "015112345678" => "invalid_format";
    "register_user" "birthday" "2023-02-29" => "invalid_format";
    "register_user" "birthday" "2999-01-01" => "in_the_future";
    "register_user" "birthday" "1900-01-01" => "too_early";
    "register_user" "device_uuid" "x".repeat(129) => "too_long";
    "register_user" "device_uuid" "a\u{0}b" => "invalid_characters";
    "update_user" "username" "ab" => "too_short";
    "update_user" "email" "nobody" => "invalid_format";
    "update_user" "phone" "12" => "invalid_format";
    "update_user" "first_name" "\u{2028}" => "invalid_characters";
    "update_user" "birthday" "yesterday" => "invalid_format";
    "update_user" "role" "Root" => "invalid_format";
    "update_user" "enable" 2 => "invalid_format";
    "update_user" "enable" "yes" => "invalid_format";
    "sign_in" "device_uuid" "" => "too_short";
    "request_password_recovery" "email" "nobody" => "invalid_format";
    "create_status" "description" "" => "too_short";
    "create_status" "description" "x".repeat(201) => "too_long";
    "create_status" "description" "a\u{1b}[31m" => "invalid_characters";
    "update_device" "token" "x".repeat(4097) => "too_long";
    "update_device" "app_version_id" "../etc" => "invalid_format";
    "check_device_version" "device_version" "one" => "invalid_format";
    "check_device_version" "device_version" "" => "invalid_format";
    "create_notification" "message" "" => "too_short";
    "create_notification" "message" "x".repeat(2001) => "too_long";
    "create_app_version" "version" "1.2.3.4" => "invalid_format";
    "create_app_version" "url" "javascript:alert(1)" => "invalid_format";
    "create_app_version" "notes" "x".repeat(4001) => "too_long";
};

/// Bodies that no operation can read.
const MALFORMED: &[(&[u8], &str)] = &[
    (b"", "malformed_json"),
    (b"{", "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b"{\"a\":1e999}", "malformed_json"),
    (b"{\"a\":\"\\ud800\"}", "malformed_json"),
    (b"[]", "wrong_type"),
    (b"null", "wrong_type"),
    (b"{\"a\":1,\"a\":2}", "duplicate_member"),
    (b"{\"\xff\":1}", "invalid_utf8"),
];

/// An Admin, who may call everything, and something of theirs for each kind of id.
struct World {
    admin: Client,
    ids: Vec<(&'static str, String)>,
}

impl World {
    async fn new() -> Self {
        let client = Arc::new(Lab::new()).client();
        let admin = client.admin("root").await;
        let status = admin.client.post("/v1/statuses", json!({"description": "away"})).await.expect(201);
        let version = admin.client.post("/v1/app-versions", json!({"version": "1.0.0"})).await.expect(201);
        admin.client.put(&admin.path(), json!({"phone": "+442071234567"})).await.expect(200);
        let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().to_owned();
        let ids = vec![
            ("users", admin.id.clone()),
            ("devices", admin.device_id.clone()),
            ("statuses", id(&status)),
            ("app-versions", id(&version)),
        ];
        Self { admin: admin.client, ids }
    }

    fn address(&self, operation: &str) -> (Method, String) {
        let route = ROUTES.iter().find(|route| route.operation == operation).expect("an operation");
        let resource = route.path.split('/').nth(2).unwrap_or_default();
        let id = self.ids.iter().find(|(name, _)| *name == resource).map_or("", |(_, id)| id);
        (route.method.clone(), route.path.replace("{id}", id))
    }

    async fn send(&self, operation: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let (method, path) = self.address(operation);
        let mut request = self.admin.request(method, &path, None).map(|_| body.into());
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        self.admin.send(request).await
    }

    async fn call(&self, operation: &str, body: &Value) -> Answer {
        self.send(operation, "application/json", body.to_string()).await
    }
}

/// A body that the operation would accept, but for what a test changes in it.
fn good(operation: &str) -> Value {
    match operation {
        "register_user" => registration("ada.lovelace"),
        "sign_in" => json!({"username": "root", "password": PASSWORD}),
        "create_notification" => json!({"all": true, "message": "hello"}),
        "create_app_version" => json!({"version": "2.0.0"}),
        _ => json!({}),
    }
}

#[test]
fn every_operation_that_takes_a_body_is_in_the_table() {
    let listed: BTreeSet<&str> = TAKES.iter().map(|takes| takes.operation).collect();
    let described: BTreeSet<&str> = ROUTES
        .iter()
        .filter(|route| {
            let method = route.method.as_str().to_ascii_lowercase();
            let content = &document()["paths"][route.path][method]["requestBody"]["content"];
            content["application/json"].is_object() && !route.operation.starts_with("upload_base64")
        })
        .map(|route| route.operation)
        .collect();
    assert_eq!(listed, described);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400() {
    let world = World::new().await;
    for Takes { operation, .. } in TAKES {
        for (body, code) in MALFORMED {
            world.send(operation, "application/json", *body).await.expect_problem(400, code);
        }
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        world.send(operation, "application/json", nested).await.expect_problem(400, "nesting_too_deep");
    }
}

#[tokio::test]
async fn a_body_of_another_type_or_size_is_415_or_413() {
    let world = World::new().await;
    for Takes { operation, .. } in TAKES {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"] {
            let answer = world.send(operation, content_type, "{}").await;
            answer.expect_problem(415, "unsupported_media_type");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
        world.send(operation, "application/json", long).await.expect_problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn everything_that_is_missing_is_named_at_once() {
    let world = World::new().await;
    for Takes { operation, required } in TAKES.iter().filter(|takes| !takes.required.is_empty()) {
        let answer = world.call(operation, &json!({"unknown": 1})).await.expect(422).json();
        let pointers: BTreeSet<&str> = answer["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        for member in *required {
            assert!(pointers.contains(format!("/{member}").as_str()), "{operation} {member}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_member_of_the_wrong_type_is_400_and_named() {
    let world = World::new().await;
    for Takes { operation, required } in TAKES {
        for member in *required {
            let mut body = good(operation);
            body[*member] = json!({"nested": []});
            let answer = world.call(operation, &body).await.expect_problem(400, "wrong_type");
            assert!(answer.json()["detail"].as_str().unwrap().contains(member), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn values_that_are_not_acceptable_are_422_with_pointer_and_code() {
    let world = World::new().await;
    for Refused { operation, member, value, code } in REFUSED {
        let mut body = good(operation);
        body[*member] = value();
        let answer = world.call(operation, &body).await.expect(422).json();
        let pointer = format!("/{member}");
        let found =
            answer["errors"].as_array().unwrap().iter().find(|error| error["pointer"] == pointer.as_str());
        assert_eq!(
            found.map(|error| error["code"].clone()),
            Some(json!(code)),
            "{operation} {body}: {answer}"
        );
    }
}

#[tokio::test]
async fn what_is_no_id_is_nowhere() {
    let world = World::new().await;
    let long = "x".repeat(7000);
    let ids = [
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "%00",
        "..%2F..%2Fetc",
        "username%23root",
        "%F0%9F%A6%80",
        "a%20b",
        &long,
    ];
    for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
        for id in ids {
            let path = route.path.replace("{id}", id);
            let body = (route.method != Method::GET).then(|| good_for_any(route.operation));
            let answer = world.admin.call(route.method.clone(), &path, body.as_ref()).await;
            assert_eq!(answer.status, 404, "{} {id:.60}: {}", route.operation, answer.text());
        }
    }
}

/// A body that every check before the look-up accepts.
fn good_for_any(operation: &str) -> Value {
    match operation {
        "update_status" | "patch_status" => json!({"description": "away"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn bad_pages_are_400() {
    let world = World::new().await;
    let lists = [
        "/v1/users",
        "/v1/users/me/sessions",
        "/v1/devices",
        "/v1/statuses",
        "/v1/app-versions",
        "/v1/notifications",
    ];
    for list in lists {
        for query in ["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=", "limit=1e1"] {
            world.admin.get(&format!("{list}?{query}")).await.expect_problem(400, "invalid_parameter");
        }
        for query in
            ["cursor=", "cursor=x", "cursor=a.b", "cursor=%00", "cursor=eyJ4Ijp9.AAAAAAAAAAAAAAAAAAAAAA"]
        {
            world.admin.get(&format!("{list}?{query}")).await.expect_problem(400, "invalid_cursor");
        }
    }
    world
        .admin
        .post_empty("/v1/sessions/logout-all?keep_current=maybe")
        .await
        .expect_problem(400, "invalid_parameter");
    world.admin.get("/v1/notifications?all=perhaps").await.expect_problem(400, "invalid_parameter");
    world.admin.get("/v1/health-check/dance").await.expect_problem(400, "unknown_action");
}
