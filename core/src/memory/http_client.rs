//! Outbound HTTP answered by a function.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::http::body::Body;
use crate::ports::http_client::{HttpClient, HttpError};

type Answer = dyn Fn(http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> + Send + Sync;

/// Answers requests by a function instead of a network.
pub struct MemoryHttpClient {
    answer: Box<Answer>,
}

impl MemoryHttpClient {
    /// A client whose every request is answered by `answer`.
    pub fn new(
        answer: impl Fn(http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Box::new(answer) }
    }

    /// A client that reaches nothing.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::new(|_| Err(HttpError("there is no network".to_owned())))
    }
}

impl fmt::Debug for MemoryHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryHttpClient")
    }
}

#[async_trait]
impl HttpClient for MemoryHttpClient {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        (self.answer)(request)
    }

    async fn stream(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        (self.answer)(request).map(|answer| answer.map(Body::from))
    }
}
