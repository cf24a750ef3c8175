//! Answers of S3's REST API. An answer that lacks what S3's have is a proxy's, and none.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use portico_core::aws::failure::Failure;
use portico_core::http::body::Body;
use portico_core::s3::client::{Answer, Object};
use portico_core::s3::request::Operation;

use super::super::xml::{self, Document};
use super::request::{CHECKSUM, METADATA};

/// The longest refusal that is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// What an answer that was read whole says.
pub(super) fn of(operation: &Operation, answer: &Response<Bytes>) -> Result<Answer, Failure> {
    let (status, headers, body) = (answer.status(), answer.headers(), answer.body());
    if !status.is_success() {
        return Err(xml::failure(status.as_u16(), body));
    }
    let understood = match operation {
        Operation::HeadObject | Operation::GetObject { .. } => {
            text(headers, &ETAG).map(|_| Answer::Object(object(headers)))
        }
        Operation::PutObject { .. } => text(headers, &ETAG).map(|_| Answer::Done),
        Operation::UploadPart { .. } => text(headers, &ETAG).map(Answer::Part),
        Operation::DeleteObject | Operation::AbortMultipartUpload { .. } => {
            (status == StatusCode::NO_CONTENT).then_some(Answer::Done)
        }
        Operation::CreateMultipartUpload { .. } => match xml::read(body) {
            Some(Document::InitiateMultipartUploadResult { upload_id }) => Some(Answer::Upload(upload_id)),
            _ => None,
        },
        Operation::CompleteMultipartUpload { .. } => match xml::read(body) {
            Some(Document::CompleteMultipartUploadResult {}) => Some(Answer::Done),
            _ => None,
        },
    };
    understood.ok_or_else(|| xml::no_success(status.as_u16(), body))
}

/// Whether the bucket is there now.
pub(super) fn of_creation(answer: &Response<Bytes>) -> Result<(), Failure> {
    if answer.status().is_success() {
        return Ok(());
    }
    let failure = xml::failure(answer.status().as_u16(), answer.body());
    match failure.code.as_deref() {
        Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists") => Ok(()),
        _ => Err(failure),
    }
}

/// What an answer says whose body is an object's.
pub(super) async fn content(answer: Response<Body>) -> Result<Answer, Failure> {
    let (head, body) = answer.into_parts();
    if head.status.is_success() && head.headers.contains_key(ETAG) {
        let (object, content_range) = (object(&head.headers), text(&head.headers, &CONTENT_RANGE));
        return Ok(Answer::Content { object, content_range, body });
    }
    // A refusal that breaks off is one all the same.
    let body = body.read(MAX_REFUSAL_BYTES, None).await.unwrap_or_default();
    let read = if head.status.is_success() { xml::no_success } else { xml::failure };
    Err(read(head.status.as_u16(), &body))
}

fn object(headers: &HeaderMap) -> Object {
    let metadata = headers.keys().filter_map(|name| {
        let value = text(headers, name)?;
        Some((name.as_str().strip_prefix(METADATA)?.to_owned(), value))
    });
    Object {
        length: text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        content_type: text(headers, &CONTENT_TYPE),
        checksum_sha256: text(headers, &CHECKSUM),
        metadata: metadata.collect(),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
