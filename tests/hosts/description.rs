//! What a deployment says about itself: its keys, its contract, its page.

use std::sync::Arc;

use http::{Method, Request};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use portico_tests::client::{Answer, Client};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

const YAML: &str = include_str!("../../core/openapi.yaml");
const CACHEABLE: Option<&str> = Some("public, max-age=300");

async fn with_host(client: &Client, host: &[&str]) -> Answer {
    let mut request = Request::get("/.well-known/openid-configuration");
    for host in host {
        request = request.header("host", *host);
    }
    client.send(request.body(bytes::Bytes::new()).unwrap()).await
}

/// The claims of a token, read as any other service would read them.
fn claims(keys: &Value, token: &str) -> Value {
    let header = decode_header(token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("at+jwt")));
    let keys: JwkSet = serde_json::from_value(keys.clone()).unwrap();
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The lab's clock stands in the past.
    validation.validate_exp = false;
    validation.set_issuer(&["portico"]);
    validation.set_audience(&["portico"]);
    decode::<Value>(token, &key, &validation).unwrap().claims
}

on_every_host! {
    async fn another_service_verifies_a_token_with_the_published_keys(client: Client) {
        let ada = client.register("ada").await;
        let answer = client.get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(answer.header("cache-control"), CACHEABLE);
        let claims = claims(&answer.json(), &ada.access_token);
        let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(ends - issued, 604_800);
        assert_eq!(claims, json!({
            "user_id": ada.id, "sub": ada.id, "device_id": ada.device_id, "session_id": ada.session_id,
            "role": "User", "iss": "portico", "aud": "portico", "iat": issued, "exp": ends, "jti": claims["jti"],
        }));
    }
}

on_every_host! {
    async fn the_published_keys_are_public(client: Client) {
        let keys = client.get("/.well-known/jwks.json").await.expect(200).json();
        let names: Vec<&String> = keys["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        assert_eq!(names.len(), 6, "{names:?} and nothing private");
        let token = client.register("ada").await.access_token;
        let mut other = keys.clone();
        other["keys"][0]["n"] = json!(keys["keys"][0]["n"].as_str().unwrap().replace(['A', 'b'], "c"));
        assert!(std::panic::catch_unwind(|| claims(&other, &token)).is_err(), "another key verifies it");
    }
}

on_every_host! {
    async fn discovery_says_where_the_keys_are(client: Client) {
        let answer = with_host(&client, &["API.example.com:8443"]).await.expect(200);
        assert_eq!(answer.json(), json!({
            "issuer": "portico", "jwks_uri": "http://api.example.com:8443/.well-known/jwks.json",
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        }));
        assert_eq!(answer.header("cache-control"), Some("no-store"), "a shared cache must not keep what a request said");
    }
}

on_every_host! {
    async fn a_host_that_is_none_is_refused(client: Client) {
        for odd in ["a@b", "a/b", "a\"b", "a:x", "a?b"] {
            with_host(&client, &[odd]).await.expect_problem(400, "invalid_parameter");
        }
    }
}

#[tokio::test]
async fn discovery_prefers_the_configured_address() {
    let client =
        Arc::new(Lab::with_variables(&[("PUBLIC_URL", "https://id.example.com/"), ("JWT_ISSUER", "garden")]))
            .client();
    let answer = with_host(&client, &["evil.example"]).await.expect(200);
    assert_eq!(answer.json()["jwks_uri"], "https://id.example.com/.well-known/jwks.json");
    assert_eq!(answer.json()["issuer"], "garden");
    assert_eq!(answer.header("cache-control"), CACHEABLE);
}

on_every_host! {
    async fn the_contract_is_published_as_it_is_kept(client: Client) {
        let answer = client.get("/openapi.json").await.expect(200);
        let options = serde_saphyr::options! { strict_booleans: true };
        let kept: Value = serde_saphyr::from_str_with_options(YAML, options).unwrap();
        assert!(answer.json() == kept, "/openapi.json is not openapi.yaml");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), CACHEABLE);
    }
}

on_every_host! {
    async fn a10_the_page_needs_no_script_and_loads_nothing(client: Client) {
        let answer = client.get("/docs").await.expect(200);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        for part in ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let page = answer.text().replace("<wbr>", "");
        for loads in ["<script", "<link", "<img", "<iframe", "@import", "url(", " src=", "style=\"", "onclick"] {
            assert!(!page.contains(loads), "{loads}");
        }
        assert_eq!(page.matches("<style").count(), 1);
        for path in ["/v1/users/{id}/restore", "/v1/devices/version"] {
            assert!(page.contains(path), "{path}");
        }
    }
}

on_every_host! {
    async fn nothing_of_the_description_takes_another_method(client: Client) {
        for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/openapi.json", "/docs"] {
            let answer = client.call(Method::POST, path, None).await.expect_problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
        }
    }
}
