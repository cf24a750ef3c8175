//! What the Worker logs of a journey: decisions, and no secret.

use std::sync::Arc;

use portico_tests::client::{Client, PASSWORD, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use serde_json::{Value, json};

use crate::support::upload_request;

const TOKEN: &str = "canary-token-of-more-than-thirty-two-characters";
const AWS_SECRET: &str = "canary0of0amazons0secret0access0key0000";
const NEW_PASSWORD: &str = "canary of a new password";

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_journey_leaves_no_secret_in_the_log() {
    let emulators = Emulators::start_with(&["--secret-key", AWS_SECRET]);
    let variables = [("AWS_SECRET_ACCESS_KEY", AWS_SECRET), ("MAIL_RELAY_TOKEN", TOKEN)];
    let host = Arc::new(EdgeHost::start_on(&Arc::new(emulators), &variables).await);
    let client = Client::new(host.clone());
    let ada = client.register("ada").await;
    let confirmation = client.messages_to(&ada.email(), 1).await.pop().unwrap().code();
    let path = "/v1/confirm-email/validate-code";
    ada.client.post(path, json!({ "token": confirmation })).await.expect(200);
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    let otp = client.messages_to(&ada.email(), 2).await.pop().unwrap().code();
    let wrong = json!({ "username": "ada", "password": "canary of a wrong password" });
    client.post("/v1/sessions/login", wrong).await.expect(401);
    let body = json!({ "email": ada.email(), "otp": otp, "new_password": NEW_PASSWORD });
    let path = "/v1/password-recovery/validate-code";
    let again = User::of(&client, "ada", &client.post(path, body.clone()).await.expect(200));
    client.post(path, body).await.expect(401);
    again.client.send(upload_request(&again, "canary.txt", b"canary of a file")).await.expect(201);
    let pair = again.refresh_with(&again.refresh_token).await.expect(200).json();
    // A failing service is what most is told of.
    host.emulators().misbehave(json!({ "service": "s3", "action": "internal_error" })).await;
    let failed = again.client.send(upload_request(&again, "canary.txt", b"canary of a file")).await;
    failed.expect(503);

    let log = host.log();
    let text = |name: &str| pair[name].as_str().unwrap().to_owned();
    let secrets = [ada.access_token, ada.refresh_token, again.access_token, again.refresh_token, otp];
    let more = [confirmation, text("access_token"), text("refresh_token"), PASSWORD.to_owned()];
    for secret in secrets.iter().chain(&more).map(String::as_str).chain(["canary"]) {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
    // It does log: one object a line, decisions and failures.
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["event"] == "registered"), "{log}");
    assert!(lines.iter().any(|line| line["level"] == "ERROR"), "{log}");
}
