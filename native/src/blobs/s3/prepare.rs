//! The bucket: there, or created where the client's region is.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use portico_core::ports::blobs::{BlobError, BlobErrorKind};
use portico_core::s3::failure as meaning;

use super::{SdkClient, failure};

/// The region whose buckets have no other said of them.
const REGION_OF_OLD: &str = "us-east-1";

pub(super) async fn prepare(client: &SdkClient) -> Result<(), BlobError> {
    if has_bucket(client).await? { Ok(()) } else { create(client).await }
}

pub(super) async fn has_bucket(SdkClient { client, bucket }: &SdkClient) -> Result<bool, BlobError> {
    match client.head_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
        Err(error) => Err(meaning::of("the bucket cannot be reached", failure::of(error))),
    }
}

async fn create(SdkClient { client, bucket }: &SdkClient) -> Result<(), BlobError> {
    let region = client.config().region().map(ToString::to_string).unwrap_or_default();
    let elsewhere = (!region.is_empty() && region != REGION_OF_OLD).then(|| {
        let region = BucketLocationConstraint::from(region.as_str());
        CreateBucketConfiguration::builder().location_constraint(region).build()
    });
    let call = client.create_bucket().bucket(bucket).set_create_bucket_configuration(elsewhere);
    let Err(error) = call.send().await else {
        tracing::info!(bucket, region, "the bucket has been created");
        return Ok(());
    };
    let failure = failure::of(error);
    match failure.code.as_deref() {
        // Another instance was quicker, or the first attempt's answer was lost.
        Some("BucketAlreadyOwnedByYou") => Ok(()),
        Some("BucketAlreadyExists") => {
            let detail = format!(
                "the bucket `{bucket}` belongs to somebody else: set S3_BUCKET_NAME to a name of your own"
            );
            Err(BlobError::new(BlobErrorKind::Unavailable, detail).caused_by(failure))
        }
        _ => Err(meaning::of("the bucket cannot be created", failure)),
    }
}
