//! Accounts, tokens and codes that one host made, used on the other.

use http::Method;
use http::header::HeaderValue;
use portico_tests::client::{Client, PASSWORD, User, registration};
use serde_json::json;

use crate::support::{Deployment, moved};

const JWKS: &str = "/.well-known/jwks.json";

/// A password to recover to.
const NEW_PASSWORD: &str = "another good one";

async fn refresh(client: &Client, token: &str) -> (String, String) {
    let body = json!({ "refresh_token": token });
    let pair = client.post("/v1/sessions/refresh", body).await.expect(200).json();
    let text = |name: &str| pair[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn refused(client: &Client, token: &str) {
    let body = json!({ "refresh_token": token });
    client.post("/v1/sessions/refresh", body).await.expect_problem(401, "invalid_refresh_token");
}

async fn is_over(client: &Client, token: &str) {
    client.with_token(Some(token)).get("/v1/sessions").await.expect_problem(401, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_on_one_host_signs_in_on_the_other() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let again = there.sign_in(username).await;
        assert_eq!(again.id, user.id);
        there.post("/v1/users", registration(username)).await.expect_problem(409, "username_taken");
        let listed = moved(&user, there).client.get("/v1/users/me/sessions").await.expect(200).json();
        assert_eq!(listed.as_array().unwrap().len(), 2);
        // What one of them changes, the other shows at once.
        moved(&user, there).client.put(&user.path(), json!({ "first_name": "Augusta" })).await.expect(200);
        let shown = user.client.get(&user.path()).await.expect(200).json();
        assert_eq!(shown["first_name"], "Augusta");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_of_one_host_are_good_on_the_other_until_they_are_ended() {
    let deployment = Deployment::start().await;
    let keys = deployment.edge.get(JWKS).await.expect(200);
    assert_eq!(keys.bytes, deployment.native.get(JWKS).await.expect(200).bytes);
    assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 1);
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let shown = moved(&user, there).client.get("/v1/sessions").await.expect(200).json();
        assert_eq!(
            (&shown["session"]["id"], &shown["user"]["id"]),
            (&json!(user.session_id), &json!(user.id))
        );
        moved(&user, there).client.post_empty("/v1/sessions/logout").await.expect(200);
        is_over(here, &user.access_token).await;
        refused(here, &user.refresh_token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_refreshes_crosses_the_hosts_and_reuse_on_either_ends_it() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let mut token = user.refresh_token.clone();
        for host in [there, here, there] {
            let (access, next) = refresh(host, &token).await;
            assert_ne!(next, token);
            let other = if std::ptr::eq(host, here) { there } else { here };
            let session = other.with_token(Some(&access)).get("/v1/sessions").await.expect(200).json();
            assert_eq!(session["session"]["id"], user.session_id);
            token = next;
        }
        // `there` spent the first one; it is `here` that finds it used again.
        refused(here, &user.refresh_token).await;
        is_over(there, &user.access_token).await;
        is_over(here, &user.access_token).await;
        refused(there, &token).await;
        there.sign_in(username).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_one_host_sends_is_taken_by_the_other_once() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let token = json!({ "token": deployment.code_in_mail(&user.email(), 1).await });
        let elsewhere = moved(&user, there).client;
        elsewhere.post("/v1/confirm-email/validate-code", token).await.expect(200);
        assert_eq!(user.client.get(&user.path()).await.expect(200).json()["email_confirmed"], true);

        let body = json!({ "email": user.email() });
        here.post("/v1/password-recovery/request", body).await.expect(200);
        let otp = deployment.code_in_mail(&user.email(), 2).await;
        let body = json!({ "email": user.email(), "otp": otp, "new_password": NEW_PASSWORD });
        let path = "/v1/password-recovery/validate-code";
        let recovered = there.post(path, body.clone()).await.expect(200);
        assert_eq!(User::of(there, username, &recovered).id, user.id);
        here.post(path, body).await.expect_problem(401, "invalid_code");
        is_over(here, &user.access_token).await;
        let login = |password: &str| json!({ "username": username, "password": password });
        here.post("/v1/sessions/login", login(NEW_PASSWORD)).await.expect(200);
        let old = here.post("/v1/sessions/login", login(PASSWORD)).await;
        old.expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_and_idempotency_keys_of_one_host_hold_on_the_other() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let mut request = here.request(Method::POST, "/v1/users", Some(&registration(username)));
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static(username));
        let first = here.send(request.clone()).await.expect(201);
        let again = there.send(request).await.expect(201);
        assert_eq!(again.json()["user"], first.json()["user"]);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));

        let user = User::of(here, username, &first);
        here.sign_in(username).await;
        let page = user.client.get("/v1/users/me/sessions?limit=1").await.expect(200).json();
        let path = format!("/v1/users/me/sessions?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
        let rest = moved(&user, there).client.get(&path).await.expect(200).json();
        assert_ne!(rest["data"][0]["id"], page["data"][0]["id"]);
        assert_eq!((&rest["returned"], rest.get("next_cursor")), (&json!(1), None));
    }
}
