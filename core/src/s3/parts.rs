//! Uploads in parts. One that is not completed is aborted, whatever became of whoever began it.

use bytes::Bytes;
use futures::{channel::oneshot, future::try_join};

use super::{
    bucket::another_answer,
    client::Answer,
    failure, get,
    incoming::Incoming,
    request::{CompletedPart, Operation},
    target::Target,
};
use crate::ports::{
    blobs::{BlobError, BlobErrorKind, BlobInfo},
    blobs_ext::exists,
};

/// The length of a part; what is no longer goes at once.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// How many parts an object may have.
const MAX_PARTS: usize = 10_000;

/// After how many parts of a body of unknown length they become longer, so that the longest object (5 TiB) has not too
/// many.
const PARTS_OF_A_LENGTH: usize = 75;

/// How often an upload is aborted that cannot be.
const ABORTS: u64 = 3;

pub(super) async fn put(target: Target, first: Bytes, incoming: Incoming) -> Result<BlobInfo, BlobError> {
    // Told before all of the body comes, though only the completion decides.
    if target.terms.only_if_absent && get::head(&target.bucket, &target.key).await?.is_some() {
        return Err(exists());
    }
    let mut upload = begin(target).await?;
    let outcome = match upload.fill(first, incoming).await {
        Ok(info) => upload.complete().await.map(|()| info),
        Err(error) => Err(error),
    };
    upload.close(outcome.is_ok()).await;
    outcome
}

/// Begins an upload in the background, where its name is learned, and it is aborted, also if nobody waits for it any
/// more.
async fn begin(target: Target) -> Result<Upload, BlobError> {
    let (begun, upload) = oneshot::channel();
    let background = target.bucket.background.clone();
    background.spawn(Box::pin(async move {
        // What nobody takes is dropped, and thereby aborted.
        let _ = begun.send(Upload::begin(target).await);
    }));
    upload.await.unwrap_or_else(|error| {
        Err(BlobError::new(BlobErrorKind::Unavailable, "an upload's beginning ended early").caused_by(error))
    })
}

/// The length of a part behind the first, which is number 0 and short whatever follows.
fn part_bytes(number: usize, length: Option<u64>) -> usize {
    let needed = match length {
        Some(length) => usize::try_from(length.div_ceil(MAX_PARTS as u64 - 1)).unwrap_or(usize::MAX),
        None => PART_BYTES.saturating_mul(1 + number / PARTS_OF_A_LENGTH),
    };
    needed.max(PART_BYTES)
}

/// An upload in parts. Dropped while it is open, it is aborted.
struct Upload {
    target: Target,
    id: String,
    parts: Vec<CompletedPart>,
    is_open: bool,
}

impl Upload {
    async fn begin(target: Target) -> Result<Self, BlobError> {
        const WHAT: &str = "an upload cannot be begun";
        let description = target.description(target.terms.sha256.as_ref());
        match target.bucket.send(&target.key, Operation::CreateMultipartUpload { description }).await {
            Ok(Answer::Upload(id)) => Ok(Self { target, id, parts: Vec::new(), is_open: true }),
            Ok(_) => Err(another_answer(WHAT)),
            Err(failure) => Err(failure::of(WHAT, failure)),
        }
    }

    /// Sends each part while the next is received.
    async fn fill(&mut self, first: Bytes, mut incoming: Incoming) -> Result<BlobInfo, BlobError> {
        let mut part = first;
        while !part.is_empty() {
            let size = part_bytes(self.parts.len() + 1, self.target.terms.length);
            let (sent, next) = try_join(self.send(part), incoming.part(size)).await?;
            self.parts.push(sent);
            part = next;
        }
        incoming.finish()
    }

    async fn send(&self, body: Bytes) -> Result<CompletedPart, BlobError> {
        const WHAT: &str = "a part of an object cannot be written";
        let number = self.parts.len() + 1;
        if number > MAX_PARTS {
            let detail = "an object store takes no body that long";
            return Err(BlobError::new(BlobErrorKind::TooLarge, detail));
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let operation = Operation::UploadPart { upload_id: self.id.clone(), number, body };
        match self.target.bucket.send(&self.target.key, operation).await {
            Ok(Answer::Part(e_tag)) => Ok(CompletedPart { number, e_tag }),
            Ok(_) => Err(another_answer(WHAT)),
            Err(failure) => Err(failure::of(WHAT, failure)),
        }
    }

    async fn complete(&self) -> Result<(), BlobError> {
        let operation = Operation::CompleteMultipartUpload {
            upload_id: self.id.clone(),
            parts: self.parts.clone(),
            only_if_absent: self.target.terms.only_if_absent,
        };
        match self.target.bucket.send(&self.target.key, operation).await {
            Ok(_) => Ok(()),
            Err(failure) => self.target.settle("an object cannot be put together", failure).await,
        }
    }

    async fn close(&mut self, is_complete: bool) {
        if !is_complete {
            abort(&self.target, &self.id).await;
        }
        self.is_open = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_open {
            let (target, id) = (self.target.clone(), self.id.clone());
            let background = target.bucket.background.clone();
            background.spawn(Box::pin(async move { abort(&target, &id).await }));
        }
    }
}

/// Removes what has come of an upload.
async fn abort(target: &Target, id: &str) {
    let Target { bucket, key, .. } = target;
    for attempt in 1..=ABORTS {
        let operation = Operation::AbortMultipartUpload { upload_id: id.to_owned() };
        match bucket.send(key, operation).await {
            Err(failure) if !failure.is("NoSuchUpload") => {
                let error = failure::of("an upload cannot be aborted", failure);
                tracing::warn!(%key, %error, attempt, "parts of an object may be left over in the bucket");
            }
            _ => return,
        }
        bucket.clock.sleep(attempt * 1000).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIB: u64 = 1 << 40;

    #[test]
    fn the_longest_object_has_not_too_many_parts() {
        let unknown: u64 = (0..MAX_PARTS).map(|number| part_bytes(number, None) as u64).sum();
        assert!(unknown >= 5 * TIB, "{unknown}");
        for length in [1, 5 << 30, 80 << 30, TIB, 5 * TIB] {
            let part = part_bytes(1, Some(length)) as u64;
            assert!(PART_BYTES as u64 + part * (MAX_PARTS as u64 - 1) >= length, "{length}: {part}");
            assert!(part == PART_BYTES as u64 || length > 78 << 30, "{length}: {part}");
        }
        // S3's limit of a part.
        assert!(part_bytes(MAX_PARTS - 1, None) < 5 << 30);
    }
}
