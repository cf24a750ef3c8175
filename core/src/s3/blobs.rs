//! Blobs in a bucket of S3, or of whatever speaks its language.
//!
//! # How they are kept
//! A blob is the object of its key. Its type is the object's; its SHA-256 is the object's checksum and stands in its
//! metadata, but for bodies of several parts whose hash nobody knew beforehand: of those `put` alone tells it. Each put
//! leaves a mark of its own on the object, by which a put whose answer was lost finds out whether it was done.
//!
//! No body is ever held but for two parts of it. What no answer ever told of, an upload in parts that this program died
//! in, a lifecycle rule of the bucket should clear away (`AbortIncompleteMultipartUpload`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{bucket::Bucket, client::S3Client, failure, get, presign, put, request::Operation};
use crate::{
    http::body::Body,
    ports::{
        background::Background,
        blobs::{
            Blob, BlobError, BlobInfo, BlobKey, Blobs, ByteRange, Presigned, PresignedGetAnswer,
            PresignedPutTerms, Presigner, PutTerms,
        },
        clock::Clock,
        entropy::Entropy,
    },
    time::Timestamp,
};

/// Blobs in a bucket.
#[derive(Clone, Debug)]
pub struct S3Blobs(Bucket);

impl S3Blobs {
    /// The blobs of the client's bucket. What was begun and is of no use is cleared away in the background.
    #[must_use]
    pub fn new(
        client: Arc<dyn S3Client>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        background: Arc<dyn Background>,
    ) -> Self {
        Self(Bucket { client, clock, entropy, background })
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        put::put(&self.0, key, terms, body).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        get::get(&self.0, key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        Ok(get::head(&self.0, key).await?.map(|found| found.info))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let answer = self.0.send(key, Operation::DeleteObject).await;
        answer.map(drop).map_err(|failure| failure::of("an object cannot be removed", failure))
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
        presign::put(&self.0, key, terms, expires_at).await
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        presign::get(&self.0, key, answer, expires_at).await
    }
}
