//! What the SDK reports when there is no answer as asked, as core's [`Failure`].
//!
//! Nothing of a request's or an answer's body is kept: the SDK's own error holds it, and is let go.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use hyper_util::client::legacy;
use portico_core::dynamo::client::Failure;

use crate::aws::{causes, describe};

/// How a failure begins that is for want of credentials.
const NO_CREDENTIALS: &str = "there are no credentials for AWS";

/// DynamoDB's refusal, or that there is no answer.
pub(super) fn of<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let (code, message) = (refusal.err().code(), refusal.err().message());
            Failure::refused(status, code.map(str::to_owned), message.unwrap_or("without a message"))
        }
        other => unanswered(other),
    }
}

/// The same, with the reasons why a transaction was cancelled.
pub(super) fn of_transaction(error: SdkError<TransactWriteItemsError, HttpResponse>) -> Failure {
    let reasons: Vec<_> = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    of(error).because(reasons)
}

/// A request that the SDK does not make.
pub(super) fn of_request(error: BuildError) -> Failure {
    Failure::unanswered(format!("a request that cannot be made: {error}"), false).caused_by(error)
}

fn unanswered<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: Error + Send + Sync + 'static,
{
    let made = !matches!(error, SdkError::ConstructionFailure(_));
    let source = match error.into_source() {
        Ok(source) => source,
        Err(error) => return Failure::unanswered(describe(&error), made),
    };
    let text = describe(&*source);
    if causes(&*source).any(|cause| cause.is::<CredentialsError>()) {
        return Failure::unanswered(format!("{NO_CREDENTIALS}: {text}"), false).caused_by(source);
    }
    Failure::unanswered(text, made && !causes(&*source).any(is_connecting)).caused_by(source)
}

/// Whether a connection could not be made, so that nothing was sent.
fn is_connecting(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect)
}
