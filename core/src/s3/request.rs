//! The operations of S3 that blobs need, of one bucket. How a request is sent, the client knows.

use std::fmt;

use bytes::Bytes;

use crate::ports::blobs::{BlobKey, ByteRange, PresignedGetAnswer, PresignedPutTerms};

/// A request about one object. Its `Debug` shows no body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The object's key.
    pub key: BlobKey,
    /// What is asked.
    pub operation: Operation,
}

/// What is asked of an object.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// What the object is, with its checksum (`x-amz-checksum-mode: ENABLED`).
    HeadObject,
    /// Its bytes, or a range of them.
    GetObject {
        /// The range, of which the last byte may lie behind the end.
        range: Option<ByteRange>,
    },
    /// Stores it whole.
    PutObject {
        /// What it will be known as.
        description: Description,
        /// Its bytes.
        body: Bytes,
        /// Their SHA-256, which S3 compares and keeps.
        sha256: Option<[u8; 32]>,
        /// Whether there must be none (`If-None-Match: *`).
        only_if_absent: bool,
    },
    /// Removes it.
    DeleteObject,
    /// Begins an upload in parts.
    CreateMultipartUpload {
        /// What it will be known as.
        description: Description,
    },
    /// Sends a part.
    UploadPart {
        /// The upload's name.
        upload_id: String,
        /// The part's, from 1.
        number: u32,
        /// Its bytes.
        body: Bytes,
    },
    /// Puts the parts together.
    CompleteMultipartUpload {
        /// The upload's name.
        upload_id: String,
        /// All parts, in order.
        parts: Vec<CompletedPart>,
        /// Whether there must be no object (`If-None-Match: *`).
        only_if_absent: bool,
    },
    /// Forgets an upload and its parts.
    AbortMultipartUpload {
        /// The upload's name.
        upload_id: String,
    },
}

/// What an object is told to be, besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `Content-Type`.
    pub content_type: String,
    /// What stands in the headers `x-amz-meta-…`: names in lower case, values in ASCII.
    pub metadata: Vec<(&'static str, String)>,
}

/// A part that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub number: u32,
    /// How S3 knows its content.
    pub e_tag: String,
}

/// A request that somebody else will make, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presignable {
    /// `PUT` the object, only if there is none (`If-None-Match: *`); length, type and hash
    /// (`x-amz-checksum-sha256`) are headers.
    PutObject(PresignedPutTerms),
    /// `GET` the object; how it is answered stands in the query (`response-content-type`,
    /// `response-content-disposition`).
    GetObject(PresignedGetAnswer),
}

/// From when to when a presigned request may be made: whole seconds, as the signature counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The beginning, in seconds since the Unix epoch.
    pub start: u64,
    /// The length.
    pub seconds: u64,
}

impl Operation {
    /// Its name in S3's API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HeadObject => "HeadObject",
            Self::GetObject { .. } => "GetObject",
            Self::PutObject { .. } => "PutObject",
            Self::DeleteObject => "DeleteObject",
            Self::CreateMultipartUpload { .. } => "CreateMultipartUpload",
            Self::UploadPart { .. } => "UploadPart",
            Self::CompleteMultipartUpload { .. } => "CompleteMultipartUpload",
            Self::AbortMultipartUpload { .. } => "AbortMultipartUpload",
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.operation, self.key)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
