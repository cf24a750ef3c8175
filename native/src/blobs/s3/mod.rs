//! S3 through Amazon's SDK: core's requests as the SDK's, and its answers as core's.
//!
//! The SDK tries again what passes; what failures mean and what to do about them is core's to decide
//! ([`portico_core::s3`]).
//!
//! - [`objects`]: the operations on objects · [`uploads`]: those on uploads in parts · [`presign`]: URLs for clients
//! - [`prepare`]: the bucket itself · [`failure`]: what the SDK makes of refusals and broken connections

mod failure;
mod objects;
mod prepare;
mod presign;
mod uploads;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{self, RequestChecksumCalculation};
use aws_sdk_s3::{Client, Config};
use portico_core::aws::failure::Failure;
use portico_core::ports::blobs::{BlobError, BlobKey};
use portico_core::s3::client::{Answer, S3Client, Signed};
use portico_core::s3::request::{Operation, Period, Presignable, Request};

/// How often a request is sent, the first time included.
const ATTEMPTS: u32 = 3;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for an answer to a request without a body.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest first pause; the second is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The slowest upload that is waited for.
const SLOWEST_BYTES_PER_SECOND: u64 = 128 * 1024;

/// Sends requests to a bucket by Amazon's SDK.
#[derive(Clone)]
pub struct SdkClient {
    client: Client,
    bucket: String,
}

impl SdkClient {
    /// A client of a bucket; connects to nothing. `path_style` puts the bucket's name into the path of URLs instead of
    /// the host, as most stand-ins for S3 need it.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: String, path_style: bool) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_PAUSE);
        let config = config::Builder::from(config)
            .force_path_style(path_style)
            .retry_config(retries)
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

/// Settings of a request with a body of so many bytes.
fn patient(length: usize) -> config::Builder {
    Config::builder().timeout_config(timeouts(length as u64))
}

#[async_trait]
impl S3Client for SdkClient {
    async fn send(&self, Request { key, operation }: &Request) -> Result<Answer, Failure> {
        match operation {
            Operation::HeadObject => objects::head(self, key).await,
            Operation::GetObject { range } => objects::get(self, key, *range).await,
            Operation::PutObject { description, body, sha256, only_if_absent } => {
                objects::put(self, key, description, body, sha256.as_ref(), *only_if_absent).await
            }
            Operation::DeleteObject => objects::delete(self, key).await,
            Operation::CreateMultipartUpload { description } => uploads::create(self, key, description).await,
            Operation::UploadPart { upload_id, number, body } => {
                uploads::send(self, key, upload_id, *number, body).await
            }
            Operation::CompleteMultipartUpload { upload_id, parts, only_if_absent } => {
                uploads::complete(self, key, upload_id, parts, *only_if_absent).await
            }
            Operation::AbortMultipartUpload { upload_id } => uploads::abort(self, key, upload_id).await,
        }
    }

    async fn presign(&self, key: &BlobKey, request: &Presignable, period: Period) -> Result<Signed, Failure> {
        presign::presign(self, key, request, period).await
    }
}

/// The condition of a request that wants no object there.
fn if_none_match(only_if_absent: bool) -> Option<String> {
    only_if_absent.then(|| "*".to_owned())
}

impl fmt::Debug for SdkClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkClient").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
