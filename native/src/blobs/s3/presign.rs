//! URLs by which clients send and fetch objects themselves. What they may do is signed: every header that they must send
//! is told them, and no other is wanted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_smithy_types::base64;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use portico_core::ports::blobs::{
    BlobError, BlobErrorKind, BlobKey, Presigned, PresignedGetAnswer, PresignedPutTerms,
};
use portico_core::time::Timestamp;

use super::{S3Blobs, failure};

/// The longest that a URL works, whatever was asked for.
const MAX_SECONDS: u64 = 15 * 60;

pub(super) async fn put(
    blobs: &S3Blobs,
    key: &BlobKey,
    terms: &PresignedPutTerms,
    expires_at: Timestamp,
) -> Result<Presigned, BlobError> {
    let period = Period::until(blobs, expires_at)?;
    let length = i64::try_from(terms.length).map_err(unpresentable)?;
    let request = blobs.client.put_object().bucket(&blobs.bucket).key(key.as_str());
    let request = request
        .content_length(length)
        .content_type(&terms.content_type)
        .if_none_match("*")
        .set_checksum_sha256(terms.sha256.map(base64::encode));
    let signed = request.presigned(period.config()?).await;
    period.presigned("PUT", &signed.map_err(|error| failure::of("an upload URL cannot be made", error))?)
}

pub(super) async fn get(
    blobs: &S3Blobs,
    key: &BlobKey,
    answer: &PresignedGetAnswer,
    expires_at: Timestamp,
) -> Result<Presigned, BlobError> {
    let period = Period::until(blobs, expires_at)?;
    let request = blobs.client.get_object().bucket(&blobs.bucket).key(key.as_str());
    let request = request
        .response_content_type(&answer.content_type)
        .response_content_disposition(&answer.content_disposition);
    let signed = request.presigned(period.config()?).await;
    period.presigned("GET", &signed.map_err(|error| failure::of("a download URL cannot be made", error))?)
}

/// From when to when a URL works: whole seconds, as the signature counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    start: u64,
    seconds: u64,
}

impl Period {
    fn until(blobs: &S3Blobs, expires_at: Timestamp) -> Result<Self, BlobError> {
        let time = blobs.client.config().time_source();
        let now = time.map_or_else(SystemTime::now, |source| source.now());
        let start = now.duration_since(UNIX_EPOCH).map_err(unpresentable)?.as_secs();
        Self::between(start, expires_at)
    }

    fn between(start: u64, expires_at: Timestamp) -> Result<Self, BlobError> {
        let end = u64::try_from(expires_at.as_seconds()).unwrap_or_default();
        match end.saturating_sub(start).min(MAX_SECONDS) {
            0 => Err(BlobError::new(BlobErrorKind::Unavailable, "the URL would have expired already")),
            seconds => Ok(Self { start, seconds }),
        }
    }

    fn config(self) -> Result<PresigningConfig, BlobError> {
        let builder = PresigningConfig::builder().start_time(UNIX_EPOCH + Duration::from_secs(self.start));
        builder.expires_in(Duration::from_secs(self.seconds)).build().map_err(unpresentable)
    }

    fn presigned(self, method: &'static str, request: &PresignedRequest) -> Result<Presigned, BlobError> {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            let name = HeaderName::try_from(name).map_err(unpresentable)?;
            headers.append(name, HeaderValue::try_from(value).map_err(unpresentable)?);
        }
        // The URL says it.
        headers.remove(HOST);
        let end = i64::try_from(self.start + self.seconds).map_err(unpresentable)?;
        let expires_at = Timestamp::default().plus_seconds(end);
        Ok(Presigned { method, url: request.uri().to_owned(), headers, expires_at })
    }
}

fn unpresentable(error: impl std::error::Error + Send + Sync + 'static) -> BlobError {
    BlobError::new(BlobErrorKind::Unavailable, "a URL cannot be made of this").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_works_until_then_but_a_quarter_of_an_hour_at_most() {
        let seconds =
            |millis| Period::between(1000, Timestamp::from_millis(millis)).map(|period| period.seconds);
        for (millis, expected) in [(1_001_000, 1), (1_060_999, 60), (1_900_000, 900), (9_000_000, 900)] {
            assert_eq!(seconds(millis).unwrap(), expected, "{millis}");
        }
        for millis in [1_000_999, 1_000_000, 0, -5000] {
            assert_eq!(seconds(millis).unwrap_err().kind, BlobErrorKind::Unavailable, "{millis}");
        }
    }
}
