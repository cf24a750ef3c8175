//! The way of a user through the product, from registration to deletion.

use portico_tests::client::{PASSWORD, registration};
use portico_tests::on_every_host;
use serde_json::json;

on_every_host! {
    /// The first requests of the README.
    async fn a_user_registers_confirms_refreshes_and_logs_out(client: Client) {
        let ada = client.register("ada").await;
        let current = ada.client.get("/v1/sessions").await.expect(200).json();
        assert_eq!(current["user"]["username"], "ada");
        assert_eq!(current["session"]["id"], ada.session_id);

        let code = client.newest_message_to(&ada.email()).await.code();
        ada.client.post("/v1/confirm-email/validate-code", json!({"token": code})).await.expect(200);
        let confirmed = ada.client.get("/v1/users/me").await.expect(200).json();
        assert_eq!(confirmed["email_confirmed"], true);

        let pair = ada.refresh_with(&ada.refresh_token).await.expect(200).json();
        let access = pair["access_token"].as_str().unwrap();
        let ada = ada.client.with_token(Some(access));
        ada.post_empty("/v1/sessions/logout").await.expect(200);
        ada.get("/v1/sessions").await.expect_problem(401, "session_ended");
        let gone = pair["refresh_token"].as_str().unwrap();
        client.post("/v1/sessions/refresh", json!({"refresh_token": gone})).await
            .expect_problem(401, "invalid_refresh_token");

        client.post("/v1/users", registration("ada")).await.expect_problem(409, "username_taken");
        let again = client.sign_in("ada").await;
        assert_eq!(again.username, "ada");
    }
}

on_every_host! {
    async fn a_lost_password_is_recovered(client: Client) {
        let ada = client.register("ada").await;
        client.post("/v1/password-recovery/request", json!({"email": ada.email()})).await.expect(200);
        let message = client.messages_to(&ada.email(), 2).await.pop().unwrap();
        let body = json!({"email": ada.email(), "otp": message.code(), "new_password": "another good one"});
        client.post("/v1/password-recovery/validate-code", body).await.expect(200);
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        let old = json!({"username": "ada", "password": PASSWORD});
        client.post("/v1/sessions/login", old).await.expect_problem(401, "invalid_credentials");
        let new = json!({"username": "ada@example.com", "password": "another good one"});
        client.post("/v1/sessions/login", new).await.expect(200);
    }
}

on_every_host! {
    async fn an_admin_sees_changes_deletes_and_restores_users(client: Client) {
        let ada = client.register("ada").await;
        let admin = client.admin("root").await;
        let list = admin.client.get("/v1/users").await.expect(200).json();
        assert_eq!(list["returned"], 2);
        ada.client.get("/v1/users").await.expect_problem(403, "forbidden");
        admin.client.put(&ada.path(), json!({"first_name": "Augusta", "enable": 0})).await.expect(200);
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        admin.client.put(&ada.path(), json!({"enable": true})).await.expect(200);
        let ada = client.sign_in("ada").await;
        ada.client.delete(&ada.path()).await.expect(200);
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        let body = json!({"username": "ada", "password": PASSWORD});
        client.post("/v1/sessions/login", body).await.expect_problem(401, "invalid_credentials");
        admin.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
        client.sign_in("ada").await;
    }
}
