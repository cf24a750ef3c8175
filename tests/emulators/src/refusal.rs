//! Errors as AWS gives them: a status, a code and a message, in each protocol's own form.

use crate::answer::{self, Answer};
use crate::service::Service;
use http::{HeaderValue, StatusCode};
use quick_xml::escape::escape;
use serde_json::{Value, json};

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Incomplete(String),
    UnknownKey,
    BadToken,
    Scope(String),
    Expired(String),
    Mismatch,
}

/// An error in AWS's terms.
#[derive(Clone, Debug)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Further members of a DynamoDB error's JSON.
    pub(crate) more: Value,
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
                        AWS Secret Access Key and signing method. Consult the service documentation for details.";
const BAD_TOKEN: &str = "The security token included in the request is invalid.";

impl AwsError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: code.to_owned(), message: message.into(), more: Value::Null }
    }

    /// How a service words that refusal.
    pub(crate) fn of(refusal: Refusal, service: Service) -> Self {
        match service {
            Service::DynamoDb => Self::of_dynamodb(refusal),
            Service::S3 => Self::of_s3(refusal),
            Service::Sns | Service::Smtp => Self::of_sns(refusal),
        }
    }

    fn of_dynamodb(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => {
                Self::new(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
            }
            Refusal::Incomplete(reason) => Self::new(400, "IncompleteSignatureException", reason),
            Refusal::UnknownKey | Refusal::BadToken => {
                Self::new(400, "UnrecognizedClientException", BAD_TOKEN)
            }
            Refusal::Scope(reason) | Refusal::Expired(reason) => {
                Self::new(400, "InvalidSignatureException", reason)
            }
            Refusal::Mismatch => Self::new(400, "InvalidSignatureException", MISMATCH),
        }
    }

    fn of_sns(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => {
                Self::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            }
            Refusal::Incomplete(reason) => Self::new(400, "IncompleteSignature", reason),
            Refusal::UnknownKey | Refusal::BadToken => Self::new(403, "InvalidClientTokenId", BAD_TOKEN),
            Refusal::Scope(reason) | Refusal::Expired(reason) => {
                Self::new(403, "SignatureDoesNotMatch", reason)
            }
            Refusal::Mismatch => Self::new(403, "SignatureDoesNotMatch", MISMATCH),
        }
    }

    fn of_s3(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::new(403, "AccessDenied", "Access Denied"),
            Refusal::Incomplete(reason) | Refusal::Scope(reason) => {
                Self::new(400, "AuthorizationHeaderMalformed", reason)
            }
            Refusal::UnknownKey => {
                let message = "The AWS Access Key Id you provided does not exist in our records.";
                Self::new(403, "InvalidAccessKeyId", message)
            }
            Refusal::BadToken => {
                Self::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
            }
            Refusal::Expired(reason) => Self::new(403, "RequestTimeTooSkewed", reason),
            Refusal::Mismatch => Self::new(403, "SignatureDoesNotMatch", MISMATCH),
        }
    }

    /// The answer in the service's protocol: JSON with `__type`, or XML.
    pub(crate) fn answer(&self, service: Service) -> Answer {
        let id = uuid::Uuid::new_v4().to_string();
        let (header, mut answer) = match service {
            Service::DynamoDb => ("x-amzn-requestid", self.json()),
            Service::S3 => ("x-amz-request-id", self.s3_xml(&id)),
            Service::Sns | Service::Smtp => ("x-amzn-requestid", self.query_xml(&id)),
        };
        if let Ok(value) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert(header, value);
        }
        answer
    }

    fn json(&self) -> Answer {
        let of_dynamodb =
            ["Internal", "Provisioned", "Resource", "Transaction", "Conditional", "RequestLimit"];
        let shape = if of_dynamodb.iter().any(|start| self.code.starts_with(start)) {
            "com.amazonaws.dynamodb.v20120810"
        } else {
            "com.amazon.coral.service"
        };
        let mut body = json!({ "__type": format!("{shape}#{}", self.code), "message": self.message });
        if let (Some(body), Some(more)) = (body.as_object_mut(), self.more.as_object()) {
            body.extend(more.clone());
        }
        answer::typed(self.status, "application/x-amz-json-1.0", body.to_string())
    }

    fn s3_xml(&self, id: &str) -> Answer {
        let (code, message) = (escape(self.code.as_str()), escape(self.message.as_str()));
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             <RequestId>{id}</RequestId></Error>"
        );
        answer::typed(self.status, "application/xml", body)
    }

    fn query_xml(&self, id: &str) -> Answer {
        let (code, message) = (escape(self.code.as_str()), escape(self.message.as_str()));
        let side = if self.status.is_client_error() { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>{side}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
        );
        answer::typed(self.status, "text/xml", body)
    }
}
