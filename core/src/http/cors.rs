//! Cross-origin requests (the Fetch standard's CORS protocol).
//!
//! Credentials are never allowed: the API takes bearer tokens, not cookies, so that a wildcard origin gives
//! nothing away.

use http::header::{self, HeaderMap, HeaderValue};

use super::body::Body;
use super::reply::{Reply, bytes_reply};
use crate::config::AllowedOrigins;

/// The headers of ours that a page's script may read.
const EXPOSED: &str = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, ETag, \
                       Content-Disposition, Content-Range, Accept-Ranges, Idempotency-Replayed, Location";

/// Lets the asking page's script read the answer, if its origin is allowed.
pub fn allow(origins: &AllowedOrigins, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let AllowedOrigins::List(_) = origins {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(allowed) = origin.and_then(|origin| origins.allow(origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

/// Answers an `OPTIONS` request for a path with these methods.
#[must_use]
pub fn preflight(methods: &str) -> Reply {
    let mut reply = bytes_reply(http::StatusCode::NO_CONTENT, "text/plain", Body::empty());
    let headers = reply.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(header::ALLOW, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Range, X-Request-Id",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    reply
}

impl AllowedOrigins {
    /// The value of `Access-Control-Allow-Origin` for an origin, if it is allowed.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::List(origins) => {
                origins.iter().any(|allowed| origin == allowed.as_str()).then(|| origin.clone())
            }
        }
    }
}
