//! The operations on objects.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_types::base64;
use bytes::Bytes;
use futures::stream;
use portico_core::aws::failure::Failure;
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{BlobKey, ByteRange};
use portico_core::s3::client::{Answer, Object};
use portico_core::s3::request::Description;

use super::{SdkClient, failure, if_none_match, patient};
use crate::aws::describe;

pub(super) async fn head(SdkClient { client, bucket }: &SdkClient, key: &BlobKey) -> Result<Answer, Failure> {
    let call = client.head_object().bucket(bucket).key(key.as_str()).checksum_mode(ChecksumMode::Enabled);
    let HeadObjectOutput { content_length, content_type, checksum_sha256, metadata, .. } =
        call.send().await.map_err(failure::of)?;
    let length = length(content_length);
    Ok(Answer::Object(Object {
        length,
        content_type,
        checksum_sha256,
        metadata: metadata.unwrap_or_default(),
    }))
}

pub(super) async fn get(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    range: Option<ByteRange>,
) -> Result<Answer, Failure> {
    let range = range.map(|ByteRange { first, last }| format!("bytes={first}-{last}"));
    let call = client.get_object().bucket(bucket).key(key.as_str()).set_range(range);
    let GetObjectOutput {
        content_length, content_type, checksum_sha256, metadata, content_range, body, ..
    } = call.send().await.map_err(failure::of)?;
    let metadata = metadata.unwrap_or_default();
    let object = Object { length: length(content_length), content_type, checksum_sha256, metadata };
    Ok(Answer::Content { object, content_range, body: into_body(body) })
}

pub(super) async fn put(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    description: &Description,
    body: &Bytes,
    sha256: Option<&[u8; 32]>,
    only_if_absent: bool,
) -> Result<Answer, Failure> {
    let call = client
        .put_object()
        .bucket(bucket)
        .key(key.as_str())
        .content_type(&description.content_type)
        .set_metadata(Some(metadata(description)))
        .set_checksum_sha256(sha256.map(base64::encode))
        .set_if_none_match(if_none_match(only_if_absent))
        .body(ByteStream::from(body.clone()));
    call.customize().config_override(patient(body.len())).send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn delete(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
) -> Result<Answer, Failure> {
    client.delete_object().bucket(bucket).key(key.as_str()).send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

/// Metadata as the SDK takes them.
pub(super) fn metadata(Description { metadata, .. }: &Description) -> HashMap<String, String> {
    metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn length(told: Option<i64>) -> Option<u64> {
    told.and_then(|length| length.try_into().ok())
}

fn into_body(bytes: ByteStream) -> Body {
    Body::stream(stream::try_unfold(bytes, |mut bytes| async move {
        match bytes.try_next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, bytes))),
            Err(error) => Err(BodyError::new(format!("the object store broke off: {}", describe(&error)))),
        }
    }))
}
