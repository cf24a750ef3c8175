//! Accounts: made, changed, deleted, restored, purged.

use http::Method;
use portico_core::ports::store::Key;
use portico_core::schema::{DEVICES, FILES, NOTIFICATIONS, SESSIONS, USERS};
use portico_tests::client::{PASSWORD, User, registration};
use serde_json::{Value, json};

use crate::invariants::{Scan, has_blob};
use crate::run::{Run, Step};

pub(crate) const NEW_PASSWORD: &str = "four gardens under the hill";

/// Days after which a deleted account is purged, and a little more.
const BEYOND_RETENTION_SECONDS: i64 = 30 * 24 * 60 * 60 + 10;

/// After so many seconds an upload is looked after.
const BEYOND_SWEEP_SECONDS: i64 = 25 * 60 * 60;

pub(crate) async fn registering(run: &Run<'_>) {
    register(run, true).await;
}

pub(crate) async fn registering_without_a_key(run: &Run<'_>) {
    register(run, false).await;
}

async fn register(run: &Run<'_>, keyed: bool) {
    let name = run.name("ada");
    let mut body = registration(&name);
    body["device_uuid"] = json!("phone");
    let step = Step::post(&run.client, "/v1/users", &body).expect(201);
    let answer = run.attempt(if keyed { step.keyed() } else { step }).await;
    let ada = User::of(&run.client, &name, &answer);
    ada.client.get("/v1/sessions").await.expect(200);
    ada.refresh_with(&ada.refresh_token).await.expect(200);
    assert_eq!(run.live_sessions(&ada.id).await, 1);
    let scan = Scan::of(run.world).await;
    assert_eq!(scan.of_table(&USERS).filter(|(id, _)| !id.contains('#')).count(), 1);
    assert_eq!(scan.of_table(&DEVICES).count(), 1);
    run.settle().await;
    let code = run.message_to(&ada.email(), "Confirm").await.code();
    ada.client.post("/v1/confirm-email/validate-code", json!({ "token": code })).await.expect(200);
}

pub(crate) async fn changing_the_profile(run: &Run<'_>) {
    let ada = run.register("ada").await;
    for (method, name) in [(Method::PUT, "Augusta"), (Method::PATCH, "Ada")] {
        let body = json!({ "first_name": name, "birthday": "1915-12-10" });
        let user = run.attempt(Step::of(&ada.client, method, "/v1/users/me", Some(&body))).await.json();
        assert_eq!((&user["first_name"], &user["birthday"]), (&json!(name), &json!("1915-12-10")));
        assert_eq!(me(&ada).await["first_name"], name);
    }
}

pub(crate) async fn changing_the_names(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let (name, email) = (run.name("augusta"), format!("{}@example.com", run.name("countess")));
    let body = json!({ "username": name, "email": email });
    let user = run.attempt(Step::put(&ada.client, "/v1/users/me", &body)).await.json();
    assert_eq!((&user["username"], &user["email"]), (&json!(name), &json!(email)));
    run.settle().await;
    run.message_to(&ada.email(), "e-mail address was changed").await;
    ada.client.get("/v1/sessions").await.expect(200);
    elsewhere.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    // The old names are free.
    run.client.post("/v1/users", registration(&ada.username)).await.expect(201);
    run.client.post("/v1/users", registration(&name)).await.expect_problem(409, "username_taken");
}

