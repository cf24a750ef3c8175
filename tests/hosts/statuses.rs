//! Statuses: a list that Admins keep and everybody who is signed in reads.

use http::Method;
use portico_tests::on_every_host;
use serde_json::json;

use crate::paging::{expect_pages, first_cursor, ids_in, refused};

on_every_host! {
    async fn an_admin_keeps_statuses_and_users_read_them(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        let status = admin.client.post("/v1/statuses", json!({"description": "  Available "})).await.expect(201).json();
        assert_eq!(status, json!({"id": status["id"], "description": "Available"}));
        let path = format!("/v1/statuses/{}", status["id"].as_str().unwrap());
        assert_eq!(ada.client.get(&path).await.expect(200).json(), status);
        assert_eq!(ada.client.get("/v1/statuses").await.expect(200).json(), json!([status]));
        for (method, text) in [(Method::PUT, "Away"), (Method::PATCH, "Out 🌴")] {
            let body = json!({"description": text});
            ada.client.call(method.clone(), &path, Some(&body)).await.expect_problem(403, "forbidden");
            let after = admin.client.call(method, &path, Some(&body)).await.expect(200).json();
            assert_eq!(after, json!({"id": status["id"], "description": text}));
            assert_eq!(ada.client.get(&path).await.expect(200).json(), after);
        }
    }
}

on_every_host! {
    async fn a_deleted_status_is_gone_for_good(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        let status = admin.client.post("/v1/statuses", json!({"description": "Away"})).await.expect(201).json();
        let path = format!("/v1/statuses/{}", status["id"].as_str().unwrap());
        ada.client.delete(&path).await.expect_problem(403, "forbidden");
        let answer = admin.client.delete(&path).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "deleted"}));
        for answer in [
            admin.client.get(&path).await,
            admin.client.delete(&path).await,
            admin.client.put(&path, json!({"description": "Back"})).await,
        ] {
            answer.expect_problem(404, "not_found");
        }
        assert_eq!(ada.client.get("/v1/statuses").await.expect(200).json(), json!([]));
        let page = ada.client.get("/v1/statuses?limit=1").await.expect(200).json();
        assert_eq!(page, json!({"data": [], "returned": 0}));
    }
}

on_every_host! {
    async fn statuses_are_a_bare_array_or_pages_oldest_first(client: Client) {
        let (ada, admin) = (client.register("ada").await, client.admin("root").await);
        for n in 0..5 {
            admin.client.post("/v1/statuses", json!({"description": format!("Status {n}")})).await.expect(201);
            // Ids sort by their millisecond.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let list = ada.client.get("/v1/statuses").await.expect(200).json();
        for n in 0..5 {
            assert_eq!(list[n]["description"], format!("Status {n}"));
        }
        expect_pages(&ada.client, "/v1/statuses", &ids_in(&list)).await;
        let cursor = first_cursor(&ada.client, "/v1/statuses").await;
        refused(&admin.client, "/v1/statuses", &cursor).await;
        refused(&ada.client, "/v1/notifications", &cursor).await;
    }
}
