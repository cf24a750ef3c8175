//! Devices: changed, deleted, asked for their version.

use http::Method;
use serde_json::json;

use crate::run::{Run, Step};

pub(crate) async fn updating(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let path = format!("/v1/devices/{}", ada.device_id);
    for (method, token) in [(Method::PUT, "one"), (Method::PATCH, "two")] {
        let body = json!({ "token": token });
        run.attempt(Step::of(&ada.client, method, &path, Some(&body))).await;
        assert_eq!(ada.client.get(&path).await.expect(200).json()["token"], token);
    }
}

pub(crate) async fn deleting(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let elsewhere = run.client.sign_in(&ada.username).await;
    let path = format!("/v1/devices/{}", elsewhere.device_id);
    run.attempt(Step::delete(&ada.client, &path)).await;
    ada.client.get(&path).await.expect(404);
    run.settle().await;
    elsewhere.client.get("/v1/devices").await.expect_problem(401, "session_ended");
    ada.client.get("/v1/devices").await.expect(200);
}

pub(crate) async fn checking_the_version(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let body = json!({ "device_version": "9999.0.0" });
    run.attempt(Step::put(&ada.client, "/v1/devices/version", &body)).await;
}
