//! Uploads in parts. One that is not completed is aborted, whatever became of whoever began it.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::future::try_join;
use portico_core::ports::blobs::{BlobError, BlobErrorKind, BlobInfo};
use portico_core::ports::blobs_ext::exists;

use super::failure;
use super::get::{self, HASH, MARK};
use super::put::{Incoming, Target, patient};

/// The length of a part; what is no longer goes at once.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// How many parts an object may have.
const MAX_PARTS: usize = 10_000;

/// After how many parts of a body of unknown length they become longer, so that the longest object (5 TiB) has not too
/// many.
const PARTS_OF_A_LENGTH: usize = 75;

/// The longest wait for a completion: S3 may take minutes to put thousands of parts together.
const COMPLETION_ALLOWANCE: usize = 64 * 1024 * 1024;

/// How often an upload is aborted that cannot be.
const ABORTS: u64 = 3;

pub(super) async fn put(target: Target, first: Bytes, incoming: Incoming) -> Result<BlobInfo, BlobError> {
    // Told before all of the body comes, though only the completion decides.
    if target.terms.only_if_absent && get::head(&target.blobs, &target.key).await?.is_some() {
        return Err(exists());
    }
    // A task of its own learns the name of the upload, and aborts it, also if nobody waits for it any more.
    let begun = tokio::spawn(Upload::begin(target)).await;
    let mut upload = begun.unwrap_or_else(|error| {
        Err(BlobError::new(BlobErrorKind::Unavailable, "an upload's beginning ended early").caused_by(error))
    })?;
    let outcome = match upload.fill(first, incoming).await {
        Ok(info) => upload.complete().await.map(|()| info),
        Err(error) => Err(error),
    };
    upload.close(outcome.is_ok()).await;
    outcome
}

/// The length of a part behind the first, which is number 0 and short whatever follows.
fn part_bytes(number: usize, length: Option<u64>) -> usize {
    let needed = match length {
        Some(length) => usize::try_from(length.div_ceil(MAX_PARTS as u64 - 1)).unwrap_or(usize::MAX),
        None => PART_BYTES * (1 + number / PARTS_OF_A_LENGTH),
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
        let Target { blobs, key, terms, mark } = &target;
        let mut request = blobs.client.create_multipart_upload().bucket(&blobs.bucket).key(key.as_str());
        request = request.content_type(&terms.content_type).metadata(MARK, mark);
        if let Some(hash) = &terms.sha256 {
            request = request.metadata(HASH, base16ct::lower::encode_string(hash));
        }
        let output = request.send().await.map_err(|error| failure::of("an upload cannot be begun", error))?;
        let id = output.upload_id.ok_or_else(|| {
            BlobError::new(BlobErrorKind::Unavailable, "the object store began an upload without a name")
        })?;
        Ok(Self { target, id, parts: Vec::new(), is_open: true })
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

    async fn send(&self, bytes: Bytes) -> Result<CompletedPart, BlobError> {
        let number = self.parts.len() + 1;
        if number > MAX_PARTS {
            let detail = "an object store takes no body that long";
            return Err(BlobError::new(BlobErrorKind::TooLarge, detail));
        }
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let Target { blobs, key, .. } = &self.target;
        let patient = patient(bytes.len());
        let request = blobs.client.upload_part().bucket(&blobs.bucket).key(key.as_str()).upload_id(&self.id);
        let request = request.part_number(number).body(ByteStream::from(bytes)).customize();
        let output = request.config_override(patient).send().await;
        let output = output.map_err(|error| failure::of("a part of an object cannot be written", error))?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(output.e_tag).build())
    }

    async fn complete(&self) -> Result<(), BlobError> {
        let Target { blobs, key, .. } = &self.target;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone())).build();
        let request = blobs.client.complete_multipart_upload().bucket(&blobs.bucket).key(key.as_str());
        let request = request
            .upload_id(&self.id)
            .multipart_upload(parts)
            .set_if_none_match(self.target.if_none_match())
            .customize()
            .config_override(patient(COMPLETION_ALLOWANCE));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => self.target.settle("an object cannot be put together", error).await,
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
        if self.is_open
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (target, id) = (self.target.clone(), self.id.clone());
            runtime.spawn(async move { abort(&target, &id).await });
        }
    }
}

/// Removes what has come of an upload.
async fn abort(target: &Target, id: &str) {
    let Target { blobs, key, .. } = target;
    for attempt in 1..=ABORTS {
        let request = blobs.client.abort_multipart_upload().bucket(&blobs.bucket).key(key.as_str());
        match request.upload_id(id).send().await {
            Err(error) if failure::code(&error) != Some("NoSuchUpload") => {
                let error = failure::of("an upload cannot be aborted", error);
                tracing::warn!(%key, %error, attempt, "parts of an object may be left over in the bucket");
            }
            _ => return,
        }
        tokio::time::sleep(Duration::from_secs(attempt)).await;
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
