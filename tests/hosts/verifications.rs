//! Confirming addresses and numbers, and recovering an account.

use std::sync::Arc;

use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

const PHONE: &str = "+442071234567";
const NEW_PASSWORD: &str = "four gardens under the hill";

async fn register_with_phone(client: &Client, username: &str) -> User {
    let mut body = registration(username);
    body["phone"] = json!(PHONE);
    User::of(client, username, &client.post("/v1/users", body).await.expect(201))
}

async fn confirm_email(user: &User, token: &str) -> Answer {
    user.client.post("/v1/confirm-email/validate-code", json!({"token": token})).await
}

async fn confirm_phone(user: &User, otp: &str) -> Answer {
    user.client.post("/v1/confirm-phone/validate-code", json!({"otp": otp})).await
}

async fn recover(client: &Client, email: &str, otp: &str, password: &str) -> Answer {
    let body = json!({"email": email, "otp": otp, "new_password": password});
    client.post("/v1/password-recovery/validate-code", body).await
}

async fn me(user: &User) -> Value {
    user.client.get("/v1/users/me").await.expect(200).json()
}

on_every_host! {
    async fn an_address_is_confirmed_once_with_the_token_from_the_message(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let token = client.newest_message_to(&ada.email()).await.code();
        confirm_email(&bob, &token).await.expect_problem(422, "invalid_code");
        confirm_email(&ada, "WRONG").await.expect_problem(422, "invalid_code")
            .expect_invalid(&[("/token", "invalid_code")]);
        let answer = confirm_email(&ada, &token.to_lowercase()).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "email confirmed"}));
        let user = me(&ada).await;
        assert_eq!((&user["email_confirmed"], &user["verified"], &user["phone_confirmed"]), (&json!(true), &json!(true), &json!(false)));
        confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
        ada.client.post_empty("/v1/confirm-email/request").await.expect_problem(409, "already_confirmed");
    }
}

on_every_host! {
    async fn another_message_so_soon_is_refused_and_says_until_when(client: Client) {
        let ada = client.register("ada").await;
        let answer = ada.client.post_empty("/v1/confirm-email/request").await.expect_problem(429, "too_soon");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn fault_6_a_lost_message_can_be_asked_for_again_after_a_minute() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    let old = client.newest_message_to(&ada.email()).await.code();
    lab.clock.advance(61);
    let answer = ada.client.post_empty("/v1/confirm-email/request").await.expect(200);
    assert_eq!(answer.json(), json!({"message": "confirmation sent"}));
    let new = client.newest_message_to(&ada.email()).await.code();
    assert_ne!(old, new);
    confirm_email(&ada, &old).await.expect_problem(422, "invalid_code");
    confirm_email(&ada, &new).await.expect(200);
}

on_every_host! {
    async fn a_number_is_confirmed_once_with_the_code_from_the_message(client: Client) {
        let ada = register_with_phone(&client, "ada").await;
        let answer = ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
        assert_eq!(answer.json(), json!({"message": "confirmation sent"}));
        ada.client.post_empty("/v1/confirm-phone/request").await.expect_problem(429, "too_soon");
        let code = client.newest_message_to(PHONE).await.code();
        confirm_phone(&ada, "000000").await.expect_problem(422, "invalid_code")
            .expect_invalid(&[("/otp", "invalid_code")]);
        let answer = confirm_phone(&ada, &code.to_lowercase()).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "phone confirmed"}));
        let user = me(&ada).await;
        assert_eq!((&user["phone_confirmed"], &user["email_confirmed"]), (&json!(true), &json!(false)));
        ada.client.post_empty("/v1/confirm-phone/request").await.expect_problem(409, "already_confirmed");
        let moved = ada.client.put("/v1/users/me", json!({"phone": "+442071234568"})).await.expect(200).json();
        assert_eq!(moved["phone_confirmed"], false);
    }
}

