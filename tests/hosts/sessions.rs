//! Sessions: signing in, refreshing, listing, ending.

use http::Request;
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::paging::{expect_pages, first_cursor, ids_in, refused};

async fn login(client: &Client, username: &str, password: &str) -> Answer {
    client.post("/v1/sessions/login", json!({"username": username, "password": password})).await
}

async fn sessions_of(user: &User) -> Vec<Value> {
    let list = user.client.get("/v1/users/me/sessions").await.expect(200).json();
    list.as_array().expect("a bare array").clone()
}

async fn is_over(user: &User) {
    user.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    user.refresh_with(&user.refresh_token).await.expect_problem(401, "invalid_refresh_token");
}

on_every_host! {
    async fn signing_in_takes_a_username_or_an_address_in_any_case(client: Client) {
        client.register("ada").await;
        for name in ["ada", "ADA", "Ａda", "ada@example.com", "ADA@Example.com"] {
            let auth = login(&client, name, PASSWORD).await.expect(200).json();
            assert_eq!(auth["user"]["username"], "ada");
            assert_eq!(auth["session"]["user_id"], auth["user"]["id"]);
        }
    }
}

on_every_host! {
    async fn p7_unknown_users_and_wrong_passwords_get_the_same_answer(client: Client) {
        client.register("ada").await;
        let bob = client.register("bob").await;
        bob.client.delete("/v1/users/me").await.expect(200);
        let mut bodies = Vec::new();
        for (name, password) in [("ada", "wrong password"), ("nobody", PASSWORD), ("bob", PASSWORD), ("no\0body", PASSWORD), ("", ""), ("user#ada", PASSWORD)] {
            let mut body = login(&client, name, password).await.expect_problem(401, "invalid_credentials").json();
            body["request_id"] = Value::Null;
            bodies.push(body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    }
}

on_every_host! {
    async fn r9_every_sign_in_is_a_new_session_and_a_device_stays_the_same(client: Client) {
        let mut body = registration("ada");
        body["device_uuid"] = json!("phone");
        let first = User::of(&client, "ada", &client.post("/v1/users", body).await.expect(201));
        let again = json!({"username": "ada", "password": PASSWORD, "device_uuid": "phone"});
        let second = User::of(&client, "ada", &client.post("/v1/sessions/login", again).await.expect(200));
        let elsewhere = client.sign_in("ada").await;
        assert_ne!(first.session_id, second.session_id);
        assert_eq!(first.device_id, second.device_id);
        assert_ne!(first.device_id, elsewhere.device_id);
    }
}

on_every_host! {
    async fn the_current_session_is_shown_with_its_user(client: Client) {
        let auth = client.post("/v1/users", registration("ada")).await.expect(201);
        let ada = User::of(&client, "ada", &auth);
        let shown = ada.client.get("/v1/sessions").await.expect(200).json();
        assert_eq!(shown, json!({"session": auth.json()["session"], "user": auth.json()["user"]}));
    }
}

on_every_host! {
    async fn a_list_of_sessions_tells_where_they_are_from_and_which_asks(client: Client) {
        let ada = client.register("ada").await;
        let body = json!({"username": "ada", "password": PASSWORD}).to_string();
        let request = Request::post("/v1/sessions/login").header("user-agent", "Garden/1.10.2");
        let auth = client.send(request.body(body.into()).unwrap()).await.expect(200);
        let list = sessions_of(&ada).await;
        assert_eq!(list[1], json!({
            "id": auth.json()["session"]["id"], "user_id": ada.id, "device_id": auth.json()["session"]["device_id"],
            "enable": true, "created": list[1]["created"], "updated": list[1]["created"],
            "current": false, "ip": "127.0.0.1", "user_agent": "Garden/1.10.2", "last_used": list[1]["created"],
        }));
        assert_eq!((&list[0]["id"], &list[0]["current"], list.len()), (&json!(ada.session_id), &json!(true), 2));
        assert_eq!(list[0].get("user_agent"), None);
        let same = ada.client.get(&format!("{}/sessions", ada.path())).await.expect(200).json();
        assert_eq!(same, json!(list));
    }
}

on_every_host! {
    async fn sessions_are_listed_in_pages_to_their_owner_and_admins(client: Client) {
        let ada = client.register("ada").await;
        for _ in 0..3 {
            client.sign_in("ada").await;
        }
        let (bob, admin) = (client.register("bob").await, client.admin("root").await);
        let path = format!("{}/sessions", ada.path());
        let ids = ids_in(&admin.client.get(&path).await.expect(200).json());
        assert_eq!(ids.len(), 4);
        expect_pages(&ada.client, "/v1/users/me/sessions", &ids).await;
        bob.client.get(&path).await.expect_problem(403, "forbidden");
        let unknown = "/v1/users/01KHXAZZ7M2V4S6T8R0P1Q3W5Y/sessions";
        admin.client.get(unknown).await.expect_problem(404, "not_found");
        bob.client.get(unknown).await.expect_problem(403, "forbidden");
        let cursor = first_cursor(&ada.client, "/v1/users/me/sessions").await;
        refused(&bob.client, "/v1/users/me/sessions", &cursor).await;
        refused(&ada.client, "/v1/devices", &cursor).await;
    }
}

on_every_host! {
    async fn a_refresh_answers_the_next_pair_and_nothing_else(client: Client) {
        let ada = client.register("ada").await;
        let pair = ada.refresh_with(&ada.refresh_token).await.expect(200).json();
        assert_eq!(pair, json!({
            "access_token": pair["access_token"], "refresh_token": pair["refresh_token"],
            "token_type": "Bearer", "expires_in": 604_800,
        }));
        assert_ne!(pair["refresh_token"], ada.refresh_token);
        let next = client.with_token(pair["access_token"].as_str());
        let session = next.get("/v1/sessions").await.expect(200).json()["session"].take();
        assert_eq!(session["id"], ada.session_id);
        ada.client.get("/v1/sessions").await.expect(200);
    }
}

on_every_host! {
    async fn logging_out_ends_this_session_alone(client: Client) {
        let ada = client.register("ada").await;
        let other = client.sign_in("ada").await;
        let answer = ada.client.post_empty("/v1/sessions/logout").await.expect(200);
        assert_eq!(answer.json(), json!({"message": "logged out"}));
        is_over(&ada).await;
        assert_eq!(sessions_of(&other).await.len(), 1);
    }
}

on_every_host! {
    async fn r8_others_or_all_sessions_are_ended_at_once(client: Client) {
        let ada = client.register("ada").await;
        let bob = client.register("bob").await;
        let (other, third) = (client.sign_in("ada").await, client.sign_in("ada").await);
        ada.client.post_empty("/v1/sessions/logout-all?keep_current=maybe").await.expect_problem(400, "invalid_parameter");
        let answer = ada.client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
        assert_eq!(answer.json(), json!({"message": "logged out", "ended": 2}));
        is_over(&other).await;
        is_over(&third).await;
        assert_eq!(sessions_of(&ada).await.len(), 1);
        client.sign_in("ada").await;
        let answer = ada.client.post_empty("/v1/sessions/logout-all").await.expect(200);
        assert_eq!(answer.json(), json!({"message": "logged out", "ended": 2}));
        is_over(&ada).await;
        bob.client.get("/v1/sessions").await.expect(200);
    }
}

on_every_host! {
    async fn r8_a_session_is_ended_by_its_owner_and_by_admins(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let (other, third) = (client.sign_in("ada").await, client.sign_in("ada").await);
        let admin = client.admin("root").await;
        let path = |user: &User| format!("/v1/sessions/{}", user.session_id);
        bob.client.delete(&path(&ada)).await.expect_problem(404, "not_found");
        let answer = ada.client.delete(&path(&other)).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "session ended"}));
        is_over(&other).await;
        admin.client.delete(&path(&third)).await.expect(200);
        is_over(&third).await;
        ada.client.delete(&path(&ada)).await.expect(200);
        is_over(&ada).await;
        bob.client.delete("/v1/sessions/01KHXAZZ7M2V4S6T8R0P1Q3W5Y").await.expect_problem(404, "not_found");
    }
}

on_every_host! {
    async fn google_is_unavailable_where_it_is_not_configured(client: Client) {
        let answer = client.post("/v1/sessions/google", json!({"credential": "x.y.z"})).await;
        answer.expect_problem(503, "google_not_configured");
    }
}
