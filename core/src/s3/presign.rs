//! URLs by which clients send and fetch objects themselves. What they may do is signed: every header that they must send
//! is told them, and no other is wanted.

use http::header::HOST;

use super::{
    bucket::Bucket,
    client::Signed,
    failure,
    request::{Period, Presignable},
};
use crate::{
    ports::blobs::{BlobError, BlobErrorKind, BlobKey, Presigned, PresignedGetAnswer, PresignedPutTerms},
    time::Timestamp,
};

/// The longest that a URL works, whatever was asked for.
const MAX_SECONDS: u64 = 15 * 60;

pub(super) async fn put(
    bucket: &Bucket,
    key: &BlobKey,
    terms: &PresignedPutTerms,
    expires_at: Timestamp,
) -> Result<Presigned, BlobError> {
    let period = Period::between(bucket.clock.now(), expires_at)?;
    let signed = bucket.client.presign(key, &Presignable::PutObject(terms.clone()), period).await;
    Ok(period
        .presigned("PUT", signed.map_err(|failure| failure::of("an upload URL cannot be made", failure))?))
}

pub(super) async fn get(
    bucket: &Bucket,
    key: &BlobKey,
    answer: &PresignedGetAnswer,
    expires_at: Timestamp,
) -> Result<Presigned, BlobError> {
    let period = Period::between(bucket.clock.now(), expires_at)?;
    let signed = bucket.client.presign(key, &Presignable::GetObject(answer.clone()), period).await;
    Ok(period
        .presigned("GET", signed.map_err(|failure| failure::of("a download URL cannot be made", failure))?))
}

impl Period {
    fn between(now: Timestamp, expires_at: Timestamp) -> Result<Self, BlobError> {
        let seconds = |time: Timestamp| u64::try_from(time.as_seconds()).unwrap_or_default();
        let start = seconds(now);
        match seconds(expires_at).saturating_sub(start).min(MAX_SECONDS) {
            0 => Err(BlobError::new(BlobErrorKind::Unavailable, "the URL would have expired already")),
            seconds => Ok(Self { start, seconds }),
        }
    }

    fn presigned(self, method: &'static str, signed: Signed) -> Presigned {
        let Signed { url, mut headers } = signed;
        // The URL says it.
        headers.remove(HOST);
        let end = i64::try_from(self.start + self.seconds).unwrap_or(i64::MAX);
        Presigned { method, url, headers, expires_at: Timestamp::default().plus_seconds(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_works_until_then_but_a_quarter_of_an_hour_at_most() {
        let now = Timestamp::from_millis(1_000_999);
        let seconds =
            |millis| Period::between(now, Timestamp::from_millis(millis)).map(|period| period.seconds);
        for (millis, expected) in [(1_001_000, 1), (1_060_999, 60), (1_900_000, 900), (9_000_000, 900)] {
            assert_eq!(seconds(millis).unwrap(), expected, "{millis}");
        }
        for millis in [1_000_999, 1_000_000, 0, -5000] {
            assert_eq!(seconds(millis).unwrap_err().kind, BlobErrorKind::Unavailable, "{millis}");
        }
    }
}
