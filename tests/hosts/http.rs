//! What holds for every request: methods, limits, headers, origins.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use portico_core::http::routes::{Access, ROUTES};
use portico_tests::client::{Answer, Client};
use portico_tests::lab::Lab;
use portico_tests::native::NativeHost;
use portico_tests::on_every_host;
use serde_json::json;

const PING: &str = "/v1/health-check/ping";
const LOGIN: &str = "/v1/sessions/login";

async fn with_header(client: &Client, path: &str, name: &str, value: &[u8]) -> Answer {
    let value = HeaderValue::from_bytes(value).unwrap();
    let request = Request::get(path).header(name, value).body(Bytes::new()).unwrap();
    client.send(request).await
}

async fn login_as(client: &Client, media: Option<&str>, body: impl Into<Bytes>) -> Answer {
    let mut request = Request::post(LOGIN);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    client.send(request.body(body.into()).unwrap()).await
}

/// A path of a route, with something in place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{id}", "me").replace("{action}", "ping")
}

/// Headers but for those that are new each time.
fn stable_headers(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let names = ["x-request-id", "date", "content-length", "ratelimit"];
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !names.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    headers.sort();
    headers
}

on_every_host! {
    async fn head_answers_like_get_without_the_body(client: Client) {
        let admin = client.admin("root").await;
        for route in ROUTES.iter().filter(|route| route.method == Method::GET) {
            for client in [&client, &admin.client] {
                let get = client.get(&filled(route.path)).await;
                let head = client.call(Method::HEAD, &filled(route.path), None).await;
                assert_eq!((head.status, stable_headers(&head)), (get.status, stable_headers(&get)), "{}", route.path);
                assert!(head.bytes.is_empty());
                // Times in exports and ids of requests have one length.
                assert_eq!(head.header("content-length"), Some(get.bytes.len().to_string().as_str()), "{}", route.path);
            }
        }
    }
}

on_every_host! {
    async fn another_method_is_answered_with_those_that_are_allowed(client: Client) {
        for route in ROUTES {
            let allowed: Vec<&Method> = ROUTES.iter().filter(|other| other.path == route.path).map(|other| &other.method).collect();
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
                if allowed.contains(&&method) {
                    continue;
                }
                let answer = client.call(method, &filled(route.path), None).await.expect_problem(405, "method_not_allowed");
                let listed = answer.header("allow").unwrap().to_owned();
                assert!(allowed.iter().all(|method| listed.contains(method.as_str())), "{listed}");
                assert_eq!(listed.contains("GET"), listed.contains("HEAD"));
                assert!(listed.ends_with("OPTIONS"));
            }
        }
    }
}

on_every_host! {
    async fn an_unknown_path_is_a_problem(client: Client) {
        for path in ["/", "/v1", "/v1/", "/v2/users", "/v1/users/", "//v1/users", "/V1/users", "/v1/users/me/", "/v1/user", "/docs/", "/.env", "/v1/../docs"] {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
                let answer = client.call(method, path, None).await.expect_problem(404, "not_found");
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            }
        }
    }
}

on_every_host! {
    async fn a_problem_says_the_same_in_all_its_members(client: Client) {
        let answer = with_header(&client, "/nothing", "x-request-id", b"test-1").await.expect(404);
        let body = answer.json();
        assert_eq!(body, json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found",
            "detail": body["detail"], "error": body["detail"], "request_id": "test-1",
        }));
    }
}

