//! S3's REST protocol over HTTP.
//!
//! [`request`] makes requests of what core asks, [`answer`] reads what comes; here they are signed and sent, again if
//! that may help.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::pin::pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use portico_core::aws::budget::RetryBudget;
use portico_core::aws::failure::Failure;
use portico_core::aws::pacing::Pacing;
use portico_core::ports::blobs::BlobKey;
use portico_core::ports::http_client::HttpError;
use portico_core::s3::client::{Answer, S3Client, Signed};
use portico_core::s3::request::{Operation, Period, Presignable, Request};

use super::account::Account;
use super::sign::Signer;

/// How long a request without a body is tried, in milliseconds; the last attempt may end later.
const DEADLINE_MS: u64 = 5_000;

/// The longest that one attempt may take without a body, in milliseconds.
const ATTEMPT_MS: u64 = 4_000;

/// The slowest upload that is tried again.
const SLOWEST_BYTES_PER_MS: u64 = 1024;

/// Sends each request as a signed HTTP request.
#[derive(Debug)]
pub struct FetchClient {
    account: Account,
    signer: Signer,
    /// The bucket's URL, without a slash at its end.
    bucket_url: String,
    budget: RetryBudget,
}

impl FetchClient {
    /// A client of a bucket in the settings' region, or at the emulator that they name.
    #[must_use]
    pub fn new(account: Account, bucket: &str) -> Self {
        let signer = account.signer("s3", &account.settings.region);
        let bucket_url = request::bucket_url(&account.settings, bucket);
        Self { account, signer, bucket_url, budget: RetryBudget::default() }
    }

    /// Makes the bucket at an emulator, where none can be somebody else's; that there is one is no failure.
    ///
    /// # Errors
    /// [`Failure`] when it is refused, or there is no answer.
    pub async fn create_bucket(&self) -> Result<(), Failure> {
        let mut made =
            request::make_creation(&self.bucket_url, &self.account.settings.region).map_err(unmade)?;
        self.signer.sign(&mut made).map_err(unmade)?;
        let answer = self.account.http.send(made).await.map_err(unanswered)?;
        answer::of_creation(&answer)
    }

    /// One attempt, which is given up in time for another.
    async fn attempt(&self, request: &Request, allowance_ms: u64) -> Result<Answer, Failure> {
        let late = async { self.account.clock.sleep(ATTEMPT_MS + allowance_ms).await };
        match select(pin!(self.exchange(request)), pin!(late)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), _)) => Err(Failure::unanswered("no answer in time")),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let signed = self.signed(request)?;
        let operation = &request.operation;
        if let Operation::GetObject { .. } = operation {
            return answer::content(self.account.http.stream(signed).await.map_err(unanswered)?).await;
        }
        answer::of(operation, &self.account.http.send(signed).await.map_err(unanswered)?)
    }

    fn signed(&self, request: &Request) -> Result<http::Request<Bytes>, Failure> {
        let mut made = request::make(&self.bucket_url, request).map_err(unmade)?;
        let signed = match &request.operation {
            Operation::PutObject { sha256: Some(hash), .. } => self.signer.sign_hashed(&mut made, hash),
            _ => self.signer.sign(&mut made),
        };
        signed.map_err(unmade)?;
        Ok(made)
    }
}

#[async_trait]
impl S3Client for FetchClient {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let length = match &request.operation {
            Operation::PutObject { body, .. } | Operation::UploadPart { body, .. } => body.len() as u64,
            _ => 0,
        };
        let Account { clock, entropy, .. } = &self.account;
        let allowance_ms = length / SLOWEST_BYTES_PER_MS;
        let pacing = Pacing::new(&**clock, &**entropy, DEADLINE_MS + allowance_ms).within(&self.budget);
        pacing.repeat(request.operation.name(), || self.attempt(request, allowance_ms)).await
    }

    async fn presign(&self, key: &BlobKey, request: &Presignable, period: Period) -> Result<Signed, Failure> {
        let made = request::make_presignable(&self.bucket_url, key, request).map_err(unmade)?;
        let (parts, ()) = made.into_parts();
        let headers = parts.headers.clone();
        let url = self.signer.presign(parts.method, parts.uri, parts.headers, period).map_err(unmade)?;
        Ok(Signed { url, headers })
    }
}

fn unanswered(error: HttpError) -> Failure {
    Failure::unanswered(error.to_string()).caused_by(error)
}

fn unmade(error: impl Error + Send + Sync + 'static) -> Failure {
    Failure::unmade(error.to_string()).caused_by(error)
}
