//! Sessions: begun, refreshed, ended.

use http::Method;
use portico_tests::client::{PASSWORD, User};
use serde_json::json;

use crate::run::{Run, Step};

/// Longer than the token before the present one is still good for.
const BEYOND_GRACE_SECONDS: i64 = 61;

pub(crate) async fn signing_in(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "username": ada.username, "password": PASSWORD, "device_uuid": "phone" });
    run.client.post("/v1/sessions/login", body.clone()).await.expect(200);
    let answer = run.attempt(Step::post(&run.client, "/v1/sessions/login", &body)).await;
    let again = User::of(&run.client, &ada.username, &answer);
    again.client.get("/v1/sessions").await.expect(200);
    assert_eq!(run.live_sessions(&ada.id).await, 3, "of which two began before");
}

/// With a failure on record besides, which is forgotten.
pub(crate) async fn signing_in_on_a_new_device(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body =
        |password: &str| json!({ "username": ada.email(), "password": password, "device_uuid": "tablet" });
    run.client.post("/v1/sessions/login", body("wrong password")).await.expect(401);
    let answer = run.attempt(Step::post(&run.client, "/v1/sessions/login", &body(PASSWORD))).await;
    let again = User::of(&run.client, &ada.username, &answer);
    again.client.get("/v1/sessions").await.expect(200);
    assert_ne!(again.device_id, ada.device_id);
    assert_eq!(run.live_sessions(&ada.id).await, 2);
}

pub(crate) async fn signing_in_wrongly(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "username": ada.username, "password": "wrong password" });
    run.attempt(Step::post(&run.client, "/v1/sessions/login", &body).expect(401)).await;
    run.client.sign_in(&ada.username).await;
}

pub(crate) async fn signing_in_with_google(run: &Run<'_>) {
    let (sub, email) = (run.name("sub"), format!("{}@example.com", run.name("ada")));
    for is_new in [true, false] {
        let body = json!({ "credential": run.world.google_token(&sub, &email), "device_uuid": "phone" });
        let answer = run.attempt(Step::post(&run.client, "/v1/sessions/google", &body)).await;
        let ada = User::of(&run.client, "ada", &answer);
        ada.client.get("/v1/sessions").await.expect(200);
        assert_eq!(run.live_sessions(&ada.id).await, if is_new { 1 } else { 2 });
    }
}

/// To an account whose address nobody confirmed: its password and its sessions go.
pub(crate) async fn linking_google(run: &Run<'_>) {
    let lurker = run.register("ada").await;
    let body = json!({ "credential": run.world.google_token(&run.name("sub"), &lurker.email()) });
    let answer = run.attempt(Step::post(&run.client, "/v1/sessions/google", &body)).await;
    let ada = User::of(&run.client, "ada", &answer);
    assert_eq!(ada.id, lurker.id);
    run.settle().await;
    lurker.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    ada.client.get("/v1/sessions").await.expect(200);
    let body = json!({ "username": lurker.username, "password": PASSWORD });
    run.client.post("/v1/sessions/login", body).await.expect_problem(401, "invalid_credentials");
}

pub(crate) async fn refreshing(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let anybody = ada.client.with_token(None);
    let body = json!({ "refresh_token": ada.refresh_token });
    let pair = run.attempt(Step::post(&anybody, "/v1/sessions/refresh", &body)).await.json();
    let present = pair["refresh_token"].as_str().expect("a token");
    assert_ne!(present, ada.refresh_token);
    ada.client.with_token(pair["access_token"].as_str()).get("/v1/sessions").await.expect(200);
    // There is one: the next is its successor, and the first, by now, a replay.
    let next = ada.refresh_with(present).await.expect(200).json();
    run.world.lab.clock.advance(BEYOND_GRACE_SECONDS);
    ada.refresh_with(&ada.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    let next = next["refresh_token"].as_str().expect("a token");
    ada.refresh_with(next).await.expect_problem(401, "invalid_refresh_token");
    assert_eq!(run.live_sessions(&ada.id).await, 0);
}

pub(crate) async fn logging_out(run: &Run<'_>) {
    let ada = run.register("ada").await;
    run.attempt(Step::post_empty(&ada.client, "/v1/sessions/logout").or_told(401, "session_ended")).await;
    assert_ended(&ada).await;
    assert_eq!(run.live_sessions(&ada.id).await, 0);
}

pub(crate) async fn revoking(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let path = format!("/v1/sessions/{}", elsewhere.session_id);
    run.attempt(Step::of(&ada.client, Method::DELETE, &path, None)).await;
    assert_ended(&elsewhere).await;
    ada.client.get("/v1/sessions").await.expect(200);
}

pub(crate) async fn logging_out_elsewhere(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let elsewhere = [run.client.sign_in(&ada.username).await, run.client.sign_in(&ada.username).await];
    run.attempt(Step::post_empty(&ada.client, "/v1/sessions/logout-all?keep_current=true")).await;
    for user in &elsewhere {
        assert_ended(user).await;
    }
    run.settle().await;
    ada.client.get("/v1/sessions").await.expect(200);
}

pub(crate) async fn logging_out_everywhere(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let step = Step::post_empty(&ada.client, "/v1/sessions/logout-all").or_told(401, "session_ended");
    run.attempt(step).await;
    // Whoever is told that their own session ended is told nothing of the others, which end a little later.
    if run.is_told() {
        run.settle().await;
    }
    assert_ended(&ada).await;
    assert_ended(&elsewhere).await;
    run.settle().await;
    run.client.sign_in(&ada.username).await.client.get("/v1/sessions").await.expect(200);
}

async fn assert_ended(user: &User) {
    user.client.get("/v1/devices").await.expect_problem(401, "session_ended");
    user.refresh_with(&user.refresh_token).await.expect_problem(401, "invalid_refresh_token");
}
