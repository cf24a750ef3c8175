//! SMS by Amazon SNS, all but the transport: what is published, and what a failure means.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::{Either, select};

use crate::{
    aws::failure::Failure,
    ports::{
        clock::Clock,
        mailer::SendError,
        sms::{Sms, SmsSender},
    },
};

/// The longest that handing one message over may take; below the outbox's first pause.
const TIMEOUT_MS: u64 = 20_000;

/// Sends requests to SNS.
#[async_trait]
pub trait SnsClient: fmt::Debug + Send + Sync + 'static {
    /// Publishes until there is an answer, a failure that does not pass, or no time left.
    ///
    /// # Behavior
    /// A message that is sent again may arrive twice and is paid for again: an answer is waited for generously.
    ///
    /// # Errors
    /// [`Failure`] when SNS refuses, or there is no answer that can be understood. SNS's words repeat the recipient.
    async fn publish(&self, message: &Publish) -> Result<(), Failure>;
}

/// The parameters of a `Publish`. Its `Debug` shows no content, which may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// `PhoneNumber`, E.164.
    pub phone_number: String,
    /// `Message`.
    pub message: String,
    /// `MessageAttributes`, all of the type `String`.
    pub attributes: Vec<(&'static str, String)>,
}

/// Hands messages to SNS, which sends those with codes before others (`Transactional`).
#[derive(Debug)]
pub struct SnsSms {
    client: Arc<dyn SnsClient>,
    clock: Arc<dyn Clock>,
    sender_id: Option<String>,
}

impl SnsSms {
    /// The sender's id is shown instead of a number, where a country allows it: at most 11 letters and digits, of which
    /// one is a letter.
    #[must_use]
    pub fn new(client: Arc<dyn SnsClient>, clock: Arc<dyn Clock>, sender_id: Option<String>) -> Self {
        Self { client, clock, sender_id }
    }

    fn message(&self, sms: &Sms) -> Publish {
        let mut attributes = vec![("AWS.SNS.SMS.SMSType", "Transactional".to_owned())];
        attributes.extend(self.sender_id.clone().map(|id| ("AWS.SNS.SMS.SenderID", id)));
        Publish { phone_number: sms.to.clone(), message: sms.text.clone(), attributes }
    }
}

#[async_trait]
impl SmsSender for SnsSms {
    async fn send(&self, sms: &Sms) -> Result<(), SendError> {
        let message = self.message(sms);
        match select(self.client.publish(&message), self.clock.sleep(TIMEOUT_MS)).await {
            Either::Left((outcome, _)) => outcome.map_err(|failure| classify(&failure)),
            Either::Right(_) => {
                Err(SendError::temporary(format!("SNS: not handed over within {} s", TIMEOUT_MS / 1000)))
            }
        }
    }
}

/// Only a refusal of this very recipient or text is final: credentials, budgets and a wrong sender's id are the
/// operator's to mend, and the message outlives the mending. SNS's own words are left out, for they repeat the number.
fn classify(failure: &Failure) -> SendError {
    let code = match (failure.code.as_deref(), failure.status) {
        (Some(code), _) => code,
        (None, Some(status)) => return SendError::temporary(format!("SNS: status {status}")),
        (None, None) => return SendError::temporary(format!("SNS: {}", failure.message)),
    };
    let passing = |advice: &str| SendError::temporary(format!("SNS: {code}: {advice}"));
    let lasting = |advice: &str| SendError::permanent(format!("SNS: {code}: {advice}"));
    match code {
        "OptedOut" | "OptedOutException" => lasting("the recipient wants no messages"),
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" | "ValidationException"
            if failure.message.contains("MessageAttributes") =>
        {
            passing("set SNS_SENDER_ID to 1 to 11 letters and digits")
        }
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" | "ValidationException" => {
            lasting("the recipient or the text is refused")
        }
        "AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" => {
            passing("allow the AWS credentials sns:Publish")
        }
        "RequestExpired" => passing("this machine's clock is wrong: synchronize it"),
        "SignatureDoesNotMatch" | "InvalidClientTokenId" | "ExpiredToken" | "InvalidSecurity" => {
            passing("the AWS credentials are wrong or expired, or this machine's clock is wrong")
        }
        _ => SendError::temporary(format!("SNS: {code}")),
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::executor::block_on;

    use super::*;
    use crate::{memory::clock::ManualClock, memory::restless_clock::RestlessClock};

    /// Takes every message, or never answers.
    #[derive(Debug, Default)]
    struct Taker {
        taken: Mutex<Vec<Publish>>,
        is_silent: bool,
    }

    #[async_trait]
    impl SnsClient for Taker {
        async fn publish(&self, message: &Publish) -> Result<(), Failure> {
            self.taken.lock().unwrap().push(message.clone());
            if self.is_silent { std::future::pending().await } else { Ok(()) }
        }
    }

    fn sms() -> Sms {
        Sms { id: "01J".into(), to: "+15005550006".into(), text: "code 123456".into() }
    }

    fn refused(code: &str, message: &str) -> SendError {
        classify(&Failure::refused(400, Some(code.to_owned()), message))
    }

    #[test]
    fn a_message_goes_before_others_and_under_the_senders_name() {
        let taker = Arc::new(Taker::default());
        for id in [None, Some("Portico".to_owned())] {
            let sender = SnsSms::new(taker.clone(), Arc::new(ManualClock::default()), id);
            block_on(sender.send(&sms())).unwrap();
        }
        let taken = taker.taken.lock().unwrap();
        assert_eq!((&*taken[0].phone_number, &*taken[0].message), ("+15005550006", "code 123456"));
        assert_eq!(taken[0].attributes, [("AWS.SNS.SMS.SMSType", "Transactional".to_owned())]);
        assert_eq!(taken[1].attributes[1], ("AWS.SNS.SMS.SenderID", "Portico".to_owned()));
        assert!(!format!("{taken:?}").contains("123456"));
    }

    #[test]
    fn a_silent_peer_is_not_waited_for_longer_than_the_outbox_allows() {
        let taker = Arc::new(Taker { is_silent: true, ..Taker::default() });
        let clock = Arc::new(RestlessClock::default());
        let error = block_on(SnsSms::new(taker, clock.clone(), None).send(&sms())).unwrap_err();
        assert!(error.retry && error.detail.contains("20 s"), "{error}");
        assert_eq!(clock.pauses(), [TIMEOUT_MS]);
    }

    #[test]
    fn only_a_refused_recipient_or_text_is_final() {
        for code in ["OptedOut", "InvalidParameter", "InvalidParameterValue", "ValidationException"] {
            let error = refused(code, "Invalid parameter: PhoneNumber +15005550006");
            assert!(!error.retry && error.detail.contains(code), "{error}");
            assert!(!error.detail.contains("+15005550006"), "{error}");
        }
        for (code, message, advice) in [
            ("InvalidParameterValue", "MessageAttributes AWS.SNS.SMS.SenderID", "SNS_SENDER_ID"),
            ("AuthorizationError", "", "sns:Publish"),
            ("RequestExpired", "", "clock"),
            ("SignatureDoesNotMatch", "", "credentials"),
            ("Throttled", "", "Throttled"),
        ] {
            let error = refused(code, message);
            assert!(error.retry && error.detail.contains(advice), "{code}: {error}");
        }
        assert_eq!(classify(&Failure::refused(502, None, "a page")).detail, "SNS: status 502");
        assert_eq!(classify(&Failure::unanswered("cut")).detail, "SNS: cut");
    }
}
