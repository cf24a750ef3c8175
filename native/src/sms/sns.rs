//! SNS through Amazon's SDK, which tries again what passes. What is published, and what failures mean, is core's to
//! decide ([`portico_core::sns`]).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::config;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use portico_core::aws::failure::Failure;
use portico_core::sns::{Publish, SnsClient};

use crate::aws::describe;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for an answer. It is generous, for a message that is sent again is paid for again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to SNS by Amazon's SDK.
pub struct SdkClient {
    client: Client,
}

impl SdkClient {
    /// Prepares connections to a region that sends SMS; opens none.
    #[must_use]
    pub fn new(config: &SdkConfig, region: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = config::Builder::from(config)
            .region(Region::new(region))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Asks SNS for its settings of SMS, which shows whether it can be used.
    ///
    /// # Errors
    /// What is wrong, in words for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        match self.client.get_sms_attributes().send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(describe(&error)),
        }
    }
}

#[async_trait]
impl SnsClient for SdkClient {
    async fn publish(&self, message: &Publish) -> Result<(), Failure> {
        let mut call = self.client.publish().phone_number(&message.phone_number).message(&message.message);
        for (name, value) in &message.attributes {
            call = call.message_attributes(*name, text(value));
        }
        call.send().await.map(drop).map_err(failure)
    }
}

#[expect(clippy::expect_used, reason = "the one member that must be there is")]
fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().expect("a type")
}

/// SNS's refusal, or that there is no answer. The SDK's own error holds the request, and is let go.
fn failure(error: SdkError<PublishError>) -> Failure {
    match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let (code, message) = (refusal.err().code(), refusal.err().message());
            Failure::refused(status, code.map(str::to_owned), message.unwrap_or_default())
        }
        other => Failure::unanswered(describe(&other)),
    }
}

impl fmt::Debug for SdkClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkClient").finish_non_exhaustive()
    }
}
