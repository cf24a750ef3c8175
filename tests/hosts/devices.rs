//! Devices, and whether the app on them is up to date.

use std::sync::Arc;

use http::Method;
use portico_tests::client::{Client, PASSWORD, User};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::paging::{expect_pages, first_cursor, ids_in, refused};

async fn sign_in_on(client: &Client, username: &str, device_uuid: &str) -> User {
    let body = json!({"username": username, "password": PASSWORD, "device_uuid": device_uuid});
    User::of(client, username, &client.post("/v1/sessions/login", body).await.expect(200))
}

async fn register_on(client: &Client, username: &str, device_uuid: &str) -> User {
    let mut body = portico_tests::client::registration(username);
    body["device_uuid"] = json!(device_uuid);
    User::of(client, username, &client.post("/v1/users", body).await.expect(201))
}

fn path(user: &User) -> String {
    format!("/v1/devices/{}", user.device_id)
}

fn new_device(user: &User, uuid: &str, shown: &Value) -> Value {
    json!({
        "id": user.device_id, "uuid": uuid, "user_id": user.id, "token": "", "app_version_id": "",
        "enable": true, "created": shown["created"], "updated": shown["created"],
    })
}

async fn announce(admin: &User, release: Value) -> Value {
    admin.client.post("/v1/app-versions", release).await.expect(201).json()
}

/// What the version check says: the latest version, or nothing if the installed one is up to date.
async fn latest_for(user: &User, installed: Value) -> Option<Value> {
    let answer = user.client.put("/v1/devices/version", json!({"device_version": installed})).await;
    if answer.status == 409 {
        assert_eq!(answer.header("content-type"), Some("application/json"));
        return Some(answer.json());
    }
    assert_eq!(answer.expect(200).json(), json!({"message": "up to date"}));
    None
}

on_every_host! {
    async fn a_device_is_shown_to_its_owner_and_admins(client: Client) {
        let ada = register_on(&client, "ada", "phone").await;
        let (bob, admin) = (client.register("bob").await, client.admin("root").await);
        let shown = ada.client.get(&path(&ada)).await.expect(200).json();
        assert_eq!(shown, new_device(&ada, "phone", &shown));
        assert_eq!(ada.client.get("/v1/devices").await.expect(200).json(), json!([shown]));
        assert_eq!(admin.client.get(&path(&ada)).await.expect(200).json(), shown);
        bob.client.get(&path(&ada)).await.expect_problem(404, "not_found");
        let listed = bob.client.get("/v1/devices").await.expect(200).json();
        assert_eq!(ids_in(&listed), [bob.device_id]);
    }
}

on_every_host! {
    async fn put_and_patch_store_the_token_and_the_app_version(client: Client) {
        let ada = register_on(&client, "ada", "phone").await;
        for (method, token) in [(Method::PUT, "fcm-1"), (Method::PATCH, "fcm-2")] {
            let call = |body: Value| {
                let (client, path, method) = (ada.client.clone(), path(&ada), method.clone());
                async move { client.call(method, &path, Some(&body)).await.expect(200).json() }
            };
            let version = "01KHXB3VQ0T5R7Y9W1N2C4D6E8";
            let after = call(json!({"token": token, "app_version_id": version})).await;
            assert_eq!((&after["token"], &after["app_version_id"]), (&json!(token), &json!(version)));
            assert_eq!(call(json!({})).await["token"], token);
            assert_eq!(call(json!({"token": null, "app_version_id": null})).await["token"], token);
            let cleared = call(json!({"token": "", "app_version_id": "", "uuid": "x", "enable": false})).await;
            let mut expected = new_device(&ada, "phone", &after);
            expected["updated"] = cleared["updated"].clone();
            assert_eq!(cleared, expected);
        }
    }
}

on_every_host! {
    async fn fault_3_a_device_name_never_leads_to_anothers_device(client: Client) {
        let ada = register_on(&client, "ada", "phone").await;
        let bob = register_on(&client, "bob", "phone").await;
        let again = sign_in_on(&client, "bob", "phone").await;
        assert_ne!(ada.device_id, bob.device_id);
        assert_eq!(bob.device_id, again.device_id);
        bob.client.put(&path(&ada), json!({"token": "stolen"})).await.expect_problem(404, "not_found");
        bob.client.delete(&path(&ada)).await.expect_problem(404, "not_found");
        assert_eq!(ada.client.get(&path(&ada)).await.expect(200).json()["token"], "");
    }
}

