//! Outbound HTTP: request bytes out, response bytes in, at once or as they come.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::http::body::Body;

/// Makes HTTP requests to other services.
#[async_trait]
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends a request and reads the whole answer.
    ///
    /// # Behavior
    /// - Any status is `Ok`; redirects are not followed.
    /// - Returns within a bounded time, and reads at most [`MAX_ANSWER_BYTES`].
    ///
    /// # Errors
    /// [`HttpError`] when there is no whole answer.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError>;

    /// Sends a request and reads the answer's head; its body follows as it is asked for, however long it is.
    ///
    /// # Behavior
    /// - Any status is `Ok`; redirects are not followed.
    /// - Returns within a bounded time. The body breaks off when it does not go on for as long, and when it ends before
    ///   its announced length.
    ///
    /// # Errors
    /// [`HttpError`] when there is no head.
    async fn stream(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError>;
}

/// The longest answer that an [`HttpClient`] reads, in bytes.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// No answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(pub String);
