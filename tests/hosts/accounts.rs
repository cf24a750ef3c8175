//! Accounts: registering, showing, changing, deleting, restoring, exporting; and their passwords.

use std::sync::Arc;

use http::Method;
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::paging::{expect_pages, first_cursor, ids_of, refused, walk};

/// A registration with some members other than usual.
fn registration_with(username: &str, changes: &Value) -> Value {
    let mut body = registration(username);
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// The account of `ada` as it is right after its registration.
fn new_account(shown: &Value) -> Value {
    json!({
        "id": shown["id"], "username": "ada", "email": "ada@example.com", "role": "User",
        "first_name": "Ada", "last_name": "Lovelace", "verified": false, "email_confirmed": false,
        "phone_confirmed": false, "auth_provider": "local", "enable": 1,
        "created": shown["created"], "updated": shown["created"],
    })
}

async fn shown(user: &User) -> Value {
    user.client.get("/v1/users/me").await.expect(200).json()
}

async fn sees_nothing(client: &Client, path: &str) {
    client.get(path).await.expect_problem(404, "not_found");
}

on_every_host! {
    async fn a_registration_answers_tokens_a_session_and_the_account(client: Client) {
        let optional = json!({"phone": "+442071234567", "birthday": "1985-12-10", "device_uuid": "phone-1"});
        let auth = client.post("/v1/users", registration_with("ada", &optional)).await.expect(201).json();
        let (session, user) = (&auth["session"], &auth["user"]);
        let mut expected = new_account(user);
        expected["phone"] = json!("+442071234567");
        expected["birthday"] = json!("1985-12-10");
        assert_eq!(*user, expected);
        assert_eq!(*session, json!({
            "id": session["id"], "user_id": user["id"], "device_id": session["device_id"],
            "enable": true, "created": session["created"], "updated": session["created"],
        }));
        assert_eq!((&auth["token_type"], &auth["expires_in"]), (&json!("Bearer"), &json!(604_800)));
    }
}

on_every_host! {
    async fn a_registration_is_kept_in_its_normal_form(client: Client) {
        let odd = json!({
            "username": "ＡDA.Lovelace", "email": " Ada@Example.COM ", "first_name": "  Augusta Ada ",
            "phone": "0044 (20) 7123-4567", "birthday": "1985-12-10",
        });
        let user = client.post("/v1/users", registration_with("x", &odd)).await.expect(201).json()["user"].take();
        assert_eq!(user["username"], "ada.lovelace");
        assert_eq!(user["email"], "ada@example.com");
        assert_eq!(user["first_name"], "Augusta Ada");
        assert_eq!(user["phone"], "+442071234567");
    }
}

on_every_host! {
    async fn optional_members_that_are_null_or_empty_are_absent(client: Client) {
        for (name, nothing) in [("ada", Value::Null), ("bob", json!(""))] {
            let optional = json!({"phone": nothing, "birthday": nothing, "device_uuid": null});
            let user = client.post("/v1/users", registration_with(name, &optional)).await.expect(201).json()["user"].take();
            assert_eq!((user.get("phone"), user.get("birthday")), (None, None));
        }
    }
}

on_every_host! {
    async fn names_are_unique_ignoring_case(client: Client) {
        client.register("ada").await;
        for body in [registration("ada"), registration("ADA"), registration_with("Ａda", &json!({"email": "x@y.de"}))] {
            client.post("/v1/users", body).await.expect_problem(409, "username_taken");
        }
        let same_email = registration_with("other", &json!({"email": "ADA@example.COM"}));
        client.post("/v1/users", same_email).await.expect_problem(409, "email_taken");
        client.register("other").await;
    }
}

on_every_host! {
    async fn a8_members_that_a_caller_may_not_set_are_not_written(client: Client) {
        let forbidden = json!({
            "id": "01KHXAZZ7M2V4S6T8R0P1Q3W5Y", "role": "Admin", "enable": 0, "verified": true,
            "email_confirmed": true, "phone_confirmed": true, "auth_provider": "google",
            "created": "1999-01-01T00:00:00.000Z", "password_hash": "x", "google_sub": "1", "deleted_at": "x",
        });
        let auth = client.post("/v1/users", registration_with("ada", &forbidden)).await.expect(201);
        assert_eq!(auth.json()["user"], new_account(&auth.json()["user"]));
        let ada = User::of(&client, "ada", &auth);
        let mut ignored = forbidden.clone();
        ignored.as_object_mut().unwrap().retain(|name, _| name != "role" && name != "enable");
        let after = ada.client.put(&ada.path(), ignored).await.expect(200).json();
        let mut expected = new_account(&after);
        expected["updated"] = after["updated"].clone();
        assert_eq!(after, expected);
    }
}

on_every_host! {
    async fn others_see_only_the_public_part_of_an_account(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let admin = client.admin("root").await;
        let whole = shown(&ada).await;
        assert_eq!(whole, new_account(&whole));
        assert_eq!(ada.client.get(&ada.path()).await.expect(200).json(), whole);
        assert_eq!(admin.client.get(&ada.path()).await.expect(200).json(), whole);
        let public = json!({"id": ada.id, "username": "ada", "first_name": "Ada", "last_name": "Lovelace"});
        assert_eq!(bob.client.get(&ada.path()).await.expect(200).json(), public);
        client.get(&ada.path()).await.expect_problem(401, "unauthenticated");
    }
}

on_every_host! {
    async fn put_and_patch_change_what_is_given_and_leave_the_rest(client: Client) {
        for (name, method) in [("ada", Method::PUT), ("bob", Method::PATCH)] {
            let user = client.register(name).await;
            let before = shown(&user).await;
            let body = json!({"first_name": "Augusta", "last_name": "King", "birthday": "1815-12-10"});
            let call = |body: Value| {
                let (client, method) = (user.client.clone(), method.clone());
                async move { client.call(method, "/v1/users/me", Some(&body)).await }
            };
            call(body).await.expect_invalid(&[("/birthday", "too_early")]);
            assert_eq!(shown(&user).await, before, "a refused change changes nothing");
            let after = call(json!({"first_name": "Augusta", "phone": "+442071234567", "birthday": "1985-12-10"})).await.expect(200).json();
            let mut expected = before.clone();
            for name in ["first_name", "phone", "birthday", "updated"] {
                expected[name] = after[name].clone();
            }
            assert_eq!((after["first_name"].as_str(), after["phone"].as_str()), (Some("Augusta"), Some("+442071234567")));
            assert_eq!(after, expected);
            assert_eq!(shown(&user).await, after);
            let cleared = call(json!({"phone": null, "birthday": null, "first_name": null})).await.expect(200).json();
            assert_eq!((cleared.get("phone"), cleared.get("birthday")), (None, None));
            assert_eq!(cleared["first_name"], "Augusta");
            assert_eq!(call(json!({})).await.expect(200).json()["first_name"], "Augusta");
        }
    }
}

on_every_host! {
    async fn fault_2_a_profile_cannot_take_anothers_name(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let before = shown(&bob).await;
        bob.client.put("/v1/users/me", json!({"username": "ADA"})).await.expect_problem(409, "username_taken");
        bob.client.put("/v1/users/me", json!({"email": "Ada@Example.com"})).await.expect_problem(409, "email_taken");
        let both = json!({"username": "robert", "email": ada.email()});
        bob.client.put("/v1/users/me", both).await.expect_problem(409, "email_taken");
        assert_eq!(shown(&bob).await, before);
        // Neither does a refused change keep a name from anybody else.
        client.register("robert").await;
        bob.client.put("/v1/users/me", json!({"username": "BOB"})).await.expect(200);
    }
}

on_every_host! {
    async fn a_new_username_frees_the_old_one(client: Client) {
        let ada = client.register("ada").await;
        let renamed = ada.client.put("/v1/users/me", json!({"username": "Augusta"})).await.expect(200).json();
        assert_eq!(renamed["username"], "augusta");
        let old = json!({"username": "ada", "password": PASSWORD});
        client.post("/v1/sessions/login", old).await.expect_problem(401, "invalid_credentials");
        client.sign_in("augusta").await;
        let taken = registration_with("ada", &json!({"email": "new@example.com"}));
        client.post("/v1/users", taken).await.expect(201);
    }
}

on_every_host! {
    async fn c8_c9_a_new_address_is_unconfirmed_ends_other_sessions_and_is_told_to_the_old_one(client: Client) {
        let ada = client.register("ada").await;
        let code = client.newest_message_to(&ada.email()).await.code();
        ada.client.post("/v1/confirm-email/validate-code", json!({"token": code})).await.expect(200);
        let other = client.sign_in("ada").await;
        let same = ada.client.put("/v1/users/me", json!({"email": "ADA@example.com"})).await.expect(200).json();
        assert_eq!((&same["email_confirmed"], &same["verified"]), (&json!(true), &json!(true)));
        other.client.get("/v1/sessions").await.expect(200);
        let moved = ada.client.put("/v1/users/me", json!({"email": "new@example.com"})).await.expect(200).json();
        assert_eq!((&moved["email_confirmed"], &moved["verified"]), (&json!(false), &json!(false)));
        other.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        ada.client.get("/v1/sessions").await.expect(200);
        assert_eq!(client.messages_to("ada@example.com", 2).await.len(), 2);
    }
}

on_every_host! {
    async fn only_an_admin_sets_role_and_enable(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let admin = client.admin("root").await;
        let before = shown(&ada).await;
        for body in [json!({"role": "Admin"}), json!({"role": "User"}), json!({"enable": 1}), json!({"enable": false, "first_name": "Eve"})] {
            ada.client.put("/v1/users/me", body.clone()).await.expect_problem(403, "forbidden");
            bob.client.put(&ada.path(), body).await.expect_problem(403, "forbidden");
        }
        assert_eq!(shown(&ada).await, before);
        for (enable, shown) in [(json!(0), 0), (json!(1), 1), (json!(false), 0), (json!(true), 1)] {
            let after = admin.client.put(&ada.path(), json!({"enable": enable})).await.expect(200).json();
            assert_eq!(after["enable"], shown);
        }
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        let promoted = admin.client.put(&ada.path(), json!({"role": "Admin"})).await.expect(200).json();
        assert_eq!(promoted["role"], "Admin");
        client.sign_in("ada").await.client.get("/v1/users").await.expect(200);
    }
}

on_every_host! {
    async fn a_disabled_account_is_out_of_everybodys_sight_but_an_admins(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let admin = client.admin("root").await;
        admin.client.put(&ada.path(), json!({"enable": 0})).await.expect(200);
        sees_nothing(&bob.client, &ada.path()).await;
        assert_eq!(admin.client.get(&ada.path()).await.expect(200).json()["enable"], 0);
        let login = json!({"username": "ada", "password": PASSWORD});
        client.post("/v1/sessions/login", login).await.expect_problem(401, "invalid_credentials");
        ada.refresh_with(&ada.refresh_token).await.expect_problem(401, "invalid_refresh_token");
        client.post("/v1/users", registration("ada")).await.expect_problem(409, "username_taken");
    }
}

on_every_host! {
    async fn a_deleted_account_is_gone_and_frees_its_names(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let admin = client.admin("root").await;
        bob.client.delete(&ada.path()).await.expect_problem(403, "forbidden");
        let answer = ada.client.delete("/v1/users/me").await.expect(200);
        assert_eq!(answer.json(), json!({"message": "deleted"}));
        ada.client.get("/v1/users/me").await.expect_problem(401, "session_ended");
        sees_nothing(&bob.client, &ada.path()).await;
        admin.client.delete(&ada.path()).await.expect_problem(404, "not_found");
        admin.client.put(&ada.path(), json!({})).await.expect_problem(404, "not_found");
        assert_eq!(admin.client.get(&ada.path()).await.expect(200).json()["enable"], 0);
        assert_eq!(admin.client.get("/v1/users").await.expect(200).json()["returned"], 2);
        let again = client.register("ada").await;
        assert_ne!(again.id, ada.id);
    }
}

on_every_host! {
    async fn a_deleted_account_is_restored_with_its_names(client: Client) {
        let ada = client.register("ada").await;
        let admin = client.admin("root").await;
        let before = shown(&ada).await;
        let restore = format!("{}/restore", ada.path());
        assert_eq!(admin.client.post_empty(&restore).await.expect(200).json(), before, "it was not deleted");
        ada.client.post_empty("/v1/users/me/restore").await.expect_problem(403, "forbidden");
        admin.client.delete(&ada.path()).await.expect(200);
        let restored = admin.client.post_empty(&restore).await.expect(200).json();
        let mut expected = before.clone();
        expected["updated"] = restored["updated"].clone();
        assert_eq!(restored, expected);
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        client.post("/v1/users", registration("ada")).await.expect_problem(409, "username_taken");
        client.sign_in("ada").await;
        admin.client.post_empty("/v1/users/01KHXAZZ7M2V4S6T8R0P1Q3W5Y/restore").await.expect_problem(404, "not_found");
    }
}

on_every_host! {
    async fn an_account_whose_name_was_taken_is_not_restored(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let admin = client.admin("root").await;
        for user in [&ada, &bob] {
            user.client.delete("/v1/users/me").await.expect(200);
        }
        let name = registration_with("ada", &json!({"email": "other@example.com"}));
        client.post("/v1/users", name).await.expect(201);
        let email = registration_with("robert", &json!({"email": "bob@example.com"}));
        client.post("/v1/users", email).await.expect(201);
        let restore = |user: &User| format!("{}/restore", user.path());
        admin.client.post_empty(&restore(&ada)).await.expect_problem(409, "username_taken");
        admin.client.post_empty(&restore(&bob)).await.expect_problem(409, "email_taken");
        sees_nothing(&client.sign_in("robert").await.client, &ada.path()).await;
    }
}

#[tokio::test]
async fn an_account_is_restored_for_thirty_days_and_no_longer() {
    const DAYS: i64 = 24 * 60 * 60;
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, bob) = (client.register("ada").await, client.register("bob").await);
    client.admin("root").await;
    for user in [&ada, &bob] {
        user.client.delete("/v1/users/me").await.expect(200);
    }
    lab.clock.advance(30 * DAYS - 60);
    let admin = client.sign_in("root").await;
    admin.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
    lab.clock.advance(61);
    let late = admin.client.post_empty(&format!("{}/restore", bob.path())).await;
    late.expect_problem(410, "retention_over");
}

