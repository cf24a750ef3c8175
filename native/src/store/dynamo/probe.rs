//! A first look at DynamoDB, for operators: whether it answers, and what time it has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use portico_core::dynamo::client::Failure;

use super::{SdkClient, failure};

/// What one request brought.
#[derive(Debug)]
pub struct Probe {
    /// Whether it was answered; that the table is missing is an answer too.
    pub answer: Result<(), Failure>,
    /// The time of the answer by DynamoDB's clock, whatever it was.
    pub time: Option<SystemTime>,
}

/// Reads the time off the answer.
#[derive(Clone, Debug, Default)]
struct Time(Arc<Mutex<Option<SystemTime>>>);

impl SdkClient {
    /// Asks once how a table is made.
    pub async fn probe(&self, table: &str) -> Probe {
        let time = Time::default();
        let call = self.client.describe_table().table_name(table).customize().interceptor(time.clone());
        let answer = match call.send().await.map_err(failure::of) {
            Err(failure) if failure.code.as_deref() != Some("ResourceNotFoundException") => Err(failure),
            _ => Ok(()),
        };
        let time = *time.0.lock().unwrap_or_else(PoisonError::into_inner);
        Probe { answer, time }
    }
}

impl Intercept for Time {
    fn name(&self) -> &'static str {
        "Time"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time.and_then(|time| time.try_into().ok());
        Ok(())
    }
}
