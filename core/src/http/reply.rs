//! Answers: values, problems, and the headers that every answer carries.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use crate::error::Error;
use crate::validate::FieldError;

/// What a handler answers.
pub type Reply = Response<Body>;

/// An answer with a JSON body, which no cache keeps unless the handler says otherwise.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Reply, Error> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::unavailable("busy", "the answer could not be made", 1).caused_by(error))?;
    Ok(bytes_reply(status, "application/json", bytes.into()))
}

/// 200 with a JSON body.
pub fn ok<T: Serialize>(value: &T) -> Result<Reply, Error> {
    json(StatusCode::OK, value)
}

/// 201 with a JSON body.
pub fn created<T: Serialize>(value: &T) -> Result<Reply, Error> {
    json(StatusCode::CREATED, value)
}

/// 200 with `{"message": …}`.
pub fn message(text: &'static str) -> Result<Reply, Error> {
    ok(&Message { message: text })
}

/// The body of answers that only say that something was done.
#[derive(Debug, Serialize)]
pub struct Message {
    /// What was done.
    pub message: &'static str,
}

/// An answer with bytes of a given type.
#[must_use]
pub fn bytes_reply(status: StatusCode, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// A problem document (RFC 9457). `error` repeats `detail` for clients of the older API.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// The answer to a failed request.
#[must_use]
pub fn problem(error: &Error, request_id: &str) -> Reply {
    let problem = Problem {
        r#type: "about:blank",
        title: error.status.canonical_reason().unwrap_or("Error"),
        status: error.status.as_u16(),
        detail: &error.detail,
        code: error.code,
        request_id,
        error: &error.detail,
        errors: &error.errors,
    };
    // A struct of strings and numbers always serialises.
    let bytes = serde_json::to_vec(&problem).unwrap_or_default();
    let mut reply = bytes_reply(error.status, "application/problem+json", bytes.into());
    let headers = reply.headers_mut();
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(challenge) = error.challenge {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(allow) = error.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    reply
}

/// Sets the headers that protect an answer (OWASP's REST recommendations), unless its handler chose others. Nothing is
/// cached unless a handler allows it.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The answer to HEAD: what GET would have answered, but for the body (RFC 9110, section 9.3.2). Answers that never have
/// one tell no length of it (section 8.6).
#[must_use]
pub fn without_body(mut reply: Reply) -> Reply {
    let body = std::mem::take(reply.body_mut());
    if matches!(reply.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return reply;
    }
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        reply.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    reply
}
