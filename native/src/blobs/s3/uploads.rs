//! The operations on uploads in parts.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart as SdkPart};
use bytes::Bytes;
use portico_core::aws::failure::Failure;
use portico_core::ports::blobs::BlobKey;
use portico_core::s3::client::Answer;
use portico_core::s3::request::{CompletedPart, Description};

use super::{SdkClient, failure, if_none_match, objects::metadata, patient};

/// The longest wait for a completion: S3 may take minutes to put thousands of parts together.
const COMPLETION_ALLOWANCE: usize = 64 * 1024 * 1024;

pub(super) async fn create(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    description: &Description,
) -> Result<Answer, Failure> {
    let call = client
        .create_multipart_upload()
        .bucket(bucket)
        .key(key.as_str())
        .content_type(&description.content_type)
        .set_metadata(Some(metadata(description)));
    let output = call.send().await.map_err(failure::of)?;
    let id = output.upload_id.ok_or_else(|| Failure::unanswered("an upload without a name was begun"))?;
    Ok(Answer::Upload(id))
}

pub(super) async fn send(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    upload_id: &str,
    number: u32,
    body: &Bytes,
) -> Result<Answer, Failure> {
    let call = client.upload_part().bucket(bucket).key(key.as_str()).upload_id(upload_id);
    let call = call.part_number(part_number(number)).body(ByteStream::from(body.clone()));
    let output = call.customize().config_override(patient(body.len())).send().await.map_err(failure::of)?;
    let e_tag = output.e_tag.ok_or_else(|| Failure::unanswered("a part was taken without an ETag"))?;
    Ok(Answer::Part(e_tag))
}

pub(super) async fn complete(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    upload_id: &str,
    parts: &[CompletedPart],
    only_if_absent: bool,
) -> Result<Answer, Failure> {
    let parts = parts.iter().map(|CompletedPart { number, e_tag }| {
        SdkPart::builder().part_number(part_number(*number)).e_tag(e_tag).build()
    });
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
    let call = client
        .complete_multipart_upload()
        .bucket(bucket)
        .key(key.as_str())
        .upload_id(upload_id)
        .multipart_upload(parts)
        .set_if_none_match(if_none_match(only_if_absent));
    call.customize().config_override(patient(COMPLETION_ALLOWANCE)).send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn abort(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    upload_id: &str,
) -> Result<Answer, Failure> {
    let call = client.abort_multipart_upload().bucket(bucket).key(key.as_str()).upload_id(upload_id);
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

/// The SDK counts with a sign; there are ten thousand parts at most.
fn part_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
