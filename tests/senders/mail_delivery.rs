//! What becomes of promised mail, on the real server: dead mail servers, killed instances, several instances, giving up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_bench::ports::free_port;
use portico_tests::client::{Client, User};
use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;
use portico_tests::tables::Tables;
use serde_json::{Value, json};

use crate::support::*;

/// What mail to Ada, who registers and then asks for a recovery, is about.
const SUBJECTS: [&str; 2] = ["Confirm your e-mail address", "Recover your account"];

/// A server on the emulators that hands mail over to a port.
async fn start(emulators: &Arc<Emulators>, smtp_port: u16) -> Arc<NativeHost> {
    let port = smtp_port.to_string();
    let variables = [("MAILER", "smtp"), ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", port.as_str())];
    Arc::new(NativeHost::start_on_emulators(emulators, &variables).await)
}

/// Registers Ada and asks for a recovery of her account; no mail server may keep the answers waiting.
async fn ask(host: &Arc<NativeHost>, username: &str) -> User {
    let begun = Instant::now();
    let user = Client::new(host.clone()).register(username).await;
    ask_recovery(&user).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    user
}

async fn ask_recovery(user: &User) {
    let body = json!({"email": user.email()});
    user.client.with_token(None).post("/v1/password-recovery/request", body).await.expect(200);
}

async fn misbehave(emulators: &Emulators, operation: &str, action: Value) {
    let mut rule = json!({"service": "smtp", "operation": operation});
    rule.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    emulators.misbehave(rule).await;
}

#[tokio::test]
async fn neither_a_dead_mail_server_nor_a_killed_instance_loses_or_doubles_mail() {
    let emulators = Arc::new(Emulators::start());
    let smtp_port = free_port();
    let host = start(&emulators, smtp_port).await;
    let tables = Tables::of(&emulators).await;
    let ada = ask(&host, "ada").await;
    until_counted(&host, RETRIED, "email", 2).await;
    host.kill().await;
    let revived = Emulators::start_with(&["--smtp-port", &smtp_port.to_string()]);
    tables.age(FIRST_PAUSE).await;
    host.serve().await;
    until_nothing_is_promised(&tables).await;
    assert_eq!(subjects(&revived, &ada.email()).await, SUBJECTS);
}

#[tokio::test]
async fn an_instance_killed_while_it_sends_loses_and_doubles_no_mail() {
    let emulators = Arc::new(Emulators::start());
    let host = start(&emulators, emulators.smtp_port()).await;
    let tables = Tables::of(&emulators).await;
    for (username, operation) in [("ada", "CONNECT"), ("bob", "RCPT"), ("eve", "BODY")] {
        misbehave(&emulators, operation, json!({"action": "stall"})).await;
        let before = emulators.calls("smtp", operation).await;
        let user = ask(&host, username).await;
        until("both are being sent", async || emulators.calls("smtp", operation).await >= before + 2).await;
        host.kill().await;
        emulators.behave().await;
        tables.age(FIRST_PAUSE).await;
        host.serve().await;
        until_nothing_is_promised(&tables).await;
        assert_eq!(subjects(&emulators, &user.email()).await, SUBJECTS, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_instances_one_sends_each_mail() {
    let emulators = Arc::new(Emulators::start());
    let mut hosts = Vec::new();
    for _ in 0..3 {
        hosts.push(start(&emulators, emulators.smtp_port()).await);
    }
    let tables = Tables::of(&emulators).await;
    misbehave(&emulators, "CONNECT", json!({"action": "reply", "code": 421, "message": "busy"})).await;
    for n in 0..30 {
        Client::new(hosts[n % 3].clone()).register(&format!("user{n}")).await;
    }
    for host in &hosts {
        until_counted(host, RETRIED, "email", 10).await;
    }
    emulators.behave().await;
    // Sending takes an instance longer than the others take to look for what is due.
    misbehave(&emulators, "BODY", json!({"action": "delay", "delay_ms": 700})).await;
    tables.age(FIRST_PAUSE).await;
    until_nothing_is_promised(&tables).await;
    for n in 0..30 {
        let to = format!("user{n}@example.com");
        assert_eq!(subjects(&emulators, &to).await, SUBJECTS[..1], "{to}");
    }
}

#[tokio::test]
async fn mail_that_cannot_be_delivered_is_given_up_visibly() {
    let emulators = Arc::new(Emulators::start());
    let host = start(&emulators, emulators.smtp_port()).await;
    let tables = Tables::of(&emulators).await;
    let message = "5.1.1 <ada@example.com>: Recipient address rejected";
    misbehave(&emulators, "RCPT", json!({"action": "reply", "code": 550, "message": message})).await;
    Client::new(host.clone()).register("ada").await;
    let event = given_up(&host).await;
    assert_eq!((&event["channel"], &event["attempts"]), (&json!("email"), &json!(1)), "{event}");
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.contains("550") && reason.contains("Recipient address rejected"), "{event}");
    until_counted(&host, ABANDONED, "email", 1).await;
    until_nothing_is_promised(&tables).await;
    assert!(!host.log_text().contains("ada@example.com"), "{}", host.log_text());
}

#[tokio::test]
async fn a_code_that_the_mail_server_does_not_take_in_time_is_given_up_visibly() {
    let emulators = Arc::new(Emulators::start());
    let host = start(&emulators, emulators.smtp_port()).await;
    let tables = Tables::of(&emulators).await;
    let ada = Client::new(host.clone()).register("ada").await;
    until_nothing_is_promised(&tables).await;
    // It takes them, and says that it did not: what the log must not tell is known, then.
    let later = json!({"action": "apply_then_500"});
    misbehave(&emulators, "BODY", later).await;
    ask_recovery(&ada).await;
    until_counted(&host, RETRIED, "email", 1).await;
    tables.age(14 * 60).await;
    let event = given_up(&host).await;
    assert_eq!((&event["channel"], &event["attempts"]), (&json!("email"), &json!(2)), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("451"), "{event}");
    until_counted(&host, ABANDONED, "email", 1).await;
    until_nothing_is_promised(&tables).await;
    let log = host.log_text();
    assert!(!log.contains(&ada.email()), "{log}");
    for mail in mails_to(&emulators, &ada.email()).await {
        let text = mail["text"].as_str().unwrap();
        let code = text.lines().find_map(|line| line.strip_prefix("    ")).unwrap().trim();
        assert!(code.len() >= 6 && !log.contains(code), "{log}");
    }
}

#[tokio::test]
async fn one_connection_serves_several_mails() {
    let emulators = Arc::new(Emulators::start());
    let host = start(&emulators, emulators.smtp_port()).await;
    let tables = Tables::of(&emulators).await;
    for n in 0..6 {
        Client::new(host.clone()).register(&format!("user{n}")).await;
        until_nothing_is_promised(&tables).await;
    }
    assert_eq!(emulators.tell("/_mail").await.as_array().unwrap().len(), 6);
    assert_eq!(emulators.calls("smtp", "CONNECT").await, 1);
}
