//! The outbox: what was promised is sent, once if it can be, whatever fails in between.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portico_core::memory::mailer::Failure;
use portico_core::ports::mailer::{Mail, Mailer, SendError};
use portico_tests::client::registration;
use portico_tests::lab::{Lab, LabOptions};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_failing_mailer_is_tried_again_with_growing_pauses() {
    let lab = Arc::new(Lab::new());
    lab.mailer.fail(Some(Failure::Temporary));
    lab.client().register("ada").await;
    assert_eq!(lab.mailer.tries(), 1);
    let (mut pauses, mut waited) = (Vec::new(), 0);
    while pauses.len() < 5 {
        let before = lab.mailer.tries();
        lab.clock.advance(5);
        waited += 5;
        lab.app.drain_outbox().await;
        assert!(lab.mailer.tries() <= before + 1);
        if lab.mailer.tries() > before {
            pauses.push(std::mem::take(&mut waited));
        }
    }
    assert!(pauses.is_sorted_by(|one, next| one < next), "{pauses:?}");
    lab.mailer.fail(None);
    lab.clock.advance(6 * 60 * 60);
    lab.app.drain_outbox().await;
    assert_eq!(subjects(&lab, "ada@example.com"), ["Confirm your e-mail address"]);
    // Sent is done.
    let tries = lab.mailer.tries();
    lab.clock.advance(24 * 60 * 60);
    lab.app.drain_outbox().await;
    assert_eq!(lab.mailer.tries(), tries);
    assert!(promises(&lab).await.is_empty());
}

#[tokio::test]
async fn a_failing_sms_sender_is_tried_again() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    update(&ada, json!({"phone": "+4915112345678"})).await.expect(200);
    lab.sms.fail(Some(Failure::Temporary));
    ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    assert_eq!((lab.sms.tries(), lab.sms.sent().len()), (1, 0));
    lab.sms.fail(None);
    lab.clock.advance(60);
    lab.app.drain_outbox().await;
    let code = newest(&lab, "+4915112345678").code();
    ada.client.post("/v1/confirm-phone/validate-code", json!({"otp": code})).await.expect(200);
}

#[tokio::test]
async fn a_crash_between_commit_and_send_loses_nothing() {
    let lab = Arc::new(Lab::new());
    lab.settle(false);
    let ada = lab.client().register("ada").await;
    lab.background.forget();
    assert_eq!(lab.mailer.tries(), 0);
    let second = restarted(&lab);
    second.app.drain_outbox().await;
    let code = newest(&second, &ada.email()).code();
    ada.client.post("/v1/confirm-email/validate-code", json!({"token": code})).await.expect(200);
    second.clock.advance(3600);
    second.app.drain_outbox().await;
    assert_eq!(sent_to(&second, &ada.email()).len(), 1);
}

/// Never comes back, as a process that is killed while it sends.
#[derive(Debug)]
struct Stuck;

#[async_trait]
impl Mailer for Stuck {
    async fn send(&self, _mail: &Mail) -> Result<(), SendError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_crash_while_sending_loses_nothing() {
    let ports = Box::new(|ports: &mut portico_core::ports::Ports| ports.mailer = Arc::new(Stuck));
    let lab = Arc::new(Lab::with(LabOptions { ports: Some(ports), ..LabOptions::default() }));
    lab.settle(false);
    let ada = lab.client().register("ada").await;
    let sending = tokio::time::timeout(Duration::from_millis(50), lab.background.run()).await;
    assert!(sending.is_err(), "the mailer hangs");
    let second = restarted(&lab);
    // While the first might still be at it, nobody else is.
    second.app.drain_outbox().await;
    assert_eq!(second.mailer.tries(), 0);
    lab.clock.advance(60);
    second.app.drain_outbox().await;
    assert_eq!(sent_to(&second, &ada.email()).len(), 1);
}

#[tokio::test]
async fn a_crash_between_a_change_and_its_consequences_loses_neither() {
    let (lab, store) = interposed();
    let ada = lab.client().register("ada").await;
    let other = lab.client().sign_in("ada").await;
    // The process dies after the change is committed and before it has ended the sessions.
    lab.settle(false);
    let mut change = Box::pin(change_password(&ada, portico_tests::client::PASSWORD, "another good one"));
    store.once_before(puts_into(&portico_core::schema::SESSIONS), std::future::pending());
    let died = tokio::time::timeout(Duration::from_millis(200), &mut change).await;
    assert!(died.is_err(), "the change hangs");
    drop(change);
    lab.background.forget();
    let second = restarted(&lab);
    second.clock.advance(120);
    second.app.drain_outbox().await;
    assert_ended(&other).await;
    assert_live(&ada).await;
    assert_eq!(newest(&second, &ada.email()).subject, "Your password was changed");
}

#[tokio::test]
async fn permanent_failures_are_given_up_at_once() {
    let lab = Arc::new(Lab::new());
    lab.mailer.fail(Some(Failure::Permanent));
    let ada = lab.client().register("ada").await;
    assert_eq!(lab.mailer.tries(), 1);
    assert!(!promises_to(&lab, &ada.email()).await);
    lab.mailer.fail(None);
    lab.clock.advance(24 * 60 * 60);
    lab.app.drain_outbox().await;
    assert_eq!(lab.mailer.tries(), 1);
}

#[tokio::test]
async fn codes_are_given_up_after_they_expire_and_notices_are_not() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    lab.mailer.fail(Some(Failure::Temporary));
    ask_recovery(&lab.client(), &ada.email()).await.expect(200);
    change_password(&ada, portico_tests::client::PASSWORD, "another good one").await.expect(200);
    let before = sent_to(&lab, &ada.email()).len();
    lab.clock.advance(15 * 60 + 1);
    lab.mailer.fail(None);
    lab.app.drain_outbox().await;
    assert_eq!(subjects(&lab, &ada.email())[before..], ["Your password was changed"]);
    assert!(promises(&lab).await.is_empty());
}