on_every_host! {
    async fn a_deleted_device_is_gone_its_sessions_end_and_signing_in_brings_it_back(client: Client) {
        let ada = register_on(&client, "ada", "phone").await;
        let same = sign_in_on(&client, "ada", "phone").await;
        let other = sign_in_on(&client, "ada", "tablet").await;
        ada.client.put(&path(&ada), json!({"token": "fcm-1"})).await.expect(200);
        let answer = other.client.delete(&path(&ada)).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "deleted"}));
        for ended in [&ada, &same] {
            ended.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
            ended.refresh_with(&ended.refresh_token).await.expect_problem(401, "invalid_refresh_token");
        }
        for gone in [other.client.get(&path(&ada)).await, other.client.delete(&path(&ada)).await] {
            gone.expect_problem(404, "not_found");
        }
        other.client.put(&path(&ada), json!({"token": "x"})).await.expect_problem(404, "not_found");
        assert_eq!(ids_in(&other.client.get("/v1/devices").await.expect(200).json()), [other.device_id.as_str()]);
        let back = sign_in_on(&client, "ada", "phone").await;
        assert_eq!(back.client.get(&path(&back)).await.expect(200).json()["token"], "");
    }
}

on_every_host! {
    async fn an_admin_keeps_anybodys_device(client: Client) {
        let ada = register_on(&client, "ada", "phone").await;
        let admin = client.admin("root").await;
        let after = admin.client.put(&path(&ada), json!({"token": "fcm-1"})).await.expect(200).json();
        assert_eq!((&after["token"], &after["user_id"]), (&json!("fcm-1"), &json!(ada.id)));
        admin.client.delete(&path(&ada)).await.expect(200);
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    }
}

// Devices are listed in no particular order, so that hosts cannot be compared.
#[tokio::test]
async fn devices_are_a_bare_array_or_pages() {
    for lab in [Lab::new(), Lab::on_sqlite()] {
        let client = Arc::new(lab).client();
        let ada = register_on(&client, "ada", "phone").await;
        for uuid in ["tablet", "watch", "television"] {
            sign_in_on(&client, "ada", uuid).await;
        }
        let bob = client.register("bob").await;
        let ids = ids_in(&ada.client.get("/v1/devices").await.expect(200).json());
        assert_eq!(ids.len(), 4);
        expect_pages(&ada.client, "/v1/devices", &ids).await;
        let cursor = first_cursor(&ada.client, "/v1/devices").await;
        refused(&bob.client, "/v1/devices", &cursor).await;
        refused(&ada.client, "/v1/statuses", &cursor).await;
    }
}

on_every_host! {
    async fn fault_9_versions_are_compared_by_semver_precedence(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        assert_eq!(latest_for(&ada, json!("0.0.1")).await, None, "without releases everything is up to date");
        for version in ["1.9", "1.10", "1.10.1-beta.1"] {
            announce(&admin, json!({"version": version})).await;
        }
        announce(&admin, json!({"version": "2.0.0", "enable": false})).await;
        for old in [json!("1.9"), json!(1.9), json!(1), json!("1.10"), json!("1.10.0-rc.1"), json!(1.1), json!("1.10.1-alpha")] {
            let update = latest_for(&ada, old).await.expect("an update");
            assert_eq!(update, json!({"message": "update required", "latest": "1.10.1-beta.1", "mandatory": false}));
        }
        for new in [json!("1.10.1-beta.1"), json!("1.10.1"), json!("1.11"), json!(2), json!("1.10.1-beta.1+build")] {
            assert_eq!(latest_for(&ada, new).await, None);
        }
    }
}

on_every_host! {
    async fn an_outdated_app_is_told_all_about_the_update(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        announce(&admin, json!({"version": "1.1.0", "mandatory": true, "url": "https://example.com/old"})).await;
        let latest = announce(&admin, json!({"version": "1.2", "url": "https://example.com/app", "notes": "Faster."})).await;
        let mut expected = json!({
            "message": "update required", "latest": "1.2.0", "mandatory": true,
            "url": "https://example.com/app", "notes": "Faster.",
        });
        assert_eq!(latest_for(&ada, json!(1)).await, Some(expected.clone()), "1.1.0 is lacking, and mandatory");
        expected["mandatory"] = json!(false);
        assert_eq!(latest_for(&ada, json!(1.1)).await, Some(expected));
        let path = format!("/v1/app-versions/{}", latest["id"].as_str().unwrap());
        admin.client.put(&path, json!({"enable": false})).await.expect(200);
        assert_eq!(latest_for(&ada, json!(1.1)).await, None);
    }
}
