//! Files: what users upload, by form, as base64 or straight to where bytes are kept; and who may have it back.
//!
//! No failure leaves a record without bytes that looks downloadable, or bytes that nobody can ever delete: a *pending*
//! record comes before the bytes, together with the promise to sweep it; it is *ready* only after them; a deletion marks
//! the record first, then removes the bytes, then the record.

pub mod download;
pub mod handlers;
pub mod model;
pub mod names;
pub mod presigned;
pub mod quota;
pub mod repo;
pub mod sniff;
pub mod sweep;
pub mod uploads;

use http::StatusCode;

use crate::error::Error;
use crate::ports::blobs::{BlobError, BlobErrorKind};

/// The answer to a failure of the blobs.
#[must_use]
pub fn refuse(error: BlobError) -> Error {
    let answer = match error.kind {
        BlobErrorKind::TooLarge => {
            Error::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the file is longer than it may be")
        }
        BlobErrorKind::Mismatch => mismatch(),
        BlobErrorKind::Interrupted => {
            Error::bad_request("body_broke_off", "the upload broke off: send it again")
        }
        BlobErrorKind::Exists => Error::new(
            StatusCode::PRECONDITION_FAILED,
            "already_uploaded",
            "the bytes are there already: complete the upload",
        ),
        BlobErrorKind::OutOfRange => Error::not_found(),
        BlobErrorKind::Unavailable => {
            Error::unavailable("storage_unavailable", "the storage did not answer: try again shortly", 2)
        }
    };
    answer.caused_by(error)
}

/// 422 for bytes that are not those that were announced.
fn mismatch() -> Error {
    Error::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "upload_mismatch",
        "the bytes have another length or hash than was announced: upload them again",
    )
}