#[tokio::test]
async fn codes_that_nobody_could_send_in_time_are_given_up_after_a_crash_too() {
    let lab = Arc::new(Lab::new());
    lab.settle(false);
    let ada = lab.client().register("ada").await;
    ask_recovery(&lab.client(), &ada.email()).await.expect(200);
    lab.background.forget();
    let second = restarted(&lab);
    second.clock.advance(15 * 60 + 1);
    second.app.drain_outbox().await;
    assert_eq!(subjects(&second, &ada.email()), ["Confirm your e-mail address"]);
}

#[tokio::test]
async fn two_instances_send_once() {
    let lab = overlapping();
    lab.settle(false);
    for n in 0..30 {
        lab.client().register(&format!("user{n}")).await;
    }
    lab.background.forget();
    let (one, other) = (restarted(&lab), restarted(&lab));
    for _ in 0..8 {
        futures::future::join(one.app.drain_outbox(), other.app.drain_outbox()).await;
    }
    for n in 0..30 {
        let to = format!("user{n}@example.com");
        assert_eq!(sent_to(&one, &to).len() + sent_to(&other, &to).len(), 1, "{to}");
    }
    assert!(promises(&lab).await.is_empty());
}

#[tokio::test]
async fn a_message_is_not_sent_twice_after_its_answer_and_by_the_drain() {
    let lab = overlapping();
    lab.settle(false);
    let ada = lab.client().register("ada").await;
    futures::future::join(lab.background.run(), lab.app.drain_outbox()).await;
    assert_eq!(sent_to(&lab, &ada.email()).len(), 1);
}

#[tokio::test]
async fn the_message_of_a_failed_registration_is_never_sent() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    let mut body = registration("ada");
    body["email"] = Value::from("other@example.com");
    client.post("/v1/users", body).await.expect_problem(409, "username_taken");
    let mut body = registration("bob");
    body["email"] = Value::from("ADA@example.com");
    client.post("/v1/users", body).await.expect_problem(409, "email_taken");
    lab.clock.advance(3600);
    lab.app.drain_outbox().await;
    assert!(sent_to(&lab, "other@example.com").is_empty());
    assert_eq!(sent_to(&lab, "ada@example.com").len(), 1);
    assert!(promises(&lab).await.is_empty());
}

#[tokio::test]
async fn an_outage_does_not_fail_the_request() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    lab.mailer.fail(Some(Failure::Temporary));
    ask_recovery(&lab.client(), &ada.email()).await.expect(200);
    lab.client().register("bob").await;
    update(&ada, json!({"email": "new@example.com"})).await.expect(200);
    lab.mailer.fail(None);
    lab.clock.advance(60);
    lab.app.drain_outbox().await;
    assert!(subjects(&lab, "ada@example.com").contains(&"Your e-mail address was changed".to_owned()));
    assert_eq!(sent_to(&lab, "bob@example.com").len(), 1);
}
