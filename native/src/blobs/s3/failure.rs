//! Failures of S3 in the words of the port; those that will not pass by themselves say what the operator has to do.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use portico_core::ports::blobs::{BlobError, BlobErrorKind};

/// A failure that the caller can do nothing about.
pub(super) fn of<E>(what: &'static str, error: SdkError<E>) -> BlobError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (code, status) = (code(&error).unwrap_or_default(), status(&error));
    let detail = format!("{what}: {}", describe(&error));
    let advice = advice(code, status);
    if let Some(advice) = advice {
        tracing::error!(code, status, "{what}: {advice}");
    }
    let detail = advice.map_or_else(|| detail.clone(), |advice| format!("{detail}: {advice}"));
    BlobError::new(BlobErrorKind::Unavailable, detail).caused_by(error)
}

/// The service's own name of an error; answers without a body have none.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The answer's status, if there was an answer.
pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn advice(code: &str, status: Option<u16>) -> Option<&'static str> {
    Some(match (code, status) {
        ("NoSuchBucket", _) => "create the bucket, or set S3_BUCKET_NAME to one that exists",
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => {
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is wrong"
        }
        ("ExpiredToken" | "TokenRefreshRequired", _) => "the AWS credentials have expired: renew them",
        ("RequestTimeTooSkewed", _) => "this machine's clock is wrong: synchronize it",
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | ("", Some(301)) => {
            "the bucket is in another region: set AWS_REGION to it"
        }
        ("AccessDenied" | "AllAccessDisabled", _) | ("", Some(403)) => {
            "allow the AWS credentials s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and \
             s3:AbortMultipartUpload on its objects"
        }
        _ => return None,
    })
}

fn describe<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    if let Some(error) = error.as_service_error()
        && let Some(code) = error.code()
    {
        return format!("{code}, {}", error.message().unwrap_or("without a word"));
    }
    match status(error) {
        Some(status) => format!("status {status}"),
        None => crate::aws::describe(error),
    }
}