on_every_host! {
    async fn users_are_listed_in_pages_newest_first(client: Client) {
        let mut expected = Vec::new();
        for name in ["ada", "bob", "cleo", "dora"] {
            expected.insert(0, client.register(name).await.id);
        }
        let admin = client.admin("root").await;
        expected.insert(0, admin.id.clone());
        let page = admin.client.get("/v1/users").await.expect(200).json();
        assert_eq!(ids_of(page["data"].as_array().unwrap()), expected);
        assert_eq!((&page["returned"], page.get("next_cursor")), (&json!(5), None));
        expect_pages(&admin.client, "/v1/users", &expected).await;
        admin.client.put(&format!("/v1/users/{}", expected[2]), json!({"enable": 0})).await.expect(200);
        assert_eq!(ids_of(&walk(&admin.client, "/v1/users", 2).await), expected, "disabled accounts are listed");
        let cursor = first_cursor(&admin.client, "/v1/users").await;
        refused(&admin.client, "/v1/statuses", &cursor).await;
        refused(&admin.client, "/v1/notifications", &cursor).await;
    }
}

on_every_host! {
    async fn there_are_two_roles(client: Client) {
        assert_eq!(client.get("/v1/roles").await.expect(200).json(), json!(["Admin", "User"]));
    }
}

