//! Carries out what a rule says instead of, or around, a call's work.

use crate::answer::{self, Answer, BoxError};
use crate::connection::Connection;
use crate::faults::{Action, Code, Rule};
use crate::refusal::AwsError;
use crate::service::Service;
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use std::time::Duration;

const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway\
                    </h1></center>\r\n</body>\r\n</html>\r\n";

/// A call that a rule hit.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) rule: Rule,
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    /// How many items a transaction holds.
    pub(crate) items: usize,
    pub(crate) connection: &'a Connection,
}

impl Hit<'_> {
    /// Answers instead of the work, after it, or not at all. Work that is not to be done is never begun.
    pub(crate) async fn answer(self, work: impl Future<Output = Answer>) -> Answer {
        match self.rule.action {
            Action::Delay => {
                tokio::time::sleep(Duration::from_millis(self.rule.delay_ms.unwrap_or_default())).await;
                work.await
            }
            Action::Stall => std::future::pending().await,
            Action::Reset => self.connection.cut().await,
            Action::ApplyThenReset => {
                finish(work).await;
                self.connection.cut().await
            }
            Action::ApplyThen500 => {
                finish(work).await;
                self.error().answer(self.service)
            }
            Action::Truncate => match half(work.await).await {
                Some(answer) => answer,
                None => self.connection.cut().await,
            },
            Action::Html => answer::typed(StatusCode::BAD_GATEWAY, "text/html", HTML),
            _ => self.error().answer(self.service),
        }
    }

    fn error(&self) -> AwsError {
        let rule = &self.rule;
        match (rule.action, self.service) {
            (Action::Error, _) => {
                let code = match &rule.code {
                    Some(Code::Word(code)) => code.as_str(),
                    _ => "InternalError",
                };
                AwsError::new(rule.status.unwrap_or(500), code, rule.message.clone().unwrap_or_default())
            }
            (Action::Throttle, Service::DynamoDb) => {
                let message = "The level of configured provisioned throughput for the table was exceeded. Consider \
                               increasing your provisioning level with the UpdateTable API.";
                AwsError::new(400, "ProvisionedThroughputExceededException", message)
            }
            (Action::Throttle, Service::S3) => {
                AwsError::new(503, "SlowDown", "Please reduce your request rate.")
            }
            (Action::Throttle, _) => AwsError::new(400, "Throttling", "Rate exceeded"),
            (Action::Unavailable, _) => {
                AwsError::new(503, "ServiceUnavailable", "Service is unable to handle request.")
            }
            (Action::TransactionConflict, _) => self.conflict(),
            (Action::TransactionInProgress, _) => {
                let message = "The transaction with the given request token is already in progress.";
                AwsError::new(400, "TransactionInProgressException", message)
            }
            (_, Service::DynamoDb) => AwsError::new(500, "InternalServerError", "Internal server error"),
            (_, Service::S3) => {
                AwsError::new(500, "InternalError", "We encountered an internal error. Please try again.")
            }
            _ => AwsError::new(
                500,
                "InternalFailure",
                "The request processing has failed because of an unknown error.",
            ),
        }
    }

    /// Another transaction holds the first item.
    fn conflict(&self) -> AwsError {
        if !self.operation.starts_with("Transact") {
            let message = "Transaction is ongoing for the item";
            return AwsError::new(400, "TransactionConflictException", message);
        }
        let mut reasons = vec![json!({ "Code": "None" }); self.items.max(1)];
        reasons[0] =
            json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
        let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        let mut error = AwsError::new(400, "TransactionCanceledException", message);
        error.more = json!({ "CancellationReasons": reasons });
        error
    }
}

/// Does the work to its end: an object is stored only once its answer is read.
async fn finish(work: impl Future<Output = Answer>) {
    work.await.into_body().collect().await.ok();
}

/// The answer up to its middle, then an end that the connection does not survive; none if there is nothing to
/// halve.
async fn half(answer: Answer) -> Option<Answer> {
    let (mut parts, body) = answer.into_parts();
    let mut bytes = body.collect().await.ok()?.to_bytes();
    if bytes.len() < 2 {
        return None;
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    bytes.truncate(bytes.len() / 2);
    let frames: [Result<Frame<Bytes>, BoxError>; 2] =
        [Ok(Frame::data(bytes)), Err("cut in its middle".into())];
    Some(Answer::from_parts(parts, StreamBody::new(stream::iter(frames)).boxed_unsync()))
}
