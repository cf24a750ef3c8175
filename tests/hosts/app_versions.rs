//! App versions: the releases that the version check knows.

use http::Method;
use portico_tests::client::User;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::paging::{expect_pages, first_cursor, ids_in, refused};

async fn announce(admin: &User, release: Value) -> Value {
    admin.client.post("/v1/app-versions", release).await.expect(201).json()
}

fn path(release: &Value) -> String {
    format!("/v1/app-versions/{}", release["id"].as_str().expect("an id"))
}

on_every_host! {
    async fn an_admin_announces_a_release_that_everybody_sees(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        let body = json!({
            "version": "1.10.2-rc.1+7", "platform": "ios", "mandatory": true, "enable": false,
            "url": "https://example.com/app", "notes": "Faster.\nBetter.",
        });
        let release = announce(&admin, body.clone()).await;
        let mut expected = body.clone();
        expected["id"] = release["id"].clone();
        assert_eq!(release, expected);
        assert_eq!(client.get(&path(&release)).await.expect(200).json(), release);
        assert_eq!(client.get("/v1/app-versions").await.expect(200).json(), json!([release]));
        ada.client.post("/v1/app-versions", body.clone()).await.expect_problem(403, "forbidden");
        client.post("/v1/app-versions", body).await.expect_problem(401, "unauthenticated");
        let bare = announce(&admin, json!({"version": "2", "platform": null, "url": null, "notes": ""})).await;
        assert_eq!(bare, json!({"id": bare["id"], "version": "2.0.0", "mandatory": false, "enable": true}));
    }
}

on_every_host! {
    async fn put_and_patch_change_a_release_and_null_clears(client: Client) {
        let admin = client.admin("root").await;
        let body = json!({"version": "1.0.0", "platform": "ios", "url": "https://example.com/", "notes": "x"});
        let release = announce(&admin, body).await;
        for (method, version) in [(Method::PUT, "1.1.0"), (Method::PATCH, "1.2.0")] {
            let call = |body: Value| {
                let (client, path, method) = (admin.client.clone(), path(&release), method.clone());
                async move { client.call(method, &path, Some(&body)).await.expect(200).json() }
            };
            let mut expected = release.clone();
            expected["version"] = json!(version);
            expected["mandatory"] = json!(true);
            assert_eq!(call(json!({"version": version, "mandatory": true})).await, expected);
            let cleared = call(json!({"platform": null, "url": null, "notes": null, "version": null})).await;
            assert_eq!(cleared, json!({"id": release["id"], "version": version, "mandatory": true, "enable": true}));
            call(json!({"platform": "ios", "url": "https://example.com/", "notes": "x", "mandatory": false})).await;
        }
    }
}

on_every_host! {
    async fn a_version_exists_once_for_each_platform(client: Client) {
        let admin = client.admin("root").await;
        let one = announce(&admin, json!({"version": "1.2.0"})).await;
        let ios = announce(&admin, json!({"version": "1.2.0", "platform": "ios"})).await;
        for twin in [json!({"version": "1.2"}), json!({"version": "1.2.0+build"}), json!({"version": "1.2.0", "platform": "iOS"})] {
            admin.client.post("/v1/app-versions", twin).await.expect_problem(409, "version_exists");
        }
        admin.client.put(&path(&ios), json!({"platform": null})).await.expect_problem(409, "version_exists");
        let other = announce(&admin, json!({"version": "1.3.0"})).await;
        admin.client.put(&path(&other), json!({"version": "1.2"})).await.expect_problem(409, "version_exists");
        admin.client.put(&path(&one), json!({"version": "1.4"})).await.expect(200);
        admin.client.put(&path(&other), json!({"version": "1.2"})).await.expect(200);
        admin.client.delete(&path(&other)).await.expect(200);
        announce(&admin, json!({"version": "1.2"})).await;
    }
}

on_every_host! {
    async fn a_deleted_release_is_gone_for_good(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        let release = announce(&admin, json!({"version": "1.2.0"})).await;
        ada.client.delete(&path(&release)).await.expect_problem(403, "forbidden");
        let answer = admin.client.delete(&path(&release)).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "deleted"}));
        for gone in [
            client.get(&path(&release)).await,
            admin.client.delete(&path(&release)).await,
            admin.client.put(&path(&release), json!({})).await,
        ] {
            gone.expect_problem(404, "not_found");
        }
        assert_eq!(client.get("/v1/app-versions").await.expect(200).json(), json!([]));
    }
}

on_every_host! {
    async fn releases_are_a_bare_array_or_pages_newest_first(client: Client) {
        let admin = client.admin("root").await;
        for version in ["1.9", "2.0.0-beta", "1.10", "0.1", "2.0.0"] {
            announce(&admin, json!({"version": version})).await;
        }
        let list = client.get("/v1/app-versions").await.expect(200).json();
        let versions: Vec<_> = list.as_array().unwrap().iter().map(|item| item["version"].as_str().unwrap()).collect();
        assert_eq!(versions, ["2.0.0", "2.0.0-beta", "1.10.0", "1.9.0", "0.1.0"]);
        expect_pages(&client, "/v1/app-versions", &ids_in(&list)).await;
        let cursor = first_cursor(&client, "/v1/app-versions").await;
        refused(&admin.client, "/v1/users", &cursor).await;
        refused(&admin.client, "/v1/statuses", &cursor).await;
    }
}
