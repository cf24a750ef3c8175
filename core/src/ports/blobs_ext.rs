//! What every implementation of [`Blobs`](super::blobs::Blobs) does alike: holding a body to its terms, and a range to
//! its blob.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::blobs::{BlobError, BlobErrorKind, BlobInfo, ByteRange, PutTerms};
use crate::http::body::Body;

/// A body on its way in: measured, hashed, and refused as soon as it is known not to be what its terms say.
#[derive(Clone, Debug)]
pub struct Intake {
    terms: PutTerms,
    length: u64,
    hash: Sha256,
}

impl Intake {
    /// Nothing received yet.
    ///
    /// # Errors
    /// `TooLarge` if the announced length is more than is allowed.
    pub fn new(terms: &PutTerms) -> Result<Self, BlobError> {
        if terms.length.is_some_and(|length| length > terms.max_length) {
            return Err(BlobErrorKind::TooLarge.because("the announced length is more than is allowed"));
        }
        Ok(Self { terms: terms.clone(), length: 0, hash: Sha256::new() })
    }

    /// Counts and hashes a piece of the body.
    ///
    /// # Errors
    /// `Mismatch` beyond the announced length; without one, `TooLarge` beyond the allowed length.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), BlobError> {
        self.length = self.length.saturating_add(piece.len() as u64);
        if self.terms.length.is_some_and(|length| self.length > length) {
            return Err(BlobErrorKind::Mismatch.because("the body is longer than announced"));
        }
        if self.length > self.terms.max_length {
            return Err(BlobErrorKind::TooLarge.because("the body is longer than is allowed"));
        }
        self.hash.update(piece);
        Ok(())
    }

    /// What was received, now that there is no more of it.
    ///
    /// # Errors
    /// `Mismatch` for another length or hash than announced.
    pub fn finish(self) -> Result<BlobInfo, BlobError> {
        let sha256: [u8; 32] = self.hash.finalize().into();
        if self.terms.length.is_some_and(|length| self.length != length) {
            return Err(BlobErrorKind::Mismatch.because("the body is shorter than announced"));
        }
        if self.terms.sha256.is_some_and(|announced| sha256 != announced) {
            return Err(BlobErrorKind::Mismatch.because("the body has another hash than announced"));
        }
        Ok(BlobInfo { length: self.length, content_type: self.terms.content_type, sha256: Some(sha256) })
    }
}

/// Waits for the next piece of a body; `None` at its end.
///
/// # Errors
/// `Interrupted` when it broke off.
pub async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, BlobError> {
    loop {
        match poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut *body), context)).await {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(BlobErrorKind::Interrupted.because("the body broke off").caused_by(error));
            }
            // Whatever is no data is trailers, and they tell nothing.
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// The failure to store where there is a blob already.
#[must_use]
pub fn exists() -> BlobError {
    BlobErrorKind::Exists.because("there is a blob under this key")
}

/// The positions of a range, or of the whole, in a blob of a length.
///
/// # Errors
/// `OutOfRange` for a range that does not lie within the blob; of an empty one, that is any.
pub fn positions(range: Option<ByteRange>, length: u64) -> Result<Range<u64>, BlobError> {
    match range {
        None => Ok(0..length),
        Some(ByteRange { first, last }) if first <= last && last < length => Ok(first..last + 1),
        Some(ByteRange { first, last }) => {
            Err(BlobErrorKind::OutOfRange.because(format!("{first}-{last} of {length} bytes")))
        }
    }
}

impl BlobErrorKind {
    /// A failure of this kind.
    fn because(self, detail: impl Into<String>) -> BlobError {
        BlobError::new(self, detail)
    }
}
