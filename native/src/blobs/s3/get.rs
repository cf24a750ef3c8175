//! Objects on their way out, as the client takes them.

use std::collections::HashMap;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_types::base64;
use futures::stream;
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, ByteRange};
use portico_core::ports::blobs_ext::positions;

use super::{S3Blobs, failure};

/// The metadata that hold the SHA-256, in hex.
pub(super) const HASH: &str = "sha256";

/// The metadata that hold the mark of the put that stored an object.
pub(super) const MARK: &str = "put";

/// The type of objects that have none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// No object is nearly as long, and no store need understand a greater number.
const FAR_BEYOND: u64 = 1 << 60;

/// An object that is there.
pub(super) struct Found {
    pub(super) info: BlobInfo,
    /// Which put stored it, if it was one of this program's.
    pub(super) mark: Option<String>,
}

pub(super) async fn head(blobs: &S3Blobs, key: &BlobKey) -> Result<Option<Found>, BlobError> {
    let request = blobs.client.head_object().bucket(&blobs.bucket).key(key.as_str());
    match request.checksum_mode(ChecksumMode::Enabled).send().await {
        Ok(output) => {
            let metadata = output.metadata();
            let info = BlobInfo {
                length: length(output.content_length())?,
                content_type: content_type(output.content_type()),
                sha256: hash(output.checksum_sha256(), metadata),
            };
            Ok(Some(Found { info, mark: metadata.and_then(|all| all.get(MARK)).cloned() }))
        }
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
        Err(error) => Err(failure::of("an object cannot be described", error)),
    }
}

pub(super) async fn get(
    blobs: &S3Blobs,
    key: &BlobKey,
    range: Option<ByteRange>,
) -> Result<Option<Blob>, BlobError> {
    // S3 answers a range of the wrong order with the whole, and need not understand any number.
    if range.is_some_and(|ByteRange { first, last }| first > last || last >= FAR_BEYOND) {
        let Some(found) = head(blobs, key).await? else { return Ok(None) };
        positions(range, found.info.length)?;
    }
    let header = range.map(|ByteRange { first, last }| format!("bytes={first}-{last}"));
    let request = blobs.client.get_object().bucket(&blobs.bucket).key(key.as_str()).set_range(header);
    match request.send().await {
        Ok(output) => open(output, range).map(Some),
        Err(error) => absent_or(error),
    }
}

fn absent_or(error: SdkError<GetObjectError>) -> Result<Option<Blob>, BlobError> {
    if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) {
        return Ok(None);
    }
    if failure::status(&error) == Some(416) {
        let detail = "the range begins behind the end of the object";
        return Err(BlobError::new(BlobErrorKind::OutOfRange, detail).caused_by(error));
    }
    Err(failure::of("an object cannot be read", error))
}

fn open(output: GetObjectOutput, range: Option<ByteRange>) -> Result<Blob, BlobError> {
    let whole = match range {
        None => length(output.content_length())?,
        Some(_) => output.content_range().and_then(whole_length).ok_or_else(|| strange("no range"))?,
    };
    // S3 cuts what lies partly behind the end.
    positions(range, whole)?;
    let sha256 = match range {
        None => hash(output.checksum_sha256(), output.metadata()),
        Some(_) => hash(None, output.metadata()),
    };
    let info = BlobInfo { length: whole, content_type: content_type(output.content_type()), sha256 };
    Ok(Blob { info, body: into_body(output.body) })
}

fn into_body(bytes: ByteStream) -> Body {
    Body::stream(stream::try_unfold(bytes, |mut bytes| async move {
        match bytes.try_next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, bytes))),
            Err(error) => {
                Err(BodyError::new(format!("the object store broke off: {}", crate::aws::describe(&error))))
            }
        }
    }))
}

/// The hash that S3 computed, of the whole and not of the parts' hashes; else that which was told it.
fn hash(checksum: Option<&str>, metadata: Option<&HashMap<String, String>>) -> Option<[u8; 32]> {
    let computed = checksum.and_then(|text| base64::decode(text).ok());
    let told = || {
        let mut hash = [0; 32];
        let read = base16ct::lower::decode(metadata?.get(HASH)?, &mut hash).ok()?;
        Some(read.to_vec())
    };
    computed.and_then(|hash| hash.try_into().ok()).or_else(|| told()?.try_into().ok())
}

/// The length behind the slash of `Content-Range` (RFC 9110, section 14.4).
fn whole_length(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

fn length(told: Option<i64>) -> Result<u64, BlobError> {
    told.and_then(|length| length.try_into().ok()).ok_or_else(|| strange("no length"))
}

fn content_type(told: Option<&str>) -> String {
    told.unwrap_or(UNKNOWN_TYPE).to_owned()
}

fn strange(lacking: &str) -> BlobError {
    let detail = format!("the object store answered with {lacking}: is there a proxy in between?");
    BlobError::new(BlobErrorKind::Unavailable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_whole_or_none() {
        let of_nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let expected = hash(Some(of_nothing), None);
        assert_eq!(expected.map(|hash| hash[0]), Some(0xe3));
        let metadata = |text: &str| HashMap::from([(HASH.to_owned(), text.to_owned())]);
        let hex = base16ct::lower::encode_string(&expected.unwrap());
        assert_eq!(hash(None, Some(&metadata(&hex))), expected);
        let composite = format!("{of_nothing}-3");
        assert_eq!(hash(Some(&composite), None), None);
        assert_eq!(hash(Some(&composite), Some(&metadata(&hex))), expected);
        for wrong in ["", "e3", &hex.to_uppercase(), &format!("{hex}00")] {
            assert_eq!(hash(None, Some(&metadata(wrong))), None, "{wrong}");
        }
    }

    #[test]
    fn the_length_of_the_whole_is_behind_the_slash() {
        assert_eq!(whole_length("bytes 0-0/1"), Some(1));
        assert_eq!(whole_length("bytes 5-9/5497558138880"), Some(5_497_558_138_880));
        for wrong in ["", "bytes 0-0", "bytes 0-0/*", "bytes */-1"] {
            assert_eq!(whole_length(wrong), None, "{wrong}");
        }
    }
}
