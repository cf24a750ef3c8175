//! The one endpoint: tells the services apart, counts, misbehaves if a rule says so, checks signatures, and
//! hands on.

use crate::admin;
use crate::answer::{Answer, BoxError};
use crate::calls::{Call, Calls, Write};
use crate::connection::Connection;
use crate::dynamodb::{self, DynamoDb};
use crate::faults::Faults;
use crate::mail::Mailbox;
use crate::misbehaviour::Hit;
use crate::refusal::AwsError;
use crate::s3::{self, S3};
use crate::service::{self, Service};
use crate::signature::Verifier;
use crate::sns::{self, Sns};
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use std::sync::Arc;

/// DynamoDB takes at most 16 MiB in a request; SNS far less.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// All that an HTTP request can reach.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) verifier: Verifier,
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) s3: S3,
    pub(crate) sns: Sns,
    pub(crate) mailbox: Arc<Mailbox>,
    /// The authority that clients of the mail server must trust, as PEM.
    pub(crate) mail_authority: Option<String>,
    /// What listens where.
    pub(crate) addresses: Value,
}

/// A request that was told apart: S3's bodies are not read ahead, unless a rule hits.
enum Asked {
    DynamoDb(Bytes),
    Sns(Bytes),
    S3(s3s::Body),
}

impl Front {
    pub(crate) async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Answer {
        let (parts, body) = request.into_parts();
        if parts.uri.path().starts_with("/_") {
            return admin::answer(self, &parts, body).await;
        }
        let service = Service::of(&parts);
        if service == Service::S3 && s3::is_preflight(&parts) {
            return s3::preflight(&parts.headers);
        }
        let asked = match service {
            Service::S3 => Asked::S3(s3s::Body::from(body)),
            _ => match Limited::new(body, MAX_BODY).collect().await {
                Ok(body) if service == Service::DynamoDb => Asked::DynamoDb(body.to_bytes()),
                Ok(body) => Asked::Sns(body.to_bytes()),
                Err(_) => {
                    return AwsError::new(413, "RequestTooLarge", "Request body is too large")
                        .answer(service);
                }
            },
        };
        self.answer_service(service, parts, asked, connection).await
    }

    async fn answer_service(
        &self,
        service: Service,
        parts: Parts,
        asked: Asked,
        connection: &Connection,
    ) -> Answer {
        let operation = asked.operation(&parts);
        let (resource, writes) = (asked.resource(&parts), asked.writes());
        let items = writes.len();
        let number =
            self.calls.add(Call { service, operation: operation.clone(), resource, writes, units: None });
        let Some(rule) = self.faults.draw(service, &operation) else {
            return self.work(parts, &operation, asked, number).await;
        };
        let Ok(asked) = asked.read_ahead().await else { return connection.cut().await };
        let hit = Hit { rule, service, operation: &operation, items, connection };
        hit.answer(self.work(parts, &operation, asked, number)).await
    }

    async fn work(&self, parts: Parts, operation: &str, asked: Asked, number: u64) -> Answer {
        let (service, verified) = match &asked {
            Asked::DynamoDb(body) => {
                (Service::DynamoDb, self.verifier.verify(Service::DynamoDb, &parts, body))
            }
            Asked::Sns(body) => (Service::Sns, self.verifier.verify(Service::Sns, &parts, body)),
            Asked::S3(_) => (Service::S3, self.verifier.verify_scope(Service::S3, &parts)),
        };
        if let Err(refusal) = verified {
            return AwsError::of(refusal, service).answer(service);
        }
        match asked {
            Asked::DynamoDb(body) => {
                let (answer, units) = self.dynamodb.answer(&parts, operation, body).await;
                if let Some(units) = units {
                    self.calls.tell_units(number, units);
                }
                answer
            }
            Asked::Sns(body) => self.sns.answer(operation, &body),
            Asked::S3(body) => self.s3.answer(parts, body).await,
        }
    }
}

impl Asked {
    /// Reads the body to its end, so that a client that is refused is not still sending.
    async fn read_ahead(self) -> Result<Self, BoxError> {
        match self {
            Self::S3(body) => Ok(Self::S3(s3s::Body::from(body.collect().await?.to_bytes()))),
            other => Ok(other),
        }
    }

    fn operation(&self, parts: &Parts) -> String {
        match self {
            Self::DynamoDb(_) => service::dynamodb_operation(parts),
            Self::Sns(body) => sns::operation(body),
            Self::S3(_) => service::s3_operation(parts).to_owned(),
        }
    }

    fn writes(&self) -> Vec<Write> {
        match self {
            Self::DynamoDb(body) => dynamodb::writes(body),
            Self::Sns(_) | Self::S3(_) => Vec::new(),
        }
    }

    fn resource(&self, parts: &Parts) -> Option<String> {
        match self {
            Self::DynamoDb(body) => dynamodb::resource(body),
            Self::Sns(_) => None,
            Self::S3(_) => {
                Some(parts.uri.path().trim_start_matches('/').to_owned()).filter(|path| !path.is_empty())
            }
        }
    }
}
