//! SNS's query protocol over HTTP.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::CONTENT_TYPE;
use portico_core::aws::budget::RetryBudget;
use portico_core::aws::failure::Failure;
use portico_core::aws::pacing::Pacing;
use portico_core::sns::{Publish, SnsClient};

use super::account::Account;
use super::sign::Signer;
use super::xml::{self, Document};

/// How long a message is tried, in milliseconds; the last attempt may end later. The outbox tries again after it.
const DEADLINE_MS: u64 = 5_000;

/// The version of SNS's API.
const VERSION: &str = "2010-03-31";

/// Sends each message as a signed HTTP request.
#[derive(Debug)]
pub struct FetchClient {
    account: Account,
    signer: Signer,
    endpoint: String,
    budget: RetryBudget,
}

impl FetchClient {
    /// A client of the region that sends SMS, or of the emulator that the settings name.
    #[must_use]
    pub fn new(account: Account) -> Self {
        let region = &account.settings.sns_region;
        let (signer, endpoint) = (account.signer("sns", region), account.endpoint("sns", region));
        Self { account, signer, endpoint, budget: RetryBudget::default() }
    }

    async fn attempt(&self, form: &Bytes) -> Result<(), Failure> {
        let request = self.signed(form.clone())?;
        let answer = self.account.http.send(request).await;
        let answer = answer.map_err(|error| Failure::unanswered(error.to_string()).caused_by(error))?;
        let (status, body) = (answer.status(), answer.body());
        match xml::read(body) {
            _ if !status.is_success() => Err(xml::failure(status.as_u16(), body)),
            Some(Document::PublishResponse {}) => Ok(()),
            _ => Err(xml::no_success(status.as_u16(), body)),
        }
    }

    fn signed(&self, form: Bytes) -> Result<http::Request<Bytes>, Failure> {
        let mut request = http::Request::post(&self.endpoint)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(form)
            .map_err(unmade)?;
        self.signer.sign(&mut request).map_err(unmade)?;
        Ok(request)
    }
}

#[async_trait]
impl SnsClient for FetchClient {
    async fn publish(&self, message: &Publish) -> Result<(), Failure> {
        let form = Bytes::from(form(message));
        let pacing = Pacing::new(&*self.account.clock, &*self.account.entropy, DEADLINE_MS);
        pacing.within(&self.budget).repeat("Publish", || self.attempt(&form)).await
    }
}

fn unmade(error: impl Error + Send + Sync + 'static) -> Failure {
    Failure::unmade(error.to_string()).caused_by(error)
}

fn form(Publish { phone_number, message, attributes }: &Publish) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "Publish").append_pair("Version", VERSION);
    form.append_pair("PhoneNumber", phone_number).append_pair("Message", message);
    for (number, (name, value)) in (1..).zip(attributes) {
        let entry = |member: &str| format!("MessageAttributes.entry.{number}.{member}");
        form.append_pair(&entry("Name"), name)
            .append_pair(&entry("Value.DataType"), "String")
            .append_pair(&entry("Value.StringValue"), value);
    }
    form.finish()
}

#[cfg(test)]
mod tests;
