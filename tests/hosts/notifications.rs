//! Notifications: to one, to many, to all; read, read all, deleted.

use http::Method;
use portico_tests::client::User;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::paging::{expect_pages, first_cursor, ids_in, refused, walk};

const NOBODY: &str = "01KHXAZZ7M2V4S6T8R0P1Q3W5Y";

async fn notify(admin: &User, body: Value) -> Value {
    // Lists are ordered by the millisecond.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    admin.client.post("/v1/notifications", body).await.expect(201).json()
}

async fn unread(user: &User) -> Value {
    user.client.get("/v1/notifications").await.expect(200).json()
}

fn path(notification: &Value) -> String {
    format!("/v1/notifications/{}", notification["id"].as_str().expect("an id"))
}

on_every_host! {
    async fn a_notification_reaches_one_user(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        let body = json!({"user_id": ada.id, "message": "Line one\nline two", "template_id": "table", "device_id": ada.device_id});
        assert_eq!(notify(&admin, body).await, json!({"created": 1}));
        let list = unread(&ada).await;
        assert_eq!(list, json!([{
            "id": list[0]["id"], "user_id": ada.id, "device_id": ada.device_id, "template_id": "table",
            "message": "Line one\nline two", "readed": 0,
            "created": list[0]["created"], "updated": list[0]["created"],
        }]));
        assert_eq!(unread(&bob).await, json!([]));
        ada.client.post("/v1/notifications", json!({"all": true, "message": "x"})).await.expect_problem(403, "forbidden");
    }
}

on_every_host! {
    async fn a_notification_reaches_many_or_all(client: Client) {
        let (ada, bob, cleo) = (client.register("ada").await, client.register("bob").await, client.register("cleo").await);
        let admin = client.admin("root").await;
        let many = json!({"user_ids": [ada.id, bob.id, ada.id], "message": "to two"});
        assert_eq!(notify(&admin, many).await, json!({"created": 2}));
        cleo.client.delete("/v1/users/me").await.expect(200);
        assert_eq!(notify(&admin, json!({"all": true, "message": "to all"})).await, json!({"created": 3}));
        for user in [&ada, &bob] {
            let list = unread(user).await;
            let texts: Vec<_> = list.as_array().unwrap().iter().map(|item| item["message"].as_str().unwrap()).collect();
            assert_eq!(texts, ["to all", "to two"], "newest first");
        }
        assert_eq!(unread(&admin).await[0]["template_id"], "");
    }
}

on_every_host! {
    async fn a_user_who_does_not_exist_is_told_by_its_place_and_nobody_is_notified(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        bob.client.delete("/v1/users/me").await.expect(200);
        for (body, errors) in [
            (json!({"user_id": NOBODY, "message": "x"}), vec![("/user_id", "not_allowed")]),
            (json!({"user_id": bob.id, "message": "x"}), vec![("/user_id", "not_allowed")]),
            (
                json!({"user_ids": [ada.id, ada.id, NOBODY, bob.id], "message": "x"}),
                vec![("/user_ids/2", "not_allowed"), ("/user_ids/3", "not_allowed")],
            ),
        ] {
            admin.client.post("/v1/notifications", body).await.expect_invalid(&errors);
        }
        assert_eq!(unread(&ada).await, json!([]));
    }
}

on_every_host! {
    async fn put_and_patch_mark_a_notification_read(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        for method in [Method::PUT, Method::PATCH] {
            notify(&admin, json!({"user_id": ada.id, "message": "x"})).await;
            let before = unread(&ada).await[0].clone();
            bob.client.call(method.clone(), &path(&before), None).await.expect_problem(404, "not_found");
            let read = ada.client.call(method.clone(), &path(&before), None).await.expect(200).json();
            let mut expected = before.clone();
            expected["readed"] = json!(1);
            expected["updated"] = read["updated"].clone();
            assert_eq!(read, expected);
            assert_eq!(unread(&ada).await, json!([]));
            assert_eq!(ada.client.call(method, &path(&before), None).await.expect(200).json(), read, "again");
        }
    }
}

on_every_host! {
    async fn all_are_marked_read_at_once(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        for _ in 0..3 {
            notify(&admin, json!({"user_ids": [ada.id, bob.id], "message": "x"})).await;
        }
        let first = unread(&ada).await[0].clone();
        ada.client.put(&path(&first), json!({})).await.expect(200);
        for updated in [2, 0] {
            let answer = ada.client.call(Method::PUT, "/v1/notifications/read-all", None).await.expect(200);
            assert_eq!(answer.json(), json!({"message": "marked as read", "updated": updated}));
        }
        assert_eq!(unread(&ada).await, json!([]));
        let all = ada.client.get("/v1/notifications?all=true").await.expect(200).json();
        assert_eq!((&all["returned"], &all["data"][2]["readed"]), (&json!(3), &json!(1)));
        assert_eq!(unread(&bob).await.as_array().unwrap().len(), 3);
    }
}

on_every_host! {
    async fn a_deleted_notification_is_gone_for_good(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        for _ in 0..2 {
            notify(&admin, json!({"user_id": ada.id, "message": "x"})).await;
        }
        let list = unread(&ada).await;
        bob.client.delete(&path(&list[0])).await.expect_problem(404, "not_found");
        let answer = ada.client.delete(&path(&list[0])).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "deleted"}));
        for gone in [ada.client.delete(&path(&list[0])).await, ada.client.put(&path(&list[0]), json!({})).await] {
            gone.expect_problem(404, "not_found");
        }
        admin.client.delete(&path(&list[1])).await.expect(200);
        let all = ada.client.get("/v1/notifications?all=1").await.expect(200).json();
        assert_eq!(all, json!({"data": [], "returned": 0}));
    }
}

on_every_host! {
    async fn notifications_come_in_pages_newest_first(client: Client) {
        let (ada, bob, admin) = (client.register("ada").await, client.register("bob").await, client.admin("root").await);
        for n in 0..5 {
            notify(&admin, json!({"user_id": ada.id, "message": n.to_string()})).await;
        }
        let mut ids = ids_in(&unread(&ada).await);
        expect_pages(&ada.client, "/v1/notifications", &ids).await;
        expect_pages(&ada.client, "/v1/notifications?all=true", &ids).await;
        let (some, all) = ("/v1/notifications", "/v1/notifications?all=true");
        let (of_some, of_all) = (first_cursor(&ada.client, some).await, first_cursor(&ada.client, all).await);
        refused(&ada.client, all, &of_some).await;
        refused(&ada.client, some, &of_all).await;
        refused(&bob.client, some, &of_some).await;
        ada.client.get("/v1/notifications?all=perhaps").await.expect_problem(400, "invalid_parameter");
        let read = ids.remove(2);
        ada.client.put(&format!("/v1/notifications/{read}"), json!({})).await.expect(200);
        assert_eq!(crate::paging::ids_of(&walk(&ada.client, some, 2).await), ids);
        assert_eq!(walk(&ada.client, all, 2).await.len(), 5);
    }
}