on_every_host! {
    async fn an_account_without_a_number_has_none_to_confirm(client: Client) {
        let ada = client.register("ada").await;
        ada.client.post_empty("/v1/confirm-phone/request").await.expect_problem(400, "no_phone");
        confirm_phone(&ada, "ABCDEF").await.expect_problem(400, "no_phone");
    }
}

on_every_host! {
    async fn c4_a_code_dies_with_the_address_it_was_sent_to(client: Client) {
        let ada = register_with_phone(&client, "ada").await;
        ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);
        let (otp, token) = (client.newest_message_to(PHONE).await.code(), client.newest_message_to(&ada.email()).await.code());
        let moved = json!({"email": "new@example.com", "phone": "+442071234568"});
        ada.client.put("/v1/users/me", moved).await.expect(200);
        confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
        confirm_phone(&ada, &otp).await.expect_problem(422, "invalid_code");
    }
}

on_every_host! {
    async fn c3_after_five_wrong_codes_the_right_one_is_refused_too(client: Client) {
        let ada = client.register("ada").await;
        let token = client.newest_message_to(&ada.email()).await.code();
        for _ in 0..5 {
            confirm_email(&ada, "WRONG").await.expect_problem(422, "invalid_code");
        }
        confirm_email(&ada, &token).await.expect_problem(429, "too_many_attempts");
        assert_eq!(me(&ada).await["email_confirmed"], false);
    }
}

on_every_host! {
    async fn fault_5_asking_for_a_recovery_tells_nothing(client: Client) {
        let ada = client.register("ada").await;
        for email in [ada.email().as_str(), "nobody@example.com", "ADA@example.com", "nobody@example.com"] {
            let answer = client.post("/v1/password-recovery/request", json!({"email": email})).await.expect(200);
            assert_eq!(answer.json(), json!({"message": "OTP sent"}));
        }
        for email in [ada.email().as_str(), "nobody@example.com"] {
            recover(&client, email, "WRONG1", NEW_PASSWORD).await.expect_problem(401, "invalid_code");
        }
        assert_eq!(client.messages_to(&ada.email(), 2).await.len(), 2, "a second code is not sent so soon");
    }
}

on_every_host! {
    async fn a_recovery_sets_the_password_signs_in_and_ends_the_other_sessions(client: Client) {
        let ada = client.register("ada").await;
        client.post("/v1/password-recovery/request", json!({"email": "ADA@example.com"})).await.expect(200);
        let otp = client.messages_to(&ada.email(), 2).await.pop().unwrap().code();
        recover(&client, &ada.email(), &otp, "short").await.expect_invalid(&[("/new_password", "too_short")]);
        recover(&client, &ada.email(), &otp, &ada.email()).await.expect_invalid(&[("/new_password", "same_as_identity")]);
        let body = json!({"email": ada.email(), "otp": otp.to_lowercase(), "new_password": NEW_PASSWORD, "device_uuid": "phone"});
        let answer = client.post("/v1/password-recovery/validate-code", body).await.expect(200);
        let recovered = User::of(&client, "ada", &answer);
        assert_eq!(me(&recovered).await["email_confirmed"], true, "the code proved the address");
        let devices = recovered.client.get("/v1/devices").await.expect(200).json();
        assert!(devices.as_array().unwrap().iter().any(|device| device["uuid"] == "phone" && device["id"] == recovered.device_id));
        ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        recover(&client, &ada.email(), &otp, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
        let old = json!({"username": "ada", "password": PASSWORD});
        client.post("/v1/sessions/login", old).await.expect_problem(401, "invalid_credentials");
    }
}

on_every_host! {
    async fn c6_getting_the_path_of_a_code_does_not_consume_it(client: Client) {
        let ada = client.register("ada").await;
        let token = client.newest_message_to(&ada.email()).await.code();
        for _ in 0..6 {
            ada.client.get("/v1/confirm-email/validate-code").await.expect_problem(405, "method_not_allowed");
        }
        confirm_email(&ada, &token).await.expect(200);
    }
}
