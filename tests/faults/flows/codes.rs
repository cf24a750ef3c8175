//! Codes: asked for, sent, entered once.

use portico_tests::client::PASSWORD;
use serde_json::json;

use super::accounts::{NEW_PASSWORD, assert_passwords, me};
use crate::run::{Run, Step};

/// After a code, another may be asked for.
const BEYOND_COOL_DOWN_SECONDS: i64 = 61;

pub(crate) async fn asking_for_an_email_code(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let first = run.message_to(&ada.email(), "Confirm").await.code();
    run.world.lab.clock.advance(BEYOND_COOL_DOWN_SECONDS);
    run.attempt(Step::post_empty(&ada.client, "/v1/confirm-email/request").keyed()).await;
    run.settle().await;
    let code = run.message_to(&ada.email(), "Confirm").await.code();
    assert_ne!(first, code);
    let confirm = |code: &str| json!({ "token": code });
    let path = "/v1/confirm-email/validate-code";
    ada.client.post(path, confirm(&first)).await.expect_problem(422, "invalid_code");
    ada.client.post(path, confirm(&code)).await.expect(200);
}

pub(crate) async fn confirming_an_email(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "token": run.message_to(&ada.email(), "Confirm").await.code() });
    let path = "/v1/confirm-email/validate-code";
    run.attempt(Step::post(&ada.client, path, &body)).await;
    assert_eq!(me(&ada).await["email_confirmed"], true);
    ada.client.post(path, body).await.expect_problem(422, "invalid_code");
}

pub(crate) async fn asking_for_a_phone_code(run: &Run<'_>) {
    let ada = run.register_with_phone("ada").await;
    run.attempt(Step::post_empty(&ada.client, "/v1/confirm-phone/request").keyed()).await;
    run.settle().await;
    let code = run.message_to(&run.phone(), "").await.code();
    ada.client.post("/v1/confirm-phone/validate-code", json!({ "otp": code })).await.expect(200);
}

pub(crate) async fn confirming_a_phone(run: &Run<'_>) {
    let ada = run.register_with_phone("ada").await;
    ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    let body = json!({ "otp": run.message_to(&run.phone(), "").await.code() });
    let path = "/v1/confirm-phone/validate-code";
    run.attempt(Step::post(&ada.client, path, &body)).await;
    assert_eq!(me(&ada).await["phone_confirmed"], true);
    ada.client.post(path, body).await.expect_problem(422, "invalid_code");
}

pub(crate) async fn asking_for_a_recovery(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "email": ada.email() });
    run.attempt(Step::post(&run.client, "/v1/password-recovery/request", &body).keyed()).await;
    run.settle().await;
    let code = run.message_to(&ada.email(), "Recover").await.code();
    let body = json!({ "email": ada.email(), "otp": code, "new_password": NEW_PASSWORD });
    run.client.post("/v1/password-recovery/validate-code", body).await.expect(200);
}

pub(crate) async fn asking_for_a_recovery_of_nobody(run: &Run<'_>) {
    let email = format!("{}@example.com", run.name("nobody"));
    let body = json!({ "email": email });
    run.attempt(Step::post(&run.client, "/v1/password-recovery/request", &body)).await;
    run.settle().await;
    assert!(run.messages_to(&email).await.is_empty());
}

pub(crate) async fn recovering(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "email": ada.email() });
    run.client.post("/v1/password-recovery/request", body).await.expect(200);
    let code = run.message_to(&ada.email(), "Recover").await.code();
    let path = "/v1/password-recovery/validate-code";
    let body =
        json!({ "email": ada.email(), "otp": code, "new_password": NEW_PASSWORD, "device_uuid": "tablet" });
    run.attempt(Step::post(&run.client, path, &body)).await;
    let mut again = body;
    again["new_password"] = json!(PASSWORD);
    run.client.post(path, again).await.expect_problem(401, "invalid_code");
    assert_eq!(me_confirmed(run, &ada.username).await, json!(true));
    assert_passwords(run, &ada).await;
    run.settle().await;
    run.message_to(&ada.email(), "password was changed").await;
    ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
}

async fn me_confirmed(run: &Run<'_>, username: &str) -> serde_json::Value {
    let body = json!({ "username": username, "password": NEW_PASSWORD });
    run.client.post("/v1/sessions/login", body).await.expect(200).json()["user"]["email_confirmed"].clone()
}

/// Of what was promised and not tried before the server died.
pub(crate) async fn delivering(run: &Run<'_>) {
    let lab = &run.world.lab;
    lab.settle(false);
    let ada = run.register_with_phone("ada").await;
    ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    lab.background.forget();
    lab.settle(true);
    run.attempt_drain().await;
    run.settle().await;
    let (mails, texts) = (run.messages_to(&ada.email()).await, run.messages_to(&run.phone()).await);
    assert!((1..=2).contains(&mails.len()) && (1..=2).contains(&texts.len()), "{mails:?} {texts:?}");
    let body = json!({ "token": mails[0].code() });
    ada.client.post("/v1/confirm-email/validate-code", body).await.expect(200);
    let body = json!({ "otp": texts[0].code() });
    ada.client.post("/v1/confirm-phone/validate-code", body).await.expect(200);
}
