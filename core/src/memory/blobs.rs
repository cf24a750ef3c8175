//! Blobs in memory: the model that the others are compared with.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::http::body::Body;
use crate::ports::blobs::{Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, Blobs, ByteRange, PutTerms};
use crate::ports::blobs_ext::{Intake, exists, next_piece, positions};

type Contents = HashMap<BlobKey, (BlobInfo, Bytes)>;

/// Blobs that last as long as this value.
#[derive(Default)]
pub struct MemoryBlobs {
    blobs: Mutex<Contents>,
}

impl MemoryBlobs {
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
        let mut blobs = self.lock();
        if terms.only_if_absent && blobs.contains_key(key) {
            return Err(exists());
        }
        blobs.insert(key.clone(), (info.clone(), bytes.freeze()));
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
}

impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobs").field("blobs", &self.lock().len()).finish_non_exhaustive()
    }
}
