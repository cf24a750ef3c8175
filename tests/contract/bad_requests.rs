//! Bad requests to every operation, and what each gets, on every host.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use portico_core::http::routes::ROUTES;
use portico_tests::client::{Answer, Client};
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::requests::{body_schema, good, is_of, max_json_bytes, query_parameters, types_of};

/// The id of nothing.
const NOTHING: &str = "01KHXAZZ7M2V4S6T8R0P1Q3W5Y";

/// An operation that takes a JSON body, and the members that it cannot do without.
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
    Takes { operation: "upload_base64", required: &["file_name", "base64"] },
    Takes { operation: "upload_base64_legacy", required: &["file_name", "base64"] },
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

/// Those of `PUT` hold for `PATCH`.
#[rustfmt::skip]
const REFUSED: &[Refused] = refused! {
    "register_user" "username" "ab" => "too_short";
    "register_user" "username" "" => "too_short";
    "register_user" "username" "a".repeat(65) => "too_long";
    "register_user" "username" "ada lovelace" => "invalid_characters";
    "register_user" "username" "ada@example.com" => "invalid_characters";
    "register_user" "username" "../ada" => "invalid_characters";
    "register_user" "username" "ada#1" => "invalid_characters";
    "register_user" "username" "ada\u{0}" => "invalid_characters";
    "register_user" "username" "ada\u{202e}" => "invalid_characters";
    "register_user" "username" "ada\u{200d}x" => "invalid_characters";
    "register_user" "password" "" => "too_short";
    "register_user" "password" "seven77" => "too_short";
    "register_user" "password" "x".repeat(129) => "too_long";
    "register_user" "password" "password123" => "too_common";
    "register_user" "password" "PASSWORD123" => "too_common";
    "register_user" "password" "ADA.lovelace" => "same_as_identity";
    "register_user" "password" "Ada.Lovelace@example.com" => "same_as_identity";
    "register_user" "email" "" => "invalid_format";
    "register_user" "email" "ada" => "invalid_format";
    "register_user" "email" "ada@localhost" => "invalid_format";
    "register_user" "email" "ada@@example.com" => "invalid_format";
    "register_user" "email" "ada\u{0}@example.com" => "invalid_format";
    "register_user" "email" "ada@exämple.com" => "invalid_format";
    "register_user" "email" "ada@example.com\nBcc: x@example.com" => "invalid_format";
    "register_user" "email" format!("{}@example.com", "a".repeat(65)) => "invalid_format";
    "register_user" "email" format!("a@{}com", "b.".repeat(130)) => "too_long";
    "register_user" "first_name" "" => "too_short";
    "register_user" "first_name" " \t" => "invalid_characters";
    "register_user" "first_name" "   " => "too_short";
    "register_user" "first_name" "a".repeat(101) => "too_long";
    "register_user" "first_name" "ä".repeat(101) => "too_long";
    "register_user" "first_name" "Ada\u{202e}" => "invalid_characters";
    "register_user" "last_name" "a\u{7}b" => "invalid_characters";
    "register_user" "last_name" "a\u{0}" => "invalid_characters";
    "register_user" "last_name" "\u{2066}b" => "invalid_characters";
    "register_user" "phone" "015112345678" => "invalid_format";
    "register_user" "phone" "+" => "invalid_format";
    "register_user" "phone" "+999123456789" => "invalid_format";
    "register_user" "phone" "+44207\u{0}1234567" => "invalid_format";
    "register_user" "phone" "+1234567890123456" => "invalid_format";
    "register_user" "birthday" "2023-02-29" => "invalid_format";
    "register_user" "birthday" "2023-2-9" => "invalid_format";
    "register_user" "birthday" "1985-12-10T00:00:00Z" => "invalid_format";
    "register_user" "birthday" "2999-01-01" => "in_the_future";
    "register_user" "birthday" "1900-01-01" => "too_early";
    "register_user" "device_uuid" "" => "too_short";
    "register_user" "device_uuid" "x".repeat(129) => "too_long";
    "register_user" "device_uuid" "a\u{0}b" => "invalid_characters";
    "update_user" "username" "ab" => "too_short";
    "update_user" "username" "a\u{0}bc" => "invalid_characters";
    "update_user" "email" "nobody" => "invalid_format";
    "update_user" "phone" "12" => "invalid_format";
    "update_user" "first_name" "\u{2028}" => "invalid_characters";
    "update_user" "first_name" "" => "too_short";
    "update_user" "last_name" "x".repeat(101) => "too_long";
    "update_user" "birthday" "yesterday" => "invalid_format";
    "update_user" "birthday" "2999-12-31" => "in_the_future";
    "update_user" "role" "Root" => "invalid_format";
    "update_user" "role" "admin" => "invalid_format";
    "update_user" "role" "" => "invalid_format";
    "update_user" "enable" 2 => "invalid_format";
    "update_user" "enable" 0.5 => "invalid_format";
    "change_password" "current_password" "not my password" => "wrong_password";
    "change_password" "current_password" "" => "wrong_password";
    "change_password" "new_password" "seven77" => "too_short";
    "change_password" "new_password" "x".repeat(129) => "too_long";
    "change_password" "new_password" "password123" => "too_common";
    "change_password" "new_password" "root@example.com" => "same_as_identity";
    "change_password_legacy" "current_password" "not my password" => "wrong_password";
    "change_password_legacy" "new_password" "seven77" => "too_short";
    "sign_in" "device_uuid" "" => "too_short";
    "sign_in" "device_uuid" "a\nb" => "invalid_characters";
    "sign_in_with_google" "device_uuid" "x".repeat(129) => "too_long";
    "request_password_recovery" "email" "nobody" => "invalid_format";
    "request_password_recovery" "email" "" => "invalid_format";
    "complete_password_recovery" "email" "nobody" => "invalid_format";
    "complete_password_recovery" "new_password" "seven77" => "too_short";
    "complete_password_recovery" "new_password" "nobody@example.com" => "same_as_identity";
    "complete_password_recovery" "device_uuid" "\u{202e}" => "invalid_characters";
    "confirm_email" "token" "" => "invalid_code";
    "confirm_email" "token" "\u{0}" => "invalid_code";
    "confirm_phone" "otp" "" => "invalid_code";
    "confirm_phone" "otp" "x".repeat(10_000) => "invalid_code";
    "create_status" "description" "" => "too_short";
    "create_status" "description" "x".repeat(201) => "too_long";
    "create_status" "description" "a\u{1b}[31m" => "invalid_characters";
    "update_status" "description" "   " => "too_short";
    "update_status" "description" "a\u{0}" => "invalid_characters";
    "update_device" "token" "x".repeat(4097) => "too_long";
    "update_device" "token" "a\u{0}" => "invalid_characters";
    "update_device" "app_version_id" "../etc" => "invalid_format";
    "update_device" "app_version_id" "01khxazz7m2v4s6t8r0p1q3w5y" => "invalid_format";
    "check_device_version" "device_version" "one" => "invalid_format";
    "check_device_version" "device_version" "" => "invalid_format";
    "check_device_version" "device_version" "1.2.3.4" => "invalid_format";
    "check_device_version" "device_version" -1 => "invalid_format";
    "check_device_version" "device_version" 1e300 => "invalid_format";
    "create_notification" "message" "" => "too_short";
    "create_notification" "message" "x".repeat(2001) => "too_long";
    "create_notification" "message" "a\u{0}" => "invalid_characters";
    "create_notification" "template_id" "x".repeat(129) => "too_long";
    "create_notification" "template_id" "a\nb" => "invalid_characters";
    "create_notification" "device_id" "phone" => "invalid_format";
    "create_app_version" "version" "" => "invalid_format";
    "create_app_version" "version" "1.2.3.4" => "invalid_format";
    "create_app_version" "version" "v1" => "invalid_format";
    "create_app_version" "version" "99999999999999999999" => "invalid_format";
    "create_app_version" "platform" "" => "too_short";
    "create_app_version" "platform" "x".repeat(33) => "too_long";
    "create_app_version" "platform" "a\u{0}" => "invalid_characters";
    "create_app_version" "url" "" => "invalid_format";
    "create_app_version" "url" "javascript:alert(1)" => "invalid_format";
    "create_app_version" "url" "https://a b" => "invalid_format";
    "create_app_version" "url" format!("https://example.com/{}", "a".repeat(2048)) => "too_long";
    "upload_base64" "file_name" " " => "too_short";
    "upload_base64_legacy" "file_name" "" => "too_short";
    "create_upload" "file_name" "" => "too_short";
    "create_upload" "content_type" "text" => "invalid_format";
    "create_upload" "size" 6_000_000_000_u64 => "out_of_range";
    "create_upload" "sha256" "abc" => "invalid_format";
    "create_app_version" "notes" "x".repeat(4001) => "too_long";
    "create_app_version" "notes" "a\u{0}" => "invalid_characters";
    "update_app_version" "version" "latest" => "invalid_format";
    "update_app_version" "platform" "a\u{7}" => "invalid_characters";
    "update_app_version" "url" "ftp://example.com" => "invalid_format";
    "update_app_version" "notes" "x".repeat(4001) => "too_long";
};

