//! What the SDK reports when there is no answer as asked, as core's [`Failure`].
//!
//! Nothing of a request's or an answer's body is kept: the SDK's own error holds it, and is let go.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use portico_core::aws::failure::Failure;

use crate::aws::describe;

/// S3's refusal, or that there is no answer.
pub(super) fn of<E>(error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let (code, message) = (refusal.err().code(), refusal.err().message());
            Failure::refused(status, code.map(str::to_owned), message.unwrap_or_default())
        }
        other => unanswered(other),
    }
}

fn unanswered<E>(error: SdkError<E>) -> Failure
where
    E: Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let failure = match error.into_source() {
        Ok(source) => Failure::unanswered(describe(&*source)).caused_by(source),
        Err(error) => Failure::unanswered(describe(&error)),
    };
    Failure { status, ..failure }
}
