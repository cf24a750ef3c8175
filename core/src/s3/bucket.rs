//! A bucket, and the other ports that working with it takes.

use std::sync::Arc;

use super::{
    client::{Answer, S3Client},
    failure,
    request::{Operation, Request},
};
use crate::{
    aws::failure::Failure,
    ports::{
        background::Background,
        blobs::{BlobError, BlobKey},
        clock::Clock,
        entropy::Entropy,
    },
};

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) client: Arc<dyn S3Client>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) background: Arc<dyn Background>,
}

impl Bucket {
    pub(super) async fn send(&self, key: &BlobKey, operation: Operation) -> Result<Answer, Failure> {
        self.client.send(&Request { key: key.clone(), operation }).await
    }
}

/// The failure of a client that does not keep to its contract.
pub(super) fn another_answer(what: &'static str) -> BlobError {
    failure::of(what, Failure::unanswered("the client answered another operation than was asked"))
}
