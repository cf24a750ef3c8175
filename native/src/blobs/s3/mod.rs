//! Blobs in a bucket of S3, or of whatever speaks its language.
//!
//! # How they are kept
//! A blob is the object of its key. Its type is the object's; its SHA-256 is the object's checksum and stands in its
//! metadata, but for bodies of several parts whose hash nobody knew beforehand: of those `put` alone tells it. Each put
//! leaves a mark of its own on the object, by which a put whose answer was lost finds out whether it was done.
//!
//! No body is ever held but for two parts of it. What no answer ever told of, an upload in parts that this program died
//! in, a lifecycle rule of the bucket should clear away (`AbortIncompleteMultipartUpload`).

mod failure;
mod get;
mod parts;
mod prepare;
mod presign;
mod put;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{self, RequestChecksumCalculation};
use portico_core::http::body::Body;
use portico_core::ports::blobs::{
    Blob, BlobError, BlobInfo, BlobKey, Blobs, ByteRange, Presigned, PresignedGetAnswer, PresignedPutTerms,
    Presigner, PutTerms,
};
use portico_core::time::Timestamp;

/// How often a request is sent, the first time included.
const ATTEMPTS: u32 = 3;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for an answer to a request without a body.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The slowest upload that is waited for.
const SLOWEST_BYTES_PER_SECOND: u64 = 128 * 1024;

/// Blobs in a bucket.
#[derive(Clone)]
pub struct S3Blobs {
    client: Client,
    bucket: String,
}

impl S3Blobs {
    /// The blobs of a bucket; connects to nothing. `path_style` puts the bucket's name into the path of URLs instead of
    /// the host, as most stand-ins for S3 need it.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: String, path_style: bool) -> Self {
        let config = config::Builder::from(config)
            .force_path_style(path_style)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts(0))
            // The signature covers every body already; and what is presigned must want no header that is not told.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), bucket }
    }

    /// Whether the bucket is there. Changes nothing.
    ///
    /// # Errors
    /// `Unavailable`, saying what the operator has to change.
    pub async fn has_bucket(&self) -> Result<bool, BlobError> {
        prepare::has_bucket(self).await
    }

    /// Sees to it that the bucket is there, and creates it if it is not.
    ///
    /// # Errors
    /// `Unavailable`, saying what the operator has to change.
    pub async fn prepare(&self) -> Result<(), BlobError> {
        prepare::prepare(self).await
    }
}

/// The timeouts of a request with a body of so many bytes.
fn timeouts(length: u64) -> TimeoutConfig {
    let attempt = ATTEMPT_TIMEOUT + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * ATTEMPTS)
        .build()
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        put::put(self, key, terms, body).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        get::get(self, key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        Ok(get::head(self, key).await?.map(|found| found.info))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key.as_str());
        request.send().await.map(drop).map_err(|error| failure::of("an object cannot be removed", error))
    }
}

#[async_trait]
impl Presigner for S3Blobs {
    async fn presign_put(
        &self,
        key: &BlobKey,
        terms: &PresignedPutTerms,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        presign::put(self, key, terms, expires_at).await
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        presign::get(self, key, answer, expires_at).await
    }
}

impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Blobs").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
