//! SMS by Amazon SNS.

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
use portico_core::ports::mailer::SendError;
use portico_core::ports::sms::{Sms, SmsSender};

use crate::aws::describe;

/// The longest that handing one message over may take; below the outbox's first pause.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for an answer. It is generous, for a message that is sent again is paid for again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands messages to SNS, which sends those with codes before others (`Transactional`).
pub struct SnsSms {
    client: Client,
    sender_id: Option<String>,
}

impl SnsSms {
    /// Prepares connections to a region that sends SMS; opens none. The sender's id is shown instead of a number, where a
    /// country allows it: at most 11 letters and digits, of which one is a letter.
    #[must_use]
    pub fn new(config: &SdkConfig, region: String, sender_id: Option<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = config::Builder::from(config)
            .region(Region::new(region))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), sender_id }
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

    async fn publish(&self, sms: &Sms) -> Result<(), SdkError<PublishError>> {
        let mut request = self.client.publish().phone_number(&sms.to).message(&sms.text);
        request = request.message_attributes("AWS.SNS.SMS.SMSType", text("Transactional"));
        if let Some(id) = &self.sender_id {
            request = request.message_attributes("AWS.SNS.SMS.SenderID", text(id));
        }
        request.send().await.map(drop)
    }
}

#[async_trait]
impl SmsSender for SnsSms {
    async fn send(&self, sms: &Sms) -> Result<(), SendError> {
        match tokio::time::timeout(TIMEOUT, self.publish(sms)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SendError::temporary(format!("SNS: not handed over within {TIMEOUT:?}"))),
        }
    }
}

#[expect(clippy::expect_used, reason = "the one member that must be there is")]
fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().expect("a type")
}

/// Only a refusal of this very recipient or text is final: credentials, budgets and a wrong sender's id are the
/// operator's to mend, and the message outlives the mending. SNS's own words are left out, for they repeat the number.
fn classify(error: &SdkError<PublishError>) -> SendError {
    let Some(service) = error.as_service_error() else {
        return SendError::temporary(format!("SNS: {}", describe(error)));
    };
    let code = service.code().unwrap_or("an error without a name");
    let words = service.message().unwrap_or_default();
    match code {
        "OptedOut" | "OptedOutException" => {
            SendError::permanent(format!("SNS: {code}: the recipient wants no messages"))
        }
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" | "ValidationException"
            if words.contains("MessageAttributes") =>
        {
            SendError::temporary(format!("SNS: {code}: set SNS_SENDER_ID to 1 to 11 letters and digits"))
        }
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" | "ValidationException" => {
            SendError::permanent(format!("SNS: {code}: the recipient or the text is refused"))
        }
        "AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" => {
            SendError::temporary(format!("SNS: {code}: allow the AWS credentials sns:Publish"))
        }
        "RequestExpired" => {
            SendError::temporary(format!("SNS: {code}: this machine's clock is wrong: synchronize it"))
        }
        "SignatureDoesNotMatch" | "InvalidClientTokenId" | "ExpiredToken" | "InvalidSecurity" => {
            SendError::temporary(format!(
                "SNS: {code}: the AWS credentials are wrong or expired, or this machine's clock is wrong"
            ))
        }
        _ => SendError::temporary(format!("SNS: {code}")),
    }
}

impl fmt::Debug for SnsSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnsSms").field("sender_id", &self.sender_id).finish_non_exhaustive()
    }
}
