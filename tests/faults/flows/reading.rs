//! What is merely read: nothing can be left half done, but it must be answered, and well when asked again.

use serde_json::json;

use super::files::file_of;
use crate::run::{Run, Step};

pub(crate) async fn what_is_ones_own(run: &Run<'_>) {
    let ada = run.register("ada").await;
    file_of(&ada).await;
    let device = format!("/v1/devices/{}", ada.device_id);
    let paths = [
        "/v1/users/me",
        "/v1/users/me/export",
        "/v1/users/me/sessions",
        "/v1/sessions",
        "/v1/devices",
        &device,
        "/v1/notifications",
        "/v1/notifications?all=true",
        "/v1/files",
    ];
    for path in paths {
        run.attempt(Step::get(&ada.client, path)).await;
    }
}

pub(crate) async fn what_an_admin_sees(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    let status = admin.client.post("/v1/statuses", json!({ "description": "away" })).await.expect(201).json();
    let status = format!("/v1/statuses/{}", status["id"].as_str().expect("an id"));
    for path in ["/v1/users?limit=1", &ada.path(), "/v1/statuses", &status] {
        run.attempt(Step::get(&admin.client, path)).await;
    }
}

pub(crate) async fn what_anybody_sees(run: &Run<'_>) {
    let admin = run.admin().await;
    let body = json!({ "version": "1.2.3", "platform": run.name("ios") });
    let version = admin.client.post("/v1/app-versions", body).await.expect(201).json();
    let version = format!("/v1/app-versions/{}", version["id"].as_str().expect("an id"));
    let paths = [
        "/v1/app-versions",
        &version,
        "/v1/roles",
        "/v1/health-check/ping",
        "/v1/health-check/ready",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/openapi.json",
        "/docs",
    ];
    for path in paths {
        run.attempt(Step::get(&run.client, path)).await;
    }
    run.attempt(Step::post_empty(&run.client, "/v1/health-check/ready")).await;
}
