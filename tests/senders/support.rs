//! What tests of messages share: waiting for what a server does by itself, and its words on giving up.

use std::time::Duration;

use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;
use portico_tests::tables::Tables;
use serde_json::Value;

/// Counts messages that are tried again.
pub const RETRIED: &str = "portico_messages_retried_total";

/// Counts messages that are given up.
pub const ABANDONED: &str = "portico_messages_abandoned_total";

/// Seconds after which whatever failed once is due again.
pub const FIRST_PAUSE: i64 = 45;

/// Waits until something holds.
///
/// # Panics
/// When it does not within some seconds.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("in vain waited until {what}");
}

/// Waits until a server has counted so much for a channel.
pub async fn until_counted(host: &NativeHost, name: &str, channel: &str, count: u64) {
    let what = format!("{name} of {channel} is {count}");
    until(&what, async || host.counted(name, channel).await >= count).await;
    assert_eq!(host.counted(name, channel).await, count, "{what}");
}

/// Waits until every message that was promised is sent or given up.
pub async fn until_nothing_is_promised(tables: &Tables) {
    until("no message is promised", async || tables.promised_messages().await == 0).await;
}

/// The one event that tells of a message given up.
///
/// # Panics
/// When there is not exactly one.
pub async fn given_up(host: &NativeHost) -> Value {
    let given_up = || -> Vec<Value> {
        let events = host.log().into_iter();
        events.filter(|event| event["message"] == "a message was given up").collect()
    };
    until("a message is given up", async || !given_up().is_empty()).await;
    let events = given_up();
    let [event] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(event["level"], "ERROR", "{event}");
    assert_eq!(event["message_id"].as_str().map(str::len), Some(26), "{event}");
    event.clone()
}

/// The mails to an address, oldest first.
pub async fn mails_to(emulators: &Emulators, to: &str) -> Vec<Value> {
    emulators.tell(&format!("/_mail?to={to}")).await.as_array().expect("a list").clone()
}

/// Their subjects, sorted.
pub async fn subjects(emulators: &Emulators, to: &str) -> Vec<String> {
    let mails = mails_to(emulators, to).await;
    let mut subjects: Vec<String> =
        mails.iter().map(|mail| mail["subject"].as_str().expect("a subject").to_owned()).collect();
    subjects.sort();
    subjects
}

/// The text messages to a number, oldest first.
pub async fn texts_to(emulators: &Emulators, number: &str) -> Vec<String> {
    let path = format!("/_aws/sns/sms-messages?phoneNumber={}", number.replace('+', "%2B"));
    let shown = emulators.tell(&path).await;
    let messages = shown["sms_messages"][number].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["Message"].as_str().expect("a text").to_owned()).collect()
}