on_every_host! {
    async fn a_request_id_is_echoed_if_it_is_visible_ascii(client: Client) {
        let longest = "x".repeat(128);
        for good in ["1", "!~", "a/b?c=d", "01KHXAZZ7M2V4S6T8R0P1Q3W5Y", longest.as_str()] {
            let answer = with_header(&client, PING, "x-request-id", good.as_bytes()).await;
            assert_eq!(answer.header("x-request-id"), Some(good));
        }
        let too_long = "x".repeat(129);
        for bad in [too_long.as_bytes(), b"", b"a b", b"a\tb", "ä".as_bytes(), b"\xff"] {
            let answer = with_header(&client, PING, "x-request-id", bad).await;
            let id = answer.header("x-request-id").unwrap();
            assert!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
    }
}

on_every_host! {
    async fn a5_a_body_holds_at_most_64_kib(client: Client) {
        let body = |bytes: usize| {
            let rest = bytes - r#"{"username":"a","password":""}"#.len();
            format!(r#"{{"username":"a","password":"{}"}}"#, "x".repeat(rest))
        };
        login_as(&client, None, body(64 * 1024)).await.expect_problem(401, "invalid_credentials");
        login_as(&client, None, body(64 * 1024 + 1)).await.expect_problem(413, "body_too_large");
        login_as(&client, None, body(1024 * 1024)).await.expect_problem(413, "body_too_large");
        client.get(PING).await.expect(200);
    }
}

on_every_host! {
    async fn a5_a_path_and_query_hold_at_most_8_kib(client: Client) {
        let path = |bytes: usize| format!("{PING}?{}", "x".repeat(bytes - PING.len() - 1));
        client.get(&path(8 * 1024)).await.expect(200);
        client.get(&path(8 * 1024 + 1)).await.expect_problem(414, "uri_too_long");
        client.get(&format!("/v1/app-versions/{}", "x".repeat(10_000))).await.expect_problem(414, "uri_too_long");
        client.get(&format!("/{}", "x".repeat(20_000))).await.expect(414);
    }
}

#[tokio::test]
async fn a5_a_header_block_holds_at_most_32_kib() {
    let client = Client::new(Arc::new(NativeHost::start().await));
    with_header(&client, PING, "x-filler", "x".repeat(30 * 1024).as_bytes()).await.expect(200);
    for bytes in [32 * 1024, 50 * 1024] {
        let answer = with_header(&client, PING, "x-filler", "x".repeat(bytes).as_bytes()).await;
        is_guarded(&answer.expect_problem(431, "headers_too_large"), false);
    }
    client.get(PING).await.expect(200);
}

on_every_host! {
    async fn a_body_is_json_by_its_type_or_without_one(client: Client) {
        let body = r#"{"username":"nobody","password":"x"}"#;
        for good in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", "application/json ;x=y"] {
            login_as(&client, Some(good), body).await.expect_problem(401, "invalid_credentials");
        }
        login_as(&client, None, body).await.expect_problem(401, "invalid_credentials");
        for bad in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/problem+json", "json"] {
            login_as(&client, Some(bad), body).await.expect_problem(415, "unsupported_media_type");
        }
    }
}

on_every_host! {
    async fn an_empty_content_type_is_not_jsons(client: Client) {
        let body = r#"{"username":"nobody","password":"x"}"#;
        login_as(&client, Some(""), body).await.expect_problem(415, "unsupported_media_type");
    }
}

on_every_host! {
    async fn a_body_that_is_not_asked_for_is_ignored(client: Client) {
        let ada = client.register("ada").await;
        let request = Request::post("/v1/sessions/logout")
            .header("authorization", format!("Bearer {}", ada.access_token))
            .header("content-type", "text/plain");
        client.send(request.body(Bytes::from_static(b"{not json")).unwrap()).await.expect(200);
    }
}

/// What every answer carries, and what none does.
fn is_guarded(answer: &Answer, cacheable: bool) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.text());
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{}", answer.text());
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy:?}"
    );
    let caching = answer.header("cache-control").unwrap_or_default();
    assert_eq!(caching, if cacheable { "public, max-age=300" } else { "no-store" });
    for unwanted in ["server", "x-powered-by", "set-cookie", "access-control-allow-credentials"] {
        assert_eq!(answer.header(unwanted), None);
    }
}

on_every_host! {
    async fn a10_every_answer_carries_the_security_headers(client: Client) {
        let ada = client.register("ada").await;
        for route in ROUTES {
            let cacheable = ["/.well-known/jwks.json", "/openapi.json", "/docs"].contains(&route.path);
            for client in [&client, &ada.client] {
                let answer = client.call(route.method.clone(), &filled(route.path), None).await;
                is_guarded(&answer, cacheable);
            }
            is_guarded(&client.call(Method::TRACE, &filled(route.path), None).await, false);
            is_guarded(&client.call(Method::OPTIONS, &filled(route.path), None).await, false);
        }
        is_guarded(&client.get("/nothing").await, false);
        is_guarded(&client.get(&format!("/{}", "x".repeat(9000))).await, false);
        is_guarded(&login_as(&client, None, "x".repeat(70_000)).await, false);
    }
}

