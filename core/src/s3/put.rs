//! An object on its way in: at once if it is short, else in parts, one sent while the next is received.

use bytes::Bytes;

use super::{
    bucket::Bucket,
    incoming::Incoming,
    parts::{self, PART_BYTES},
    request::Operation,
    target::Target,
};
use crate::{
    aws::failure::Failure,
    http::body::Body,
    ports::blobs::{BlobError, BlobInfo, BlobKey, PutTerms},
};

/// How long to wait before a put that met another one of the same key is tried again.
const PAUSES_MS: [u64; 4] = [50, 200, 500, 1000];

pub(super) async fn put(
    bucket: &Bucket,
    key: &BlobKey,
    terms: &PutTerms,
    body: Body,
) -> Result<BlobInfo, BlobError> {
    let mut incoming = Incoming::new(terms, body)?;
    let target = Target::new(bucket, key, terms)?;
    let first = incoming.part(PART_BYTES).await?;
    if incoming.has_ended() {
        put_at_once(&target, first, incoming.finish()?).await
    } else {
        parts::put(target, first, incoming).await
    }
}

async fn put_at_once(target: &Target, bytes: Bytes, info: BlobInfo) -> Result<BlobInfo, BlobError> {
    let mut pauses = PAUSES_MS.iter();
    loop {
        let Err(failure) = send(target, &bytes, &info).await else { return Ok(info) };
        match pauses.next() {
            // A conditional put that has met another one of the same key may be tried again.
            Some(pause) if failure.is("ConditionalRequestConflict") => {
                target.bucket.clock.sleep(*pause).await
            }
            _ => return target.settle("an object cannot be written", failure).await.map(|()| info),
        }
    }
}

async fn send(target: &Target, bytes: &Bytes, info: &BlobInfo) -> Result<(), Failure> {
    let operation = Operation::PutObject {
        description: target.description(info.sha256.as_ref()),
        body: bytes.clone(),
        sha256: info.sha256,
        only_if_absent: target.terms.only_if_absent,
    };
    target.bucket.send(&target.key, operation).await.map(drop)
}
