//! URLs by which clients send and fetch objects themselves, signed by the SDK.

use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_smithy_types::base64;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use portico_core::aws::failure::Failure;
use portico_core::ports::blobs::BlobKey;
use portico_core::s3::client::Signed;
use portico_core::s3::request::{Period, Presignable};

use super::{SdkClient, failure, if_none_match};

pub(super) async fn presign(
    SdkClient { client, bucket }: &SdkClient,
    key: &BlobKey,
    request: &Presignable,
    Period { start, seconds }: Period,
) -> Result<Signed, Failure> {
    let builder = PresigningConfig::builder().start_time(UNIX_EPOCH + Duration::from_secs(start));
    let config = builder.expires_in(Duration::from_secs(seconds)).build().map_err(unpresentable)?;
    let request = match request {
        Presignable::PutObject(terms) => {
            let call = client.put_object().bucket(bucket).key(key.as_str());
            let call = call
                .content_length(i64::try_from(terms.length).map_err(unpresentable)?)
                .content_type(&terms.content_type)
                .set_if_none_match(if_none_match(true))
                .set_checksum_sha256(terms.sha256.map(base64::encode));
            call.presigned(config).await.map_err(failure::of)?
        }
        Presignable::GetObject(answer) => {
            let call = client.get_object().bucket(bucket).key(key.as_str());
            let call = call
                .response_content_type(&answer.content_type)
                .response_content_disposition(&answer.content_disposition);
            call.presigned(config).await.map_err(failure::of)?
        }
    };
    signed(&request)
}

fn signed(request: &PresignedRequest) -> Result<Signed, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = HeaderName::try_from(name).map_err(unpresentable)?;
        headers.append(name, HeaderValue::try_from(value).map_err(unpresentable)?);
    }
    Ok(Signed { url: request.uri().to_owned(), headers })
}

fn unpresentable(error: impl Error + Send + Sync + 'static) -> Failure {
    Failure::unmade("a URL cannot be made of this").caused_by(error)
}
