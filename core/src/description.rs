//! What the service says about itself: the contract, as a document and as a page, and the keys of its tokens.
//!
//! All of it is public and the same for everybody, so that caches may keep it for some minutes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderName, StatusCode};
use serde::Serialize;

use crate::App;
use crate::auth::keys::{Jwk, PublicKey};
use crate::error::Error;
use crate::http::base_url;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;

/// The contract as JSON, made by the build from `openapi.yaml`.
pub static OPENAPI_JSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The contract as a page.
static DOCS: &str = include_str!(concat!(env!("OUT_DIR"), "/docs.html"));

/// Allows the page its own style sheet, by its hash, and nothing else.
static DOCS_CSP: HeaderValue =
    HeaderValue::from_static(include_str!(concat!(env!("OUT_DIR"), "/docs_csp.txt")));

static CACHEABLE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// `GET /openapi.json`
///
/// # Errors
/// None.
pub async fn openapi(_app: &Arc<App>, _request: Request) -> Result<Reply, Error> {
    let body = Bytes::from_static(OPENAPI_JSON).into();
    Ok(cacheable(reply::bytes_reply(StatusCode::OK, "application/json", body)))
}

/// `GET /docs`
///
/// # Errors
/// None.
pub async fn docs(_app: &Arc<App>, _request: Request) -> Result<Reply, Error> {
    let page = reply::bytes_reply(StatusCode::OK, "text/html; charset=utf-8", DOCS.into());
    Ok(with(cacheable(page), header::CONTENT_SECURITY_POLICY, &DOCS_CSP))
}

#[derive(Serialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

/// `GET /.well-known/jwks.json` (RFC 7517)
///
/// # Errors
/// None.
pub async fn jwks(app: &Arc<App>, _request: Request) -> Result<Reply, Error> {
    let keys = app.keys.all().map(PublicKey::to_jwk).collect();
    Ok(cacheable(reply::ok(&KeySet { keys })?))
}

/// The part of OpenID Connect Discovery that verifying a token takes.
#[derive(Serialize)]
struct Discovery<'a> {
    issuer: &'a str,
    jwks_uri: String,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// `GET /.well-known/openid-configuration`
///
/// # Errors
/// 400 when neither `PUBLIC_URL` nor the request says where the service is.
pub async fn discovery(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let base = base_url::of(app, &request.headers).ok_or_else(unknown_address)?;
    let answer = reply::ok(&Discovery {
        issuer: &app.settings.issuer,
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    })?;
    // What a request said about the address is told to nobody else: a shared cache must not keep it.
    Ok(if app.settings.public_url.is_some() { cacheable(answer) } else { answer })
}

fn unknown_address() -> Error {
    Error::bad_request("invalid_parameter", "send one `Host` header with the name of this server")
}

fn cacheable(reply: Reply) -> Reply {
    with(reply, header::CACHE_CONTROL, &CACHEABLE)
}

fn with(mut reply: Reply, name: HeaderName, value: &HeaderValue) -> Reply {
    reply.headers_mut().insert(name, value.clone());
    reply
}
