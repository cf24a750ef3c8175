//! SMS by SNS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use portico::clock::SystemClock;
use portico::sms::sns::SdkClient;
use portico_core::ports::sms::{Sms, SmsSender};
use portico_core::sns::SnsSms;
use serde_json::{Value, json};

use portico_tests::emulators::Emulators;

const NUMBER: &str = "+15005550006";

const REGION: &str = "us-east-1";

fn sms(to: &str) -> Sms {
    Sms { id: "01JABC".to_owned(), to: to.to_owned(), text: "Your code: 123456".to_owned() }
}

fn sender(emulators: &Emulators, sender_id: Option<&str>) -> SnsSms {
    sender_with(&emulators.config(), sender_id)
}

fn sender_with(config: &SdkConfig, sender_id: Option<&str>) -> SnsSms {
    let client = Arc::new(SdkClient::new(config, REGION.to_owned()));
    SnsSms::new(client, Arc::new(SystemClock), sender_id.map(str::to_owned))
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
    let emulators = Emulators::start();
    sender(&emulators, None).send(&sms(NUMBER)).await.unwrap();
    sender(&emulators, Some("Portico")).send(&sms(NUMBER)).await.unwrap();
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

#[tokio::test]
async fn a_refused_recipient_is_final_and_not_named() {
    let emulators = Emulators::start();
    let sender = sender(&emulators, None);
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

fn assert_silent(detail: &str, number: &str) {
    assert!(!detail.contains(&format!(" {number}")) && !detail.contains("123456"), "{detail}");
}

#[tokio::test]
async fn what_the_operator_can_mend_is_tried_again() {
    let emulators = Emulators::start();
    let wrong_id = sender(&emulators, Some("not a sender")).send(&sms(NUMBER)).await.unwrap_err();
    assert!(wrong_id.retry && wrong_id.detail.contains("SNS_SENDER_ID"), "{wrong_id}");
    let config = emulators.config_with("test", "wrong");
    let wrong_key = sender_with(&config, None).send(&sms(NUMBER)).await.unwrap_err();
    assert!(wrong_key.retry && wrong_key.detail.contains("credentials"), "{wrong_key}");
    refuse(&emulators, json!({"action": "error", "status": 403, "code": "AuthorizationError"})).await;
    let forbidden = sender(&emulators, None).send(&sms(NUMBER)).await.unwrap_err();
    assert!(forbidden.retry && forbidden.detail.contains("sns:Publish"), "{forbidden}");
    for error in [wrong_id, wrong_key, forbidden] {
        assert_silent(&error.detail, NUMBER);
    }
    assert!(messages(&emulators).await.is_empty());
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_at_once_and_then_left_to_the_outbox() {
    let emulators = Emulators::start();
    let sender = sender(&emulators, None);
    for (n, action) in ["throttle", "internal_error", "unavailable", "reset", "html"].into_iter().enumerate()
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

#[tokio::test]
async fn a_silent_peer_is_not_waited_for_longer_than_the_outbox_allows() {
    let emulators = Emulators::start();
    refuse(&emulators, json!({"action": "stall"})).await;
    let begun = Instant::now();
    let error = sender(&emulators, None).send(&sms(NUMBER)).await.unwrap_err();
    assert!(error.retry, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
