//! SMS by SNS, over real sockets, by each adapter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico::clock::SystemClock;
use portico::sms::sns::SdkClient;
use portico_core::config::aws::AwsSettings;
use portico_core::ports::sms::{Sms, SmsSender};
use portico_core::sns::{SnsClient, SnsSms};
use portico_edge::aws::sns::FetchClient;
use serde_json::{Value, json};

use portico_tests::emulators::{Emulators, account, config};

const NUMBER: &str = "+15005550006";

fn sms(to: &str) -> Sms {
    Sms { id: "01JABC".to_owned(), to: to.to_owned(), text: "Your code: 123456".to_owned() }
}

/// What sends requests to SNS: Amazon's SDK, as natively, or signed HTTP requests, as on the edge.
#[derive(Clone, Copy, Debug)]
enum Adapter {
    Sdk,
    Fetch,
}

impl Adapter {
    const ALL: [Self; 2] = [Self::Sdk, Self::Fetch];

    fn sender(self, emulators: &Emulators, sender_id: Option<&str>) -> SnsSms {
        self.sender_with(&emulators.settings(), sender_id)
    }

    fn sender_with(self, settings: &AwsSettings, sender_id: Option<&str>) -> SnsSms {
        let clock = Arc::new(SystemClock);
        let client: Arc<dyn SnsClient> = match self {
            Self::Sdk => Arc::new(SdkClient::new(&config(settings), settings.sns_region.clone())),
            Self::Fetch => Arc::new(FetchClient::new(account(settings, clock.clone()))),
        };
        SnsSms::new(client, clock, sender_id.map(str::to_owned))
    }
}

async fn messages(emulators: &Emulators) -> Vec<Value> {
    let path = format!("/_aws/sns/sms-messages?phoneNumber={}", NUMBER.replace('+', "%2B"));
    let shown = emulators.tell(&path).await;
    shown["sms_messages"][NUMBER].as_array().unwrap().clone()
}

async fn refuse(emulators: &Emulators, action: Value) {
    let mut rule = json!({"service": "sns", "operation": "Publish"});
    rule.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    emulators.misbehave(rule).await;
}

#[tokio::test]
async fn a_message_arrives_with_its_attributes() {
    for adapter in Adapter::ALL {
        let emulators = Emulators::start();
        adapter.sender(&emulators, None).send(&sms(NUMBER)).await.unwrap();
        adapter.sender(&emulators, Some("Portico")).send(&sms(NUMBER)).await.unwrap();
        let messages = messages(&emulators).await;
        assert_eq!(messages.len(), 2);
        for message in &messages {
            assert_eq!(message["Message"], "Your code: 123456");
            let attributes = &message["MessageAttributes"];
            assert_eq!(attributes["AWS.SNS.SMS.SMSType"]["StringValue"], "Transactional");
            assert_eq!(attributes["AWS.SNS.SMS.SMSType"]["DataType"], "String");
        }
        assert_eq!(messages[0]["MessageAttributes"].get("AWS.SNS.SMS.SenderID"), None);
        assert_eq!(messages[1]["MessageAttributes"]["AWS.SNS.SMS.SenderID"]["StringValue"], "Portico");
    }
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_not_named() {
    for adapter in Adapter::ALL {
        let emulators = Emulators::start();
        let sender = adapter.sender(&emulators, None);
        for wrong in ["+1", "12345", "+0123456789", "nobody"] {
            let error = sender.send(&sms(wrong)).await.unwrap_err();
            assert!(!error.retry, "{wrong}: {error}");
            assert!(error.detail.contains("InvalidParameter"), "{error}");
            assert_silent(&error.detail, wrong);
        }
        refuse(
        &emulators,
        json!({
            "action": "error", "status": 400, "code": "OptedOut", "message": format!("{NUMBER} has opted out")
        }),
    )
    .await;
        let error = sender.send(&sms(NUMBER)).await.unwrap_err();
        assert!(!error.retry && error.detail.contains("OptedOut"), "{error}");
        assert_silent(&error.detail, NUMBER);
    }
}

fn assert_silent(detail: &str, number: &str) {
    assert!(!detail.contains(&format!(" {number}")) && !detail.contains("123456"), "{detail}");
}

#[tokio::test]
async fn what_the_operator_can_mend_is_tried_again() {
    for adapter in Adapter::ALL {
        let emulators = Emulators::start();
        let wrong_id = adapter.sender(&emulators, Some("not a sender")).send(&sms(NUMBER)).await.unwrap_err();
        assert!(wrong_id.retry && wrong_id.detail.contains("SNS_SENDER_ID"), "{wrong_id}");
        let settings = emulators.settings_with("test", "wrong");
        let wrong_key = adapter.sender_with(&settings, None).send(&sms(NUMBER)).await.unwrap_err();
        assert!(wrong_key.retry && wrong_key.detail.contains("credentials"), "{wrong_key}");
        refuse(&emulators, json!({"action": "error", "status": 403, "code": "AuthorizationError"})).await;
        let forbidden = adapter.sender(&emulators, None).send(&sms(NUMBER)).await.unwrap_err();
        assert!(forbidden.retry && forbidden.detail.contains("sns:Publish"), "{forbidden}");
        for error in [wrong_id, wrong_key, forbidden] {
            assert_silent(&error.detail, NUMBER);
        }
        assert!(messages(&emulators).await.is_empty());
    }
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_at_once_and_then_left_to_the_outbox() {
    for adapter in Adapter::ALL {
        let emulators = Emulators::start();
        let sender = adapter.sender(&emulators, None);
        for (n, action) in
            ["throttle", "internal_error", "unavailable", "reset", "html"].into_iter().enumerate()
        {
            refuse(&emulators, json!({"action": action, "times": 2})).await;
            sender.send(&sms(NUMBER)).await.unwrap_or_else(|error| panic!("{action}: {error}"));
            assert_eq!(messages(&emulators).await.len(), n + 1);
            emulators.behave().await;
        }
        for action in ["throttle", "internal_error", "unavailable", "reset"] {
            refuse(&emulators, json!({"action": action})).await;
            let error = sender.send(&sms(NUMBER)).await.unwrap_err();
            assert!(error.retry, "{action}: {error}");
            assert_silent(&error.detail, NUMBER);
            emulators.behave().await;
        }
        assert_eq!(messages(&emulators).await.len(), 5);
    }
}

#[tokio::test]
async fn a_silent_peer_is_not_waited_for_longer_than_the_outbox_allows() {
    for adapter in Adapter::ALL {
        let emulators = Emulators::start();
        refuse(&emulators, json!({"action": "stall"})).await;
        let begun = Instant::now();
        let error = adapter.sender(&emulators, None).send(&sms(NUMBER)).await.unwrap_err();
        assert!(error.retry, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