/// Members whose every value of the right type is acceptable, or is only found to be wrong together with another.
const ANY_VALUE: &[(&str, &str)] = &[
    ("sign_in", "username"),
    ("sign_in", "password"),
    ("sign_in_with_google", "credential"),
    ("refresh_session", "refresh_token"),
    ("complete_password_recovery", "otp"),
    ("create_notification", "user_id"),
    ("create_notification", "user_ids"),
    ("create_notification", "all"),
    // What is no base64 is a body that cannot be read: it is among the cases of files.
    ("upload_base64", "base64"),
    ("upload_base64", "private"),
    ("upload_base64_legacy", "base64"),
    ("upload_base64_legacy", "private"),
    ("create_upload", "private"),
    ("create_app_version", "mandatory"),
    ("create_app_version", "enable"),
    ("update_app_version", "mandatory"),
    ("update_app_version", "enable"),
];

/// Bodies that no operation can read.
const MALFORMED: &[(&[u8], &str)] = &[
    (b"", "malformed_json"),
    (b" \r\n\t", "malformed_json"),
    (b"{", "malformed_json"),
    (b"{'a':1}", "malformed_json"),
    (b"{\"a\":1,}", "malformed_json"),
    (b"{\"a\":01}", "malformed_json"),
    (b"{\"a\":NaN}", "malformed_json"),
    (b"{\"a\":\"\x01\"}", "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b"{}x", "malformed_json"),
    (b"{}\0", "malformed_json"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b"a=1&b=2", "malformed_json"),
    (b"{\"a\":1e999}", "malformed_json"),
    (b"{\"a\":\"\\ud800\"}", "malformed_json"),
    (b"[]", "wrong_type"),
    (b"[{}]", "wrong_type"),
    (b"null", "wrong_type"),
    (b"\"{}\"", "wrong_type"),
    (b"1", "wrong_type"),
    (b"{\"a\":1,\"a\":1}", "duplicate_member"),
    (b"{\"a\":1,\"\\u0061\":2}", "duplicate_member"),
    (b"{\"a\":[{\"b\":1,\"b\":2}]}", "duplicate_member"),
    (b"{\"\xff\":1}", "invalid_utf8"),
    (b"{\"a\":\"\xc0\x80\"}", "invalid_utf8"),
    (b"{\"a\":\"\xed\xa0\x80\"}", "invalid_utf8"),
];

/// An Admin, who may call everything, and something of theirs for each kind of id.
struct World {
    admin: Client,
    ids: Vec<(&'static str, String)>,
}

impl World {
    async fn on(client: &Client) -> Self {
        let admin = client.admin("root").await;
        let status = admin.client.post("/v1/statuses", json!({"description": "away"})).await.expect(201);
        let version = admin.client.post("/v1/app-versions", json!({"version": "1.0.0"})).await.expect(201);
        admin.client.put(&admin.path(), json!({"phone": "+442071234567"})).await.expect(200);
        let file = admin.client.post("/v1/files/base64", good("upload_base64")).await.expect(201);
        let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().to_owned();
        let ids = vec![
            ("users", admin.id.clone()),
            ("devices", admin.device_id.clone()),
            ("statuses", id(&status)),
            ("app-versions", id(&version)),
            ("files", id(&file)),
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

/// The `PATCH` of a `PUT`.
fn twin(operation: &str) -> Option<String> {
    let twin = format!("patch_{}", operation.strip_prefix("update_")?);
    ROUTES.iter().any(|route| route.operation == twin).then_some(twin)
}

#[test]
fn every_operation_that_takes_a_body_is_in_the_table() {
    let listed: BTreeSet<&str> = TAKES.iter().map(|takes| takes.operation).collect();
    let described: BTreeSet<&str> = ROUTES
        .iter()
        .filter(|route| body_schema(route.operation).is_some())
        .map(|route| route.operation)
        .collect();
    assert_eq!(listed, described);
    for Takes { operation, required } in TAKES {
        let described = &body_schema(operation).unwrap()["required"];
        let described: Vec<&str> =
            described.as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(*required, described, "{operation}");
    }
}

#[test]
fn every_member_is_in_the_table() {
    let listed: BTreeSet<(String, &str)> = REFUSED
        .iter()
        .map(|refused| (refused.operation, refused.member))
        .chain(ANY_VALUE.iter().copied())
        .flat_map(|(operation, member)| {
            let twin = twin(operation).map(|twin| (twin, member));
            [Some((operation.to_owned(), member)), twin].into_iter().flatten()
        })
        // Its older path is one and the same.
        .chain([("change_password_legacy".to_owned(), "new_password")])
        .collect();
    let described: BTreeSet<(String, &str)> = TAKES
        .iter()
        .flat_map(|takes| {
            let members = body_schema(takes.operation).unwrap()["properties"].as_object().unwrap();
            members.keys().map(|member| (takes.operation.to_owned(), member.as_str()))
        })
        .collect();
    assert_eq!(listed, described);
}

on_every_host! {
    async fn a_body_that_cannot_be_read_is_400(client: Client) {
        let world = World::on(&client).await;
        for Takes { operation, .. } in TAKES {
            for (body, code) in MALFORMED {
                world.send(operation, "application/json", *body).await.expect_problem(400, code);
            }
            let nested = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
            world.send(operation, "application/json", nested).await.expect_problem(400, "nesting_too_deep");
            let bottomless = format!("{{\"a\":{}", "[".repeat(60_000));
            world.send(operation, "application/json", bottomless).await.expect_problem(400, "nesting_too_deep");
        }
    }
}

on_every_host! {
    async fn a_body_of_another_type_or_size_is_415_or_413(client: Client) {
        let world = World::on(&client).await;
        for Takes { operation, .. } in TAKES {
            for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"] {
                let answer = world.send(operation, content_type, "{}").await;
                answer.expect_problem(415, "unsupported_media_type");
            }
            let long = format!("{{\"a\":\"{}\"}}", "x".repeat(max_json_bytes(operation)));
            world.send(operation, "application/json", long).await.expect_problem(413, "body_too_large");
        }
    }
}

on_every_host! {
    async fn everything_that_is_missing_is_named_at_once(client: Client) {
        let world = World::on(&client).await;
        for Takes { operation, required } in TAKES.iter().filter(|takes| !takes.required.is_empty()) {
            let pointers: Vec<String> = required.iter().map(|member| format!("/{member}")).collect();
            let mut expected: Vec<(&str, &str)> = pointers.iter().map(|pointer| (pointer.as_str(), "required")).collect();
            if *operation == "create_notification" {
                // One of three ways to say to whom.
                expected.push(("", "required"));
            }
            let nulls: Value = required.iter().map(|member| ((*member).to_owned(), Value::Null)).collect();
            for body in [json!({}), json!({"unknown": 1}), nulls] {
                world.call(operation, &body).await.expect_invalid(&expected);
            }
        }
    }
}

on_every_host! {
    async fn a_member_of_the_wrong_type_is_400_and_named(client: Client) {
        let world = World::on(&client).await;
        for Takes { operation, .. } in TAKES {
            for (member, schema) in body_schema(operation).unwrap()["properties"].as_object().unwrap() {
                if (operation.ends_with("_user"), member.as_str()) == (true, "enable") {
                    // Its values are told one by one, in the table.
                    continue;
                }
                let types = types_of(schema);
                for value in [json!({"nested": []}), json!(["x"]), json!(true), json!(12), json!("x")] {
                    if is_of(&value, &types) {
                        continue;
                    }
                    let mut body = good(operation);
                    body[member.as_str()] = value;
                    let answer = world.call(operation, &body).await.expect_problem(400, "wrong_type");
                    assert!(answer.json()["detail"].as_str().unwrap().contains(member), "{}", answer.text());
                }
            }
        }
    }
}

on_every_host! {
    async fn values_that_are_not_acceptable_are_422_with_pointer_and_code(client: Client) {
        let world = World::on(&client).await;
        for Refused { operation, member, value, code } in REFUSED {
            let mut body = good(operation);
            body[*member] = value();
            let pointer = format!("/{member}");
            for operation in [Some((*operation).to_owned()), twin(operation)].into_iter().flatten() {
                world.call(&operation, &body).await.expect_invalid(&[(&pointer, code)]);
            }
        }
    }
}

on_every_host! {
    async fn several_values_that_are_not_acceptable_are_named_at_once(client: Client) {
        let world = World::on(&client).await;
        let registration = json!({"username": "a b", "password": "x", "email": "x", "first_name": "", "phone": "x", "birthday": "x", "device_uuid": ""});
        world.call("register_user", &registration).await.expect_invalid(&[
            ("/username", "invalid_characters"), ("/password", "too_short"), ("/email", "invalid_format"),
            ("/first_name", "too_short"), ("/last_name", "required"), ("/phone", "invalid_format"),
            ("/birthday", "invalid_format"), ("/device_uuid", "too_short"),
        ]);
        let release = json!({"version": "x", "platform": "", "url": "x", "notes": "\u{0}"});
        for operation in ["create_app_version", "update_app_version"] {
            world.call(operation, &release).await.expect_invalid(&[
                ("/version", "invalid_format"), ("/platform", "too_short"), ("/url", "invalid_format"),
                ("/notes", "invalid_characters"),
            ]);
        }
    }
}

on_every_host! {
    async fn recipients_are_named_in_exactly_one_way(client: Client) {
        let world = World::on(&client).await;
        let many = |count: usize| vec![NOTHING; count];
        for (recipients, errors) in [
            (json!({"all": false}), vec![("/all", "not_allowed")]),
            (json!({"all": true, "user_id": NOTHING}), vec![("", "not_allowed")]),
            (json!({"user_id": NOTHING, "user_ids": [NOTHING]}), vec![("", "not_allowed")]),
            (json!({"user_id": null, "user_ids": null, "all": null}), vec![("", "required")]),
            (json!({"user_id": ""}), vec![("/user_id", "invalid_format")]),
            (json!({"user_id": "username#root"}), vec![("/user_id", "invalid_format")]),
            (json!({"user_id": "me\u{0}"}), vec![("/user_id", "invalid_format")]),
            (json!({"user_id": NOTHING}), vec![("/user_id", "not_allowed")]),
            (json!({"user_ids": []}), vec![("/user_ids", "too_short")]),
            (json!({"user_ids": many(101)}), vec![("/user_ids", "too_long")]),
            (json!({"user_ids": ["", "email#a@b.c"]}), vec![("/user_ids/0", "invalid_format"), ("/user_ids/1", "invalid_format")]),
        ] {
            let mut body = recipients;
            body["message"] = json!("hello");
            world.call("create_notification", &body).await.expect_invalid(&errors);
        }
        let mut wrong = json!({"message": "hello", "user_ids": [1]});
        world.call("create_notification", &wrong).await.expect_problem(400, "wrong_type");
        wrong["user_ids"] = json!([null]);
        world.call("create_notification", &wrong).await.expect_problem(400, "wrong_type");
    }
}

on_every_host! {
    async fn what_is_no_id_is_nowhere(client: Client) {
        let world = World::on(&client).await;
        let long = "x".repeat(7000);
        let ids = [
            NOTHING, "%00", ".", "..", "%2e%2e", "..%2F..%2Fetc", "%2F", "%5C", "username%23root", "%23", "%zz", "%",
            "%ff", "%F0%9F%A6%80", "a%20b", "a+b", "a;b", "{id}", "*", "01KHXAZZ7M2V4S6T8R0P1Q3W5Y%00", "null", "0",
            "' OR 1=1", &long,
        ];
        for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
            for id in ids {
                let path = route.path.replace("{id}", &id.replace(' ', "%20").replace(['{', '}'], "%7B"));
                let body = (route.method != Method::GET).then(|| good(route.operation));
                let answer = world.admin.call(route.method.clone(), &path, body.as_ref()).await;
                answer.expect_problem(404, "not_found");
            }
            let path = route.path.replace("{id}", &"x".repeat(10_000));
            let answer = world.admin.call(route.method.clone(), &path, None).await;
            answer.expect_problem(414, "uri_too_long");
        }
    }
}

on_every_host! {
    async fn bad_query_parameters_are_400(client: Client) {
        let world = World::on(&client).await;
        for route in ROUTES {
            let (method, path) = world.address(route.operation);
            for name in query_parameters(route) {
                let (values, code): (&[&str], _) = match name {
                    "limit" => (&["0", "101", "-1", "ten", "", "1e1", "1.0", "%00", "99999999999999999999"], "invalid_parameter"),
                    "cursor" => (&["", "x", "a.b", ".", "%00", "%ff", "eyJ4Ijp9.AAAAAAAAAAAAAAAAAAAAAA"], "invalid_cursor"),
                    "ttl" => (&["0", "901", "-1", "ten", "", "1e1", "1.0", "%00"], "invalid_parameter"),
                    "all" | "keep_current" | "private" | "thumbnail" => (&["maybe", "2", "yes", "%00", "tru"], "invalid_parameter"),
                    other => panic!("{} takes {other}, which has no bad values here", route.operation),
                };
                for value in values {
                    let answer = world.admin.call(method.clone(), &format!("{path}?{name}={value}"), None).await;
                    answer.expect_problem(400, code);
                }
                let again = format!("{path}?x=1&{name}={}&{name}=1", values[1]);
                world.admin.call(method.clone(), &again, None).await.expect_problem(400, code);
            }
        }
    }
}

on_every_host! {
    async fn unknown_query_parameters_are_ignored(client: Client) {
        let world = World::on(&client).await;
        for query in ["x=1", "&&&", "=", "limit", "%", "a=%ff", "LIMIT=0"] {
            let answer = world.admin.get(&format!("/v1/roles?{query}")).await;
            answer.expect(200);
        }
    }
}
