//! Objects on their way out, as the client takes them.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    bucket::{Bucket, another_answer},
    client::{Answer, Object},
    failure,
    request::Operation,
};
use crate::{
    aws::failure::Failure,
    http::body::Body,
    ports::{
        blobs::{Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, ByteRange},
        blobs_ext::positions,
    },
};

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

pub(super) async fn head(bucket: &Bucket, key: &BlobKey) -> Result<Option<Found>, BlobError> {
    const WHAT: &str = "an object cannot be described";
    match bucket.send(key, Operation::HeadObject).await {
        Ok(Answer::Object(object)) => {
            let info = info(&object, object.length.ok_or_else(|| strange("no length"))?);
            Ok(Some(Found { info, mark: object.metadata.get(MARK).cloned() }))
        }
        Ok(_) => Err(another_answer(WHAT)),
        Err(failure) if is_absent(&failure) => Ok(None),
        Err(failure) => Err(failure::of(WHAT, failure)),
    }
}

/// An answer without a body has no code.
fn is_absent(failure: &Failure) -> bool {
    failure.status == Some(404) && matches!(failure.code.as_deref(), None | Some("NotFound" | "NoSuchKey"))
}

pub(super) async fn get(
    bucket: &Bucket,
    key: &BlobKey,
    range: Option<ByteRange>,
) -> Result<Option<Blob>, BlobError> {
    const WHAT: &str = "an object cannot be read";
    // S3 answers a range of the wrong order with the whole, and need not understand any number.
    if range.is_some_and(|ByteRange { first, last }| first > last || last >= FAR_BEYOND) {
        let Some(found) = head(bucket, key).await? else { return Ok(None) };
        positions(range, found.info.length)?;
    }
    match bucket.send(key, Operation::GetObject { range }).await {
        Ok(Answer::Content { object, content_range, body }) => {
            open(&object, content_range.as_deref(), body, range).map(Some)
        }
        Ok(_) => Err(another_answer(WHAT)),
        Err(failure) if failure.is("NoSuchKey") => Ok(None),
        Err(failure) if failure.status == Some(416) => {
            let detail = "the range begins behind the end of the object";
            Err(BlobError::new(BlobErrorKind::OutOfRange, detail).caused_by(failure))
        }
        Err(failure) => Err(failure::of(WHAT, failure)),
    }
}

fn open(
    object: &Object,
    content_range: Option<&str>,
    body: Body,
    range: Option<ByteRange>,
) -> Result<Blob, BlobError> {
    let Some(range) = range else {
        let length = object.length.ok_or_else(|| strange("no length"))?;
        return Ok(Blob { info: info(object, length), body });
    };
    let whole = content_range.and_then(whole_length).ok_or_else(|| strange("no range"))?;
    // S3 cuts what lies partly behind the end.
    positions(Some(range), whole)?;
    let sha256 = hash(None, &object.metadata);
    Ok(Blob { info: BlobInfo { sha256, ..info(object, whole) }, body })
}

fn info(object: &Object, length: u64) -> BlobInfo {
    let content_type = object.content_type.as_deref().unwrap_or(UNKNOWN_TYPE).to_owned();
    BlobInfo { length, content_type, sha256: hash(object.checksum_sha256.as_deref(), &object.metadata) }
}

/// The hash that S3 computed, of the whole and not of the parts' hashes; else that which was told it.
fn hash(checksum: Option<&str>, metadata: &HashMap<String, String>) -> Option<[u8; 32]> {
    let computed = checksum.and_then(|text| STANDARD.decode(text).ok());
    let told = || {
        let mut hash = [0; 32];
        let read = base16ct::lower::decode(metadata.get(HASH)?, &mut hash).ok()?;
        Some(read.to_vec())
    };
    computed.and_then(|hash| hash.try_into().ok()).or_else(|| told()?.try_into().ok())
}

/// The length behind the slash of `Content-Range` (RFC 9110, section 14.4).
fn whole_length(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
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
        let none = HashMap::new();
        let expected = hash(Some(of_nothing), &none);
        assert_eq!(expected.map(|hash| hash[0]), Some(0xe3));
        let metadata = |text: &str| HashMap::from([(HASH.to_owned(), text.to_owned())]);
        let hex = base16ct::lower::encode_string(&expected.unwrap());
        assert_eq!(hash(None, &metadata(&hex)), expected);
        let composite = format!("{of_nothing}-3");
        assert_eq!(hash(Some(&composite), &none), None);
        assert_eq!(hash(Some(&composite), &metadata(&hex)), expected);
        for wrong in ["", "e3", &hex.to_uppercase(), &format!("{hex}00")] {
            assert_eq!(hash(None, &metadata(wrong)), None, "{wrong}");
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

    #[test]
    fn an_object_is_absent_only_if_the_bucket_is_not() {
        let refused = |status, code: Option<&str>| Failure::refused(status, code.map(str::to_owned), "");
        for code in [None, Some("NotFound"), Some("NoSuchKey")] {
            assert!(is_absent(&refused(404, code)), "{code:?}");
        }
        assert!(!is_absent(&refused(404, Some("NoSuchBucket"))));
        assert!(!is_absent(&refused(403, None)));
    }
}
