//! The blobs: bytes under keys that the server makes, streamed in and out; and the presigned URLs by which clients send
//! and fetch them themselves.

use std::fmt;

use async_trait::async_trait;
use http::HeaderMap;

use crate::http::body::Body;
use crate::time::Timestamp;

/// Where bytes are kept.
#[async_trait]
pub trait Blobs: fmt::Debug + Send + Sync + 'static {
    /// Stores a body whole, in place of whatever is there; or only if nothing is, if the terms say so.
    ///
    /// # Behavior
    /// - Streams: memory does not grow with the body.
    /// - All or nothing: until it returns, a reader sees what was there before; a body that breaks off, is longer than
    ///   `terms.max_length`, or is not what `terms.length` and `terms.sha256` say, leaves nothing behind.
    /// - Acknowledged means durable.
    ///
    /// # Errors
    /// `TooLarge`, `Mismatch`, `Interrupted` for what is wrong with the body; `Exists`; `Unavailable`.
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError>;

    /// Reads a blob, whole or a range of it that lies within; `None` if there is none.
    ///
    /// # Behavior
    /// The bytes are those of one `put`, even if another replaces or deletes it meanwhile.
    ///
    /// # Errors
    /// `OutOfRange` for a range that does not lie within the blob; `Unavailable`.
    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError>;

    /// Tells what a blob is, without its bytes; `None` if there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError>;

    /// Removes a blob; that there is none is no failure.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;
}

/// Makes the URLs that an object store answers.
#[async_trait]
pub trait Presigner: fmt::Debug + Send + Sync + 'static {
    /// A URL to which a client may `PUT` the blob itself until it expires: in just this length, type and hash, and only
    /// as long as there is none.
    ///
    /// # Errors
    /// `Unavailable` when the URL cannot be made.
    async fn presign_put(
        &self,
        key: &BlobKey,
        terms: &PresignedPutTerms,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError>;

    /// A URL from which anybody who has it may `GET` the blob until it expires, with this type and disposition.
    ///
    /// # Errors
    /// `Unavailable` when the URL cannot be made.
    async fn presign_get(
        &self,
        key: &BlobKey,
        answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError>;
}

/// A blob's address: `files/<owner>/<ulid>/<safe name>`, made by the server alone. It holds letters, digits, `.`, `_`,
/// `-` and `/` only, no part of it is empty, `.` or `..`, and it is at most 512 bytes long.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// A key of this text, if it can be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let part = |part: &str| {
            !part.is_empty() && part.len() <= 200 && part.bytes().all(allowed) && !matches!(part, "." | "..")
        };
        (text.len() <= 512 && text.split('/').all(part)).then(|| Self(text.to_owned()))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a body must be to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutTerms {
    /// Its media type.
    pub content_type: String,
    /// The most bytes it may have.
    pub max_length: u64,
    /// Exactly how many bytes it has, if that is known.
    pub length: Option<u64>,
    /// Its SHA-256, if that is known.
    pub sha256: Option<[u8; 32]>,
    /// Whether it must be the first under its key: of several that are, one is stored.
    pub only_if_absent: bool,
}

impl PutTerms {
    /// Any body of a type, up to a length, in place of whatever is there.
    pub fn up_to(max_length: u64, content_type: impl Into<String>) -> Self {
        let content_type = content_type.into();
        Self { content_type, max_length, length: None, sha256: None, only_if_absent: false }
    }
}

/// What a blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its length in bytes.
    pub length: u64,
    /// Its media type.
    pub content_type: String,
    /// Its SHA-256, if the store knows it.
    pub sha256: Option<[u8; 32]>,
}

/// A blob, or the range of it that was asked for.
#[derive(Debug)]
pub struct Blob {
    /// What the whole blob is.
    pub info: BlobInfo,
    /// The bytes asked for.
    pub body: Body,
}

/// Bytes `first..=last` of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, included.
    pub last: u64,
}

/// What a client must send to a presigned URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedPutTerms {
    /// `Content-Length`.
    pub length: u64,
    /// `Content-Type`.
    pub content_type: String,
    /// The body's SHA-256, if the client told it.
    pub sha256: Option<[u8; 32]>,
}

/// How a presigned download is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedGetAnswer {
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Disposition`.
    pub content_disposition: String,
}

/// A request that a client may make without further credentials. Its `Debug` does not show the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Presigned {
    /// `PUT` or `GET`.
    pub method: &'static str,
    /// The URL, absolute; or, when only the host can tell where it is reached, from the path on.
    pub url: String,
    /// Headers that the client must send just so.
    pub headers: HeaderMap,
    /// When the URL stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Presigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presigned").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why blobs did not do what they were asked, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobErrorKind {
    /// The body is longer than it may be.
    TooLarge,
    /// The body has another length or hash than it should.
    Mismatch,
    /// The body broke off.
    Interrupted,
    /// There is a blob already, where there must be none.
    Exists,
    /// The range does not lie within the blob.
    OutOfRange,
    /// The backend cannot be reached, is full, or did not answer in time.
    Unavailable,
}

/// A failure of [`Blobs`]: its kind for the caller, its detail for the log.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?}: {detail}")]
pub struct BlobError {
    /// What the caller can act on.
    pub kind: BlobErrorKind,
    /// What happened, for operators.
    pub detail: String,
    /// The backend's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BlobError {
    /// A failure without an underlying error.
    pub fn new(kind: BlobErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None }
    }

    /// Adds the backend's own error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
