//! What the product asks of SNS.

use crate::process::{Answer, Emulators};
use crate::signer::signer;
use serde_json::{Value, json};

pub(crate) async fn publish(emulators: &Emulators, pairs: &[(&str, &str)]) -> Answer {
    let mut all = vec![("Action", "Publish"), ("Version", "2010-03-31")];
    all.extend(pairs);
    signer("sns").sns(emulators, &all).send(emulators).await
}

#[tokio::test]
async fn messages_are_kept_and_shown_as_localstack_shows_them() {
    let emulators = Emulators::start(&[]);
    let sent = publish(
        &emulators,
        &[
            ("PhoneNumber", "+4915112345678"),
            ("Message", "Your code: 123 <&> ä"),
            ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "Transactional"),
            ("MessageAttributes.entry.2.Name", "AWS.SNS.SMS.SenderID"),
            ("MessageAttributes.entry.2.Value.DataType", "String"),
            ("MessageAttributes.entry.2.Value.StringValue", "Portico"),
        ],
    )
    .await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    publish(&emulators, &[("PhoneNumber", "+15555550100"), ("Message", "other")]).await;

    let shown = emulators.admin_json("/_aws/sns/sms-messages").await;
    let message = &shown["sms_messages"]["+4915112345678"][0];
    assert_eq!(message["Message"], "Your code: 123 <&> ä");
    assert_eq!(message["PhoneNumber"], "+4915112345678");
    assert_eq!(message["MessageAttributes"]["AWS.SNS.SMS.SenderID"]["StringValue"], "Portico");
    assert!(sent.text().contains(message["MessageId"].as_str().unwrap()));

    let one = emulators.admin_json("/_aws/sns/sms-messages?phoneNumber=%2B15555550100").await;
    assert_eq!(one["sms_messages"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(
        emulators.admin("DELETE", "/_aws/sns/sms-messages?phoneNumber=%2B15555550100", "").await.status,
        204
    );
    let left = emulators.admin_json("/_aws/sns/sms-messages").await;
    assert_eq!(left["sms_messages"].as_object().unwrap().keys().collect::<Vec<_>>(), ["+4915112345678"]);
    emulators.admin("DELETE", "/_aws/sns/sms-messages", "").await;
    assert_eq!(emulators.admin_json("/_aws/sns/sms-messages").await["sms_messages"], json!({}));
}

#[tokio::test]
async fn what_sns_would_not_send_is_refused() {
    let emulators = Emulators::start(&[]);
    let long = "x".repeat(1601);
    let attribute = |name: &'static str, value: &'static str| {
        vec![
            ("PhoneNumber", "+4915112345678"),
            ("Message", "x"),
            ("MessageAttributes.entry.1.Name", name),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", value),
        ]
    };
    for pairs in [
        vec![("PhoneNumber", "015112345678"), ("Message", "x")],
        vec![("PhoneNumber", "+0151123456"), ("Message", "x")],
        vec![("PhoneNumber", "+49 151 123456"), ("Message", "x")],
        vec![("PhoneNumber", "+49"), ("Message", "x")],
        vec![("PhoneNumber", "+1234567890123456"), ("Message", "x")],
        vec![("Message", "x")],
        vec![("PhoneNumber", "+4915112345678")],
        vec![("PhoneNumber", "+4915112345678"), ("Message", "")],
        vec![("PhoneNumber", "+4915112345678"), ("Message", long.as_str())],
        attribute("AWS.SNS.SMS.SMSType", "Urgent"),
        attribute("AWS.SNS.SMS.SenderID", "much too long"),
        attribute("AWS.SNS.SMS.SenderID", "12345"),
    ] {
        let refused = publish(&emulators, &pairs).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, "InvalidParameter"),
            "{pairs:?}"
        );
    }
    let topic =
        publish(&emulators, &[("TopicArn", "arn:aws:sns:us-east-1:000000000000:t"), ("Message", "x")]).await;
    assert_eq!((topic.status.as_u16(), topic.code().as_str()), (404, "NotFound"));
    let unknown = signer("sns").sns(&emulators, &[("Action", "Shout")]).send(&emulators).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (400, "InvalidAction"));
    assert_eq!(emulators.admin_json("/_aws/sns/sms-messages").await["sms_messages"], json!({}));
}

#[tokio::test]
async fn settings_of_the_account_are_kept() {
    let emulators = Emulators::start(&[]);
    let ask = |pairs: Vec<(&'static str, &'static str)>| {
        let emulators = &emulators;
        async move { signer("sns").sns(emulators, &pairs).send(emulators).await }
    };
    let set = ask(vec![
        ("Action", "SetSMSAttributes"),
        ("attributes.entry.1.key", "MonthlySpendLimit"),
        ("attributes.entry.1.value", "10"),
    ]);
    assert_eq!(set.await.status, 200);
    let shown = ask(vec![("Action", "GetSMSAttributes")]).await.text();
    assert!(shown.contains("<key>MonthlySpendLimit</key><value>10</value>"), "{shown}");
    let wrong = ask(vec![
        ("Action", "SetSMSAttributes"),
        ("attributes.entry.1.key", "Nonsense"),
        ("attributes.entry.1.value", "10"),
    ]);
    assert_eq!(wrong.await.code(), "InvalidParameter");
    let topics = ask(vec![("Action", "ListTopics")]).await;
    assert_eq!((topics.status.as_u16(), topics.text().contains("<Topics/>")), (200, true));
    assert_eq!(emulators.admin_json("/_calls").await["counts"]["sns"]["ListTopics"], Value::from(1));
}