on_every_host! {
    async fn an_export_holds_everything_about_the_caller_and_no_secret(client: Client) {
        let auth = client.post("/v1/users", registration_with("ada", &json!({"device_uuid": "phone-1", "phone": "+442071234567"}))).await.expect(201);
        let ada = User::of(&client, "ada", &auth);
        let admin = client.admin("root").await;
        admin.client.post("/v1/notifications", json!({"user_id": ada.id, "message": "Hello"})).await.expect(201);
        ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
        let code = client.newest_message_to("+442071234567").await.code();
        let token = client.newest_message_to(&ada.email()).await.code();
        let answer = ada.client.get("/v1/users/me/export").await.expect(200);
        let (export, text) = (answer.json(), answer.text());
        assert_eq!(export["user"], shown(&ada).await);
        assert_eq!(export["identities"], json!([]));
        assert_eq!(export["sessions"], ada.client.get("/v1/users/me/sessions").await.json());
        assert_eq!(export["devices"], ada.client.get("/v1/devices").await.json());
        assert_eq!(export["notifications"], ada.client.get("/v1/notifications").await.json());
        let pending: Vec<_> = export["verifications"].as_array().unwrap().iter().map(|v| (&v["type"], &v["address"])).collect();
        assert_eq!(pending, [(&json!("email"), &json!("ada@example.com")), (&json!("phone"), &json!("+442071234567"))]);
        let secret = ada.refresh_token.rsplit('.').next().unwrap();
        for secret in [PASSWORD, "argon2", "hash", "root", code.as_str(), token.as_str(), secret, ada.access_token.as_str()] {
            assert!(!text.contains(secret), "{secret} is exported");
        }
    }
}

on_every_host! {
    async fn p5_a_password_is_changed_with_the_current_one_at_both_paths(client: Client) {
        let ada = client.register("ada").await;
        let mut current = PASSWORD;
        for (path, new) in [("/v1/users/me/password", "four gardens under"), ("/v1/password-recovery/change-password", "five gardens under")] {
            let login = json!({"username": "ada", "password": current});
            let other = User::of(&client, "ada", &client.post("/v1/sessions/login", login.clone()).await.expect(200));
            let wrong = json!({"current_password": "not the password", "new_password": new});
            let refused = ada.client.post(path, wrong).await.expect_problem(422, "wrong_password");
            refused.expect_invalid(&[("/current_password", "wrong_password")]);
            let right = json!({"current_password": current, "new_password": new});
            let answer = ada.client.post(path, right).await.expect(200);
            assert_eq!(answer.json(), json!({"message": "password changed"}));
            other.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
            ada.client.get("/v1/sessions").await.expect(200);
            client.post("/v1/sessions/login", login).await.expect_problem(401, "invalid_credentials");
            current = new;
        }
        assert_eq!(client.messages_to(&ada.email(), 3).await.len(), 3, "each change is told");
    }
}
