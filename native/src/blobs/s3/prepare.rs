//! The bucket: there, or created where the client's region is.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use portico_core::ports::blobs::{BlobError, BlobErrorKind};

use super::{S3Blobs, failure};

/// The region whose buckets have no other said of them.
const REGION_OF_OLD: &str = "us-east-1";

pub(super) async fn prepare(blobs: &S3Blobs) -> Result<(), BlobError> {
    if has_bucket(blobs).await? { Ok(()) } else { create(blobs).await }
}

pub(super) async fn has_bucket(blobs: &S3Blobs) -> Result<bool, BlobError> {
    match blobs.client.head_bucket().bucket(&blobs.bucket).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
        Err(error) => Err(failure::of("the bucket cannot be reached", error)),
    }
}

async fn create(blobs: &S3Blobs) -> Result<(), BlobError> {
    let region = blobs.client.config().region().map(ToString::to_string).unwrap_or_default();
    let elsewhere = (!region.is_empty() && region != REGION_OF_OLD).then(|| {
        let region = BucketLocationConstraint::from(region.as_str());
        CreateBucketConfiguration::builder().location_constraint(region).build()
    });
    let request = blobs.client.create_bucket().bucket(&blobs.bucket);
    match request.set_create_bucket_configuration(elsewhere).send().await {
        Ok(_) => {
            tracing::info!(bucket = blobs.bucket, region, "the bucket has been created");
            Ok(())
        }
        // Another instance was quicker, or the first attempt's answer was lost.
        Err(error) if is(&error, CreateBucketError::is_bucket_already_owned_by_you) => Ok(()),
        Err(error) if is(&error, CreateBucketError::is_bucket_already_exists) => {
            let detail = format!(
                "the bucket `{}` belongs to somebody else: set S3_BUCKET_NAME to a name of your own",
                blobs.bucket
            );
            Err(BlobError::new(BlobErrorKind::Unavailable, detail).caused_by(error))
        }
        Err(error) => Err(failure::of("the bucket cannot be created", error)),
    }
}

fn is(error: &SdkError<CreateBucketError>, kind: fn(&CreateBucketError) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}
