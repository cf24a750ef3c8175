//! Mail posted to `portico relay` and handed on to a mail server, both over real sockets.

use std::path::Path;
use std::time::Duration;

use portico_tests::emulators::Emulators;
use portico_tests::relay::{RelayHost, TOKEN};
use serde_json::{Value, json};

const TO: &str = "canary-recipient@example.com";
const ID: &str = "01KHXAZZ7M2V4S6T8R0P1Q3W5Y";

fn message() -> Value {
    json!({
        "from": "Portico <noreply@example.com>",
        "to": TO,
        "subject": "Recover your account (canary-subject)",
        "text": "To choose a new password, enter this code:\n\n    canary-text-ABC234\n.\n\u{c4}ndern.\n",
        "html": "<p>To choose a new password, enter this code: <b>canary-html-ABC234</b></p>",
        "message_id": ID,
    })
}

fn message_with(member: &str, value: &str) -> Value {
    let mut message = message();
    message[member] = json!(value);
    message
}

async fn received(emulators: &Emulators) -> Vec<Value> {
    emulators.tell(&format!("/_mail?to={TO}")).await.as_array().unwrap().clone()
}

/// Waits until so many mails have come, for some seconds more than the outbox pauses first.
async fn await_mails(emulators: &Emulators, relay: &RelayHost, count: usize) -> Vec<Value> {
    for _ in 0..900 {
        let mails = received(emulators).await;
        if mails.len() >= count {
            return mails;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{count} mails did not come: {}", relay.log());
}

/// Waits for a line of the log.
async fn await_log(relay: &RelayHost, wanted: &str) {
    for _ in 0..400 {
        if relay.log().contains(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the log never says {wanted:?}: {}", relay.log());
}

#[tokio::test]
async fn a_message_is_taken_over_and_delivered_once_however_often_it_is_posted() {
    let emulators = Emulators::start();
    let relay = RelayHost::start(&emulators).await;
    assert_eq!(relay.post(&message()).await.expect(202).json(), json!({ "message_id": ID }));
    let again = relay.post(&message()).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let mails = await_mails(&emulators, &relay, 1).await;
    let mail = &mails[0];
    assert_eq!((&mail["from"], &mail["to"]), (&json!("noreply@example.com"), &json!([TO])));
    assert_eq!(mail["subject"], "Recover your account (canary-subject)");
    let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), message()["text"].as_str().unwrap().trim_end());
    assert!(mail["html"].as_str().unwrap().contains("<b>canary-html-ABC234</b>"), "{mail}");
    assert!(mail["raw"].as_str().unwrap().contains(&format!("<{ID}@example.com>")), "{mail}");

    // Nor is it a second message after it was sent, or after a restart.
    relay.post(&message()).await.expect(202);
    relay.stop().await;
    relay.serve().await;
    relay.post(&message()).await.expect(202);
    relay.post(&message_with("message_id", "another")).await.expect(202);
    let mails = await_mails(&emulators, &relay, 2).await;
    let ids = mails.iter().filter(|mail| mail["raw"].as_str().unwrap().contains(ID)).count();
    assert_eq!((mails.len(), ids), (2, 1));
}

#[tokio::test]
async fn it_is_no_open_relay() {
    let emulators = Emulators::start();
    let relay = RelayHost::start(&emulators).await;
    let refused = relay.post_as("another-token-of-more-than-32-characters", &message()).await;
    let refused = refused.expect_problem(401, "invalid_token");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    relay.post_as("", &message()).await.expect_problem(401, "unauthenticated");
    let others = message_with("from", "eve@example.com");
    relay.post(&others).await.expect_invalid(&[("/from", "not_allowed")]);
    let several = message_with("to", &format!("{TO}, eve@example.com"));
    relay.post(&several).await.expect_invalid(&[("/to", "invalid_format")]);
    let headers = message_with("subject", "a\r\nBcc: eve@example.com");
    relay.post(&headers).await.expect_invalid(&[("/subject", "invalid_characters")]);
    let long = message_with("text", &"a".repeat(256 * 1024));
    relay.post(&long).await.expect_problem(413, "body_too_large");
    relay.stop().await;
    assert_eq!(emulators.calls("smtp", "CONNECT").await, 0, "nothing of it was tried");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_a_dead_mail_server() {
    let emulators = Emulators::start();
    let relay = RelayHost::start(&emulators).await;
    emulators.misbehave(json!({"service": "smtp", "operation": "CONNECT", "action": "reset"})).await;
    relay.post(&message()).await.expect(202);
    // Before, while or after it is first tried: where the lease was taken it is tried again 45 seconds later.
    relay.kill().await;
    assert!(received(&emulators).await.is_empty());
    emulators.behave().await;
    relay.serve().await;
    await_mails(&emulators, &relay, 1).await;
    // Nothing is left that a third start would send.
    relay.stop().await;
    relay.serve().await;
    relay.post(&message()).await.expect(202);
    relay.stop().await;
    assert_eq!(received(&emulators).await.len(), 1);
}

#[tokio::test]
async fn l1_neither_the_log_nor_the_disk_tells_what_passes_through() {
    let emulators = Emulators::start();
    let relay = RelayHost::start(&emulators).await;
    let later = format!("<{TO}>: greylisted, try later");
    let rule =
        json!({"service": "smtp", "operation": "RCPT", "action": "reply", "code": 451, "message": later});
    emulators.misbehave(rule).await;
    relay.post(&message()).await.expect(202);
    await_log(&relay, "will be retried").await;
    let names: Vec<_> =
        std::fs::read_dir(relay.messages_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!names.is_empty());
    for path in &names {
        assert!(!holds_canary(path), "{} tells what waits", path.display());
    }
    emulators.behave().await;
    let unknown = format!("<{TO}>: unknown");
    let rule =
        json!({"service": "smtp", "operation": "RCPT", "action": "reply", "code": 550, "message": unknown});
    emulators.misbehave(rule).await;
    relay.post(&message_with("message_id", "another")).await.expect(202);
    relay.post_as(&format!("{TOKEN}x"), &message()).await.expect(401);
    relay.post(&message_with("from", "canary@example.org")).await.expect(422);
    await_log(&relay, "given up").await;
    relay.stop().await;
    let log = relay.log();
    assert!(log.contains("greylisted") && log.contains(ID) && log.contains("\"status\":202"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

/// Whether a file holds a canary as it is.
fn holds_canary(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(6).any(|window| window == b"canary")
}

#[tokio::test]
async fn it_says_what_it_lacks_and_shares_its_folder_with_nobody() {
    let emulators = Emulators::start();
    let relay = RelayHost::start(&emulators).await;
    await_log(&relay, "relays mail posted to http://127.0.0.1:").await;
    for (name, value, expected) in [
        ("MAIL_RELAY_TOKEN", "", "MAIL_RELAY_TOKEN: needed"),
        ("MAIL_RELAY_TOKEN", "canary", "MAIL_RELAY_TOKEN: expected 32"),
        ("RELAY_ADDR", "8025", "RELAY_ADDR: `8025` is not usable"),
        ("RELAY_ADDR", "127.0.0.1:0", "in use"),
        ("DATA_DIR", "elsewhere", "set RELAY_ADDR to another"),
    ] {
        let output = relay.command().env(name, value).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{name}={value}: {said}");
        assert!(!said.contains("canary") && !said.contains("panicked"), "{said}");
    }
    relay.stop().await;
    assert!(relay.log().contains("\"message\":\"stopped\",\"everything_finished\":true"), "{}", relay.log());
}