pub(crate) async fn changing_the_phone(run: &Run<'_>) {
    let ada = run.register_with_phone("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let user = run.attempt(Step::put(&ada.client, "/v1/users/me", &json!({ "phone": null }))).await.json();
    assert_eq!(user.get("phone"), None);
    run.settle().await;
    run.message_to(&ada.email(), "phone number was changed").await;
    elsewhere.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
}

pub(crate) async fn disabling(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    let user = run.attempt(Step::put(&admin.client, &ada.path(), &json!({ "enable": false }))).await.json();
    assert!(user["enable"] == false || user["enable"] == 0, "{user}");
    ada.refresh_with(&ada.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    run.settle().await;
    ada.client.get("/v1/devices").await.expect_problem(401, "session_ended");
    assert_eq!(run.live_sessions(&ada.id).await, 0);
}

pub(crate) async fn changing_the_password(run: &Run<'_>) {
    change_password(run, "/v1/users/me/password").await;
}

pub(crate) async fn changing_the_password_by_the_older_path(run: &Run<'_>) {
    change_password(run, "/v1/password-recovery/change-password").await;
}

async fn change_password(run: &Run<'_>, path: &str) {
    let ada = run.register("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    run.attempt(Step::post(&ada.client, path, &body)).await;
    assert_passwords(run, &ada).await;
    run.settle().await;
    run.message_to(&ada.email(), "password was changed").await;
    ada.client.get("/v1/sessions").await.expect(200);
    elsewhere.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
}

/// The new password signs in, the old one does not.
pub(crate) async fn assert_passwords(run: &Run<'_>, user: &User) {
    let body = |password: &str| json!({ "username": user.username, "password": password });
    run.client.post("/v1/sessions/login", body(NEW_PASSWORD)).await.expect(200);
    let refused = run.client.post("/v1/sessions/login", body(PASSWORD)).await;
    refused.expect_problem(401, "invalid_credentials");
}

pub(crate) async fn deleting(run: &Run<'_>) {
    let ada = run.register("ada").await;
    run.attempt(Step::delete(&ada.client, "/v1/users/me")).await;
    ada.refresh_with(&ada.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    run.settle().await;
    ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    assert_eq!(run.live_sessions(&ada.id).await, 0);
    run.client.register(&ada.username).await;
}

pub(crate) async fn restoring(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    admin.client.delete(&ada.path()).await.expect(200);
    let path = format!("{}/restore", ada.path());
    let user = run.attempt(Step::post_empty(&admin.client, &path)).await.json();
    assert_eq!(user["username"], ada.username);
    run.settle().await;
    let again = run.client.sign_in(&ada.username).await;
    assert_eq!(again.id, ada.id);
    // What was promised when it was deleted does not concern it any more.
    run.world.lab.clock.advance(BEYOND_RETENTION_SECONDS);
    run.settle().await;
    assert!(Scan::of(run.world).await.find(&Key::new(&USERS, ada.id.as_str())).is_some());
}

pub(crate) async fn purging(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    let file = json!({ "file_name": "a.txt", "base64": "aGVsbG8=" });
    let file = ada.client.post("/v1/files/base64", file).await.expect(201).json();
    let note = json!({ "user_id": ada.id, "message": "hello" });
    admin.client.post("/v1/notifications", note).await.expect(201);
    // What was promised with the upload is done before anything else is.
    run.world.lab.clock.advance(BEYOND_SWEEP_SECONDS);
    run.settle().await;
    ada.client.delete("/v1/users/me").await.expect(200);
    run.settle().await;
    run.world.lab.clock.advance(BEYOND_RETENTION_SECONDS);
    run.attempt_drain().await;
    run.settle().await;
    let scan = Scan::of(run.world).await;
    assert!(scan.find(&Key::new(&USERS, ada.id.as_str())).is_none());
    for table in [&SESSIONS, &DEVICES, &NOTIFICATIONS, &FILES] {
        let owners = |item: &portico_core::ports::store::Item| {
            ["user_id", "uploaded_by_user_id"].iter().any(|name| item.get(*name) == Some(&json!(ada.id)))
        };
        assert_eq!(scan.of_table(table).filter(|(_, item)| owners(item)).count(), 0, "{}", table.name);
    }
    assert!(!has_blob(run.world, file["object"].as_str().expect("a key")).await);
}

pub(crate) async fn me(user: &User) -> Value {
    user.client.get("/v1/users/me").await.expect(200).json()
}
