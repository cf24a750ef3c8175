//! What Admins make: statuses, notifications, app versions.

use http::Method;
use portico_core::schema::{APP_VERSIONS, NOTIFICATIONS, STATUSES};
use portico_tests::client::{Client, User};
use serde_json::{Value, json};

use crate::invariants::Scan;
use crate::run::{Run, Step};

pub(crate) async fn creating_a_status(run: &Run<'_>) {
    let admin = run.admin().await;
    let body = json!({ "description": "away" });
    let status =
        run.attempt(Step::post(&admin.client, "/v1/statuses", &body).keyed().expect(201)).await.json();
    let path = format!("/v1/statuses/{}", text(&status, "id"));
    assert_eq!(admin.client.get(&path).await.expect(200).json()["description"], "away");
    assert_eq!(Scan::of(run.world).await.of_table(&STATUSES).count(), 1, "made once");
}

pub(crate) async fn changing_a_status(run: &Run<'_>) {
    let admin = run.admin().await;
    let path = status(&admin.client).await;
    for (method, description) in [(Method::PUT, "busy"), (Method::PATCH, "back")] {
        let body = json!({ "description": description });
        run.attempt(Step::of(&admin.client, method, &path, Some(&body))).await;
        assert_eq!(admin.client.get(&path).await.expect(200).json()["description"], description);
    }
}

pub(crate) async fn deleting_a_status(run: &Run<'_>) {
    let admin = run.admin().await;
    let path = status(&admin.client).await;
    run.attempt(Step::delete(&admin.client, &path).or_told(404, "not_found")).await;
    admin.client.get(&path).await.expect(404);
}

async fn status(admin: &Client) -> String {
    let made = admin.post("/v1/statuses", json!({ "description": "away" })).await.expect(201).json();
    format!("/v1/statuses/{}", text(&made, "id"))
}

pub(crate) async fn notifying(run: &Run<'_>) {
    let (admin, ada, bob) = (run.admin().await, run.register("ada").await, run.register("bob").await);
    let body = json!({ "user_ids": [ada.id, bob.id], "message": "hello" });
    let made = run.attempt(Step::post(&admin.client, "/v1/notifications", &body).keyed().expect(201)).await;
    assert_eq!(made.json()["created"], 2);
    assert_eq!(unread(&ada).await.len(), 1, "notified once");
    assert_eq!(unread(&bob).await.len(), 1, "notified once");
}

pub(crate) async fn notifying_everybody(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    let body = json!({ "all": true, "message": "hello" });
    run.attempt(Step::post(&admin.client, "/v1/notifications", &body).keyed().expect(201)).await;
    assert_eq!(unread(&ada).await.len(), 1, "notified once");
}

pub(crate) async fn reading_notifications(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    for method in [Method::PUT, Method::PATCH] {
        let path = notification(&admin.client, &ada).await;
        let read = run.attempt(Step::of(&ada.client, method, &path, Some(&json!({})))).await.json();
        assert_eq!(read["readed"], 1);
        assert!(unread(&ada).await.is_empty());
    }
}

pub(crate) async fn reading_all_notifications(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    notification(&admin.client, &ada).await;
    notification(&admin.client, &ada).await;
    run.attempt(Step::put(&ada.client, "/v1/notifications/read-all", &json!({}))).await;
    assert!(unread(&ada).await.is_empty());
}

pub(crate) async fn deleting_a_notification(run: &Run<'_>) {
    let (admin, ada) = (run.admin().await, run.register("ada").await);
    let path = notification(&admin.client, &ada).await;
    run.attempt(Step::delete(&ada.client, &path).or_told(404, "not_found")).await;
    assert_eq!(Scan::of(run.world).await.of_table(&NOTIFICATIONS).count(), 0);
}

async fn notification(admin: &Client, user: &User) -> String {
    let body = json!({ "user_id": user.id, "message": "hello" });
    admin.post("/v1/notifications", body).await.expect(201);
    format!("/v1/notifications/{}", text(&unread(user).await[0], "id"))
}

async fn unread(user: &User) -> Vec<Value> {
    let list = user.client.get("/v1/notifications").await.expect(200).json();
    list.as_array().expect("a list").clone()
}

pub(crate) async fn creating_an_app_version(run: &Run<'_>) {
    let admin = run.admin().await;
    let body = json!({ "version": "1.2.3", "platform": run.name("ios") });
    let step = Step::post(&admin.client, "/v1/app-versions", &body).keyed().expect(201);
    let made = run.attempt(step).await.json();
    let path = format!("/v1/app-versions/{}", text(&made, "id"));
    assert_eq!(run.client.get(&path).await.expect(200).json()["version"], "1.2.3");
    admin.client.post("/v1/app-versions", body).await.expect_problem(409, "version_exists");
    assert_eq!(Scan::of(run.world).await.of_table(&APP_VERSIONS).count(), 2, "itself and its claim");
}

pub(crate) async fn changing_an_app_version(run: &Run<'_>) {
    let admin = run.admin().await;
    let path = app_version(run, &admin.client).await;
    for (method, version) in [(Method::PUT, "1.3.0"), (Method::PATCH, "1.4.0")] {
        let body = json!({ "version": version, "mandatory": true });
        run.attempt(Step::of(&admin.client, method, &path, Some(&body))).await;
        assert_eq!(admin.client.get(&path).await.expect(200).json()["version"], version);
    }
    // What it was before is free.
    app_version(run, &admin.client).await;
}

pub(crate) async fn deleting_an_app_version(run: &Run<'_>) {
    let admin = run.admin().await;
    let path = app_version(run, &admin.client).await;
    run.attempt(Step::delete(&admin.client, &path).or_told(404, "not_found")).await;
    admin.client.get(&path).await.expect(404);
    app_version(run, &admin.client).await;
}

async fn app_version(run: &Run<'_>, admin: &Client) -> String {
    let body = json!({ "version": "1.2.3", "platform": run.name("ios") });
    let made = admin.post("/v1/app-versions", body).await.expect(201).json();
    format!("/v1/app-versions/{}", text(&made, "id"))
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}
