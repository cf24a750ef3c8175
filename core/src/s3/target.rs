//! What a put is to make, and what became of it.

use super::{
    bucket::Bucket,
    failure,
    get::{self, HASH, MARK},
    request::Description,
};
use crate::{
    aws::failure::Failure,
    ports::{
        blobs::{BlobError, BlobErrorKind, BlobKey, PutTerms},
        blobs_ext::exists,
    },
};

/// What a put is to make.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) bucket: Bucket,
    pub(super) key: BlobKey,
    pub(super) terms: PutTerms,
    /// By which the object will be known for this put's.
    mark: String,
}

impl Target {
    pub(super) fn new(bucket: &Bucket, key: &BlobKey, terms: &PutTerms) -> Result<Self, BlobError> {
        let mut mark = [0; 16];
        bucket.entropy.fill(&mut mark).map_err(|error| {
            BlobError::new(BlobErrorKind::Unavailable, "no mark for an object").caused_by(error)
        })?;
        let mark = base16ct::lower::encode_string(&mark);
        Ok(Self { bucket: bucket.clone(), key: key.clone(), terms: terms.clone(), mark })
    }

    /// What the object will be known as.
    pub(super) fn description(&self, sha256: Option<&[u8; 32]>) -> Description {
        let mut metadata = vec![(MARK, self.mark.clone())];
        metadata.extend(sha256.map(|hash| (HASH, base16ct::lower::encode_string(hash))));
        Description { content_type: self.terms.content_type.clone(), metadata }
    }

    /// Finds out what became of a put that was refused or not answered. Whatever looks like a refusal may be the answer
    /// to the second attempt of a request whose first was done.
    pub(super) async fn settle(&self, what: &'static str, failure: Failure) -> Result<(), BlobError> {
        let refused = matches!(failure.status, Some(409 | 412));
        match get::head(&self.bucket, &self.key).await {
            Ok(Some(found)) if found.mark.as_ref() == Some(&self.mark) => Ok(()),
            Ok(Some(_)) if refused => Err(exists()),
            _ if failure.status == Some(412) => Err(exists()),
            _ => Err(failure::of(what, failure)),
        }
    }
}