#[tokio::test]
async fn a3_limited_operations_say_what_is_left_and_when_to_come_back() {
    let variables = [("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "3")];
    let lab = Arc::new(Lab::with_variables(&variables));
    let client = lab.client();
    for left in [2, 1, 0] {
        let answer = client.post(LOGIN, json!({})).await.expect(422);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=3;w=3"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"address\";r={left};t=")));
    }
    for route in ROUTES.iter().filter(|route| route.limited) {
        let answer = client.call(route.method.clone(), &filled(route.path), None).await;
        assert_eq!(answer.header("retry-after"), Some("1"), "{}", route.path);
        is_guarded(&answer.expect_problem(429, "rate_limited"), false);
    }
    lab.move_to("192.0.2.1".parse().unwrap());
    client.post(LOGIN, json!({})).await.expect(422);
    lab.move_to(portico_tests::lab::HOME);
    lab.clock.advance(1);
    client.post(LOGIN, json!({})).await.expect(422);
}

on_every_host! {
    async fn a6_any_origin_may_read_and_none_may_send_credentials(client: Client) {
        for origin in ["https://app.example.com", "null", "http://localhost:5173"] {
            let answer = with_header(&client, PING, "origin", origin.as_bytes()).await.expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert!(answer.header("access-control-expose-headers").unwrap().contains("X-Request-Id"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            let refused = with_header(&client, "/v1/users", "origin", origin.as_bytes()).await.expect(401);
            assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "scripts may read errors");
        }
    }
}

async fn preflight(client: &Client, path: &str, origin: &str) -> Answer {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization, content-type");
    client.send(request.body(Bytes::new()).unwrap()).await
}

on_every_host! {
    async fn a6_every_path_answers_a_preflight(client: Client) {
        for route in ROUTES {
            let answer = preflight(&client, &filled(route.path), "https://app.example.com").await.expect(204);
            assert!(answer.bytes.is_empty());
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.contains(route.method.as_str()), "{methods}");
            assert_eq!(answer.header("allow"), Some(methods));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            let headers = answer.header("access-control-allow-headers").unwrap();
            for header in ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"] {
                assert!(headers.contains(header), "{header}");
            }
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}

#[tokio::test]
async fn a6_a_list_of_origins_lets_in_exactly_those() {
    let listed = [("ALLOWED_ORIGINS", "https://app.example.com, http://localhost:5173")];
    let client = Arc::new(Lab::with_variables(&listed)).client();
    for origin in ["https://app.example.com", "http://localhost:5173"] {
        for answer in [
            with_header(&client, PING, "origin", origin.as_bytes()).await,
            preflight(&client, "/v1/users/me", origin).await,
        ] {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("vary"), Some("Origin"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    for origin in [
        "https://app.example.com.evil.de",
        "http://app.example.com",
        "https://app.example.com:444",
        "null",
        "*",
        "https://evil.de",
        "",
    ] {
        for answer in [
            with_header(&client, PING, "origin", origin.as_bytes()).await,
            preflight(&client, "/v1/users/me", origin).await,
        ] {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
            assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
        }
    }
    assert_eq!(client.get(PING).await.header("vary"), Some("Origin"));
}

on_every_host! {
    async fn an_authorization_header_that_is_no_bearer_token_is_refused(client: Client) {
        let ada = client.register("ada").await;
        let token = ada.access_token.as_str();
        for value in ["", "Bearer", "Bearer ", "Basic YWRhOng=", token, &format!("Token {token}"), "Bearer\u{e4}"] {
            let answer = with_header(&client, "/v1/sessions", "authorization", value.as_bytes()).await;
            let answer = answer.expect_problem(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        for value in ["Bearer x", "Bearer x.y.z", &format!("Bearer {token}x"), &format!("Bearer {token} x")] {
            let answer = with_header(&client, "/v1/sessions", "authorization", value.as_bytes()).await;
            let answer = answer.expect_problem(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
        for scheme in ["bearer", "BEARER", "Bearer "] {
            with_header(&client, "/v1/sessions", "authorization", format!("{scheme} {token}").as_bytes()).await.expect(200);
        }
        let twice = Request::get("/v1/sessions").header("authorization", format!("Bearer {token}"));
        let twice = twice.header("authorization", format!("Bearer {token}")).body(Bytes::new()).unwrap();
        client.send(twice).await.expect_problem(401, "unauthenticated");
    }
}

on_every_host! {
    async fn public_operations_ignore_the_authorization_header(client: Client) {
        for route in ROUTES.iter().filter(|route| route.access == Access::Public && route.method == Method::GET) {
            let answer = with_header(&client, &filled(route.path), "authorization", b"Bearer garbage").await;
            assert_ne!(answer.status, 401, "{}", route.path);
        }
    }
}
