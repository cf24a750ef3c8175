//! The port to S3: a request about an object out, an answer in.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use http::HeaderMap;

use super::request::{Period, Presignable, Request};
use crate::{aws::failure::Failure, http::body::Body, ports::blobs::BlobKey};

/// Sends requests to a bucket of S3.
#[async_trait]
pub trait S3Client: fmt::Debug + Send + Sync + 'static {
    /// Sends a request until there is an answer, a failure that does not pass, or no time left.
    ///
    /// # Behavior
    /// - Tries what passes again, and waits between attempts: a request may have been done though an answer to it is a
    ///   refusal.
    /// - Returns within a bounded time, which may grow with the request's body.
    /// - Answers with the variant of [`Answer`] that stands beside the operation there.
    /// - An error in the body of an answer with a good status is a failure.
    ///
    /// # Errors
    /// [`Failure`] when S3 refuses, or there is no answer that can be understood.
    async fn send(&self, request: &Request) -> Result<Answer, Failure>;

    /// Signs a request that somebody else will make; sends nothing.
    ///
    /// # Behavior
    /// Signs all that [`Presignable`] names, and nothing that is not told to whoever makes the request.
    ///
    /// # Errors
    /// [`Failure`] when there are no credentials, or no such request can be made.
    async fn presign(&self, key: &BlobKey, request: &Presignable, period: Period) -> Result<Signed, Failure>;
}

/// What S3 answers.
#[derive(Debug)]
pub enum Answer {
    /// It is done: to `PutObject`, `DeleteObject`, `CompleteMultipartUpload`, `AbortMultipartUpload`.
    Done,
    /// To `HeadObject`.
    Object(Object),
    /// To `GetObject`.
    Content {
        /// What the object is; its length and checksum are those of what was asked for.
        object: Object,
        /// `Content-Range`.
        content_range: Option<String>,
        /// The bytes, as they come.
        body: Body,
    },
    /// To `CreateMultipartUpload`: the upload's name.
    Upload(String),
    /// To `UploadPart`: its `ETag`.
    Part(String),
}

/// What the headers tell of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `x-amz-checksum-sha256`.
    pub checksum_sha256: Option<String>,
    /// `x-amz-meta-…`, without that; names in lower case.
    pub metadata: HashMap<String, String>,
}

/// A signed request. Its `Debug` does not show the URL.
#[derive(Clone)]
pub struct Signed {
    /// The URL, absolute.
    pub url: String,
    /// The headers that are signed, but for those that the URL tells.
    pub headers: HeaderMap,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}
