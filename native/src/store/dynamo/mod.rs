//! DynamoDB through Amazon's SDK: core's requests as the SDK's, and its answers as core's.
//!
//! One call is one attempt. What failures mean and whether to ask again is core's to decide
//! ([`portico_core::dynamo`]).
//!
//! - [`attribute`]: values both ways · [`items`]: the operations on items · [`tables`]: those on tables
//! - [`failure`]: what the SDK makes of refusals and broken connections · [`probe`]: a first look, for operators

mod attribute;
mod failure;
mod items;
pub mod probe;
mod tables;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use portico_core::dynamo::client::{Answer, DynamoClient, Failure};
use portico_core::dynamo::request::Request;

/// How long one attempt may take, getting credentials and a connection included: short enough that a request which was
/// stalled is answered within five seconds of the end of the trouble.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Sends requests to DynamoDB by Amazon's SDK.
#[derive(Clone)]
pub struct SdkClient {
    client: Client,
}

impl SdkClient {
    /// A client of the account and the address that the configuration names.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let timeouts = match config.timeout_config() {
            Some(shared) => shared.to_builder(),
            None => TimeoutConfig::builder(),
        };
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
            .build();
        Self { client: Client::from_conf(config) }
    }
}

#[async_trait]
impl DynamoClient for SdkClient {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let client = &self.client;
        match request {
            Request::GetItem(get) => items::get(client, get).await,
            Request::PutItem(put) => items::put(client, put).await,
            Request::DeleteItem(delete) => items::delete(client, delete).await,
            Request::TransactWriteItems(writes) => items::transact(client, writes).await,
            Request::Query(query) => items::query(client, query).await,
            Request::Scan(scan) => items::scan(client, scan).await,
            Request::CreateTable(creation) => tables::create(client, creation).await,
            Request::DescribeTable(table) => tables::describe(client, table).await,
            Request::UpdateTable(update) => tables::update(client, update).await,
            Request::DescribeTimeToLive(table) => tables::describe_expiry(client, table).await,
            Request::UpdateTimeToLive(update) => tables::update_expiry(client, update).await,
        }
    }
}

impl fmt::Debug for SdkClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkClient").finish_non_exhaustive()
    }
}
