//! Blobs in memory: the model that the others are compared with.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::blob_urls;
use crate::http::body::Body;
use crate::ports::blobs::{
    Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, Blobs, ByteRange, Presigned, PresignedGetAnswer,
    PresignedPutTerms, PutTerms,
};
use crate::ports::blobs_ext::{Intake, next_piece, positions};
use crate::secret::SecretKey;
use crate::time::Timestamp;

type Contents = HashMap<BlobKey, (BlobInfo, Bytes)>;

/// Blobs that last as long as this value. Its presigned URLs are the app's own (see [`blob_urls`]).
pub struct MemoryBlobs {
    blobs: Arc<Mutex<Contents>>,
    signing_key: SecretKey,
}

impl MemoryBlobs {
    /// No blobs; URLs are signed with the key, which is the app's.
    #[must_use]
    pub fn new(signing_key: SecretKey) -> Self {
        Self { blobs: Arc::default(), signing_key }
    }

    /// The same blobs, whose URLs are signed with another key.
    #[must_use]
    pub fn with_signing_key(&self, signing_key: SecretKey) -> Self {
        Self { blobs: Arc::clone(&self.blobs), signing_key }
    }

    /// The keys of all blobs, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<BlobKey> {
        let mut keys: Vec<BlobKey> = self.lock().keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &BlobKey) -> Option<(BlobInfo, Bytes)> {
        self.lock().get(key).cloned()
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, mut body: Body) -> Result<BlobInfo, BlobError> {
        let mut intake = Intake::new(terms)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = next_piece(&mut body).await? {
            intake.take(&piece)?;
            bytes.extend_from_slice(&piece);
        }
        let info = intake.finish()?;
        self.lock().insert(key.clone(), (info.clone(), bytes.freeze()));
        Ok(info)
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        let Some((info, bytes)) = self.find(key) else { return Ok(None) };
        let range = positions(range, info.length)?;
        let index = |position| {
            usize::try_from(position)
                .map_err(|_| BlobError::new(BlobErrorKind::OutOfRange, "more than memory holds"))
        };
        let body = Body::from(bytes.slice(index(range.start)?..index(range.end)?));
        Ok(Some(Blob { info, body }))
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        Ok(self.find(key).map(|(info, _)| info))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.lock().remove(key);
        Ok(())
    }

    async fn presign_put(
        &self,
        key: &BlobKey,
        terms: &PresignedPutTerms,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        blob_urls::presign_put(&self.signing_key, key, terms, expires_at)
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        Ok(blob_urls::presign_get(&self.signing_key, key, answer, expires_at))
    }
}

impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobs").field("blobs", &self.lock().len()).finish_non_exhaustive()
    }
}
