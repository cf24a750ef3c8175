//! Failures of S3 in the words of the port; those that will not pass by themselves say what the operator has to do.

use crate::{
    aws::failure::Failure,
    ports::blobs::{BlobError, BlobErrorKind},
};

/// A failure that the caller can do nothing about.
#[must_use]
pub fn of(what: &'static str, mut failure: Failure) -> BlobError {
    if is_about_credentials(&failure) {
        // S3 and its kin may repeat what they were sent.
        failure.message.clear();
    }
    let advice = advice(&failure);
    if let Some(advice) = advice {
        tracing::error!(code = failure.code, status = failure.status, "{what}: {advice}");
    }
    let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
    BlobError::new(BlobErrorKind::Unavailable, format!("{what}: {failure}{advice}")).caused_by(failure)
}

fn is_about_credentials(failure: &Failure) -> bool {
    matches!(
        failure.code.as_deref(),
        Some(
            "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "ExpiredToken"
                | "TokenRefreshRequired"
        )
    )
}

fn advice(failure: &Failure) -> Option<&'static str> {
    Some(match (failure.code.as_deref().unwrap_or_default(), failure.status) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(status: u16, code: Option<&str>) -> String {
        of("no", Failure::refused(status, code.map(str::to_owned), "its words")).detail
    }

    #[test]
    fn what_the_operator_can_mend_is_said() {
        assert!(detail(404, Some("NoSuchBucket")).contains("S3_BUCKET_NAME"));
        assert!(detail(301, None).contains("AWS_REGION"));
        assert!(detail(403, None).contains("s3:GetObject"));
        assert!(detail(403, Some("RequestTimeTooSkewed")).contains("clock"));
        assert_eq!(detail(400, Some("InvalidArgument")), "no: InvalidArgument (400): its words");
    }

    #[test]
    fn nothing_that_was_signed_is_repeated() {
        for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"] {
            let error = of("no", Failure::refused(403, Some(code.to_owned()), "canary"));
            assert!(error.detail.contains(code) && !format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
