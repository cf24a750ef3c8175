//! The known faults of the older system: each absent, with a test that its behaviour would fail.

use std::sync::Arc;

use http::Method;
use portico_core::memory::mailer::Failure;
use portico_core::memory::store::Lag;
use portico_core::schema::DEVICES;
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::counting::CountedLab;
use portico_tests::lab::{Lab, LabOptions};
use portico_tests::native::NativeHost;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::support::*;

fn named(username: &str, email: &str) -> Value {
    let mut body = registration(username);
    body["email"] = Value::from(email);
    body
}

/// Registers all at once; one succeeds, and the others hear that the name is taken.
async fn one_registers(client: &Client, bodies: Vec<Value>, taken: &str) {
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let client = client.clone();
            tokio::spawn(async move { client.post("/v1/users", body).await })
        })
        .collect();
    let mut registered = 0;
    for task in tasks {
        let answer: Answer = task.await.expect("an answer");
        if answer.status == 201 {
            registered += 1;
        } else {
            answer.expect_problem(409, taken);
        }
    }
    assert_eq!(registered, 1);
}

async fn race_registrations(lab: &Arc<Lab>) {
    let client = lab.client();
    for round in 0..3 {
        let bodies = (0..12).map(|n| {
            let spelled = if n % 2 == 0 { format!("Ada{round}") } else { format!("\u{ff21}DA{round}") };
            named(&spelled, &format!("ada-{round}-{n}@example.com"))
        });
        one_registers(&client, bodies.collect(), "username_taken").await;
        let bodies = (0..12).map(|n| {
            let spelled = if n % 2 == 0 {
                format!("bob{round}@example.com")
            } else {
                format!("BOB{round}@EXAMPLE.com")
            };
            named(&format!("bob-{round}-{n}"), &spelled)
        });
        one_registers(&client, bodies.collect(), "email_taken").await;
    }
}

#[tokio::test]
async fn fault_01_of_simultaneous_registrations_one_wins_while_indexes_trail() {
    let (store, clock) = memory(Lag::UntilCaughtUp);
    let lab = Arc::new(Lab::on_store(Arc::new(Yielding(store)), clock));
    race_registrations(&lab).await;
    // Not even one after the other do two get a name that no index shows yet.
    lab.client()
        .post("/v1/users", named("ada0", "new@example.com"))
        .await
        .expect_problem(409, "username_taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_01_of_simultaneous_registrations_one_wins_on_sqlite() {
    race_registrations(&Arc::new(Lab::on_sqlite())).await;
}

on_every_host! {
    async fn fault_02_a_profile_cannot_take_anothers_name(client: Client) {
        let ada = client.register("ada").await;
        let bob = client.register("bob").await;
        for (changes, taken) in [
            (json!({"username": "ada"}), "username_taken"),
            (json!({"username": "ADA"}), "username_taken"),
            (json!({"email": "ada@example.com"}), "email_taken"),
            (json!({"email": "Ada@EXAMPLE.com", "first_name": "Changed"}), "email_taken"),
        ] {
            for path in [bob.path(), "/v1/users/me".to_owned()] {
                bob.client.put(&path, changes.clone()).await.expect_problem(409, taken);
                bob.client.call(Method::PATCH, &path, Some(&changes)).await.expect_problem(409, taken);
            }
        }
        let unchanged = bob.client.get("/v1/users/me").await.expect(200).json();
        assert_eq!(unchanged["username"], "bob");
        assert_eq!(unchanged["email"], "bob@example.com");
        assert_eq!(unchanged["first_name"], "Ada");
        ada.client.put("/v1/users/me", json!({"username": "ADA", "email": "ada@example.com"})).await.expect(200);
        client.sign_in("ada").await;
    }
}

on_every_host! {
    async fn fault_03_anothers_device_uuid_leaves_their_device_alone(client: Client) {
        let body = |username: &str| {
            let mut body = registration(username);
            body["device_uuid"] = Value::from("the-phone");
            body
        };
        let ada = User::of(&client, "ada", &client.post("/v1/users", body("ada")).await.expect(201));
        let path = format!("/v1/devices/{}", ada.device_id);
        ada.client.put(&path, json!({"token": "push-token"})).await.expect(200);
        let before = ada.client.get(&path).await.expect(200).json();
        let bob = User::of(&client, "bob", &client.post("/v1/users", body("bob")).await.expect(201));
        let again = login_on(&client, "bob", PASSWORD, "the-phone").await.expect(200);
        let again = User::of(&client, "bob", &again);
        assert_eq!(bob.device_id, again.device_id);
        assert_ne!(bob.device_id, ada.device_id);
        assert_eq!(ada.client.get(&path).await.expect(200).json(), before);
        bob.client.get(&path).await.expect(404);
        bob.client.delete(&format!("/v1/devices/{}", bob.device_id)).await.expect(200);
        assert_live(&ada).await;
        assert_eq!(ada.client.get(&path).await.expect(200).json(), before);
    }
}

#[tokio::test]
async fn fault_03_nor_is_a_device_of_the_older_system_taken() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    lab.client().register("bob").await;
    let device = json!({
        "device_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ", "user_id": ada.id, "device_uuid": "old phone",
        "token": "push-token", "app_version_id": "", "enable": true,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    });
    store_row(&lab, &DEVICES, device.clone()).await;
    let bob = login_on(&lab.client(), "bob", PASSWORD, "old phone").await.expect(200);
    assert_ne!(bob.json()["session"]["device_id"], device["device_id"]);
    let key = portico_core::ports::store::Key::new(&DEVICES, "01HZZZZZZZZZZZZZZZZZZZZZZZ");
    assert_eq!(row(&lab, key).await, device);
    // Its owner is recognised.
    let ada = login_on(&lab.client(), "ada", PASSWORD, "old phone").await.expect(200);
    assert_eq!(ada.json()["session"]["device_id"], device["device_id"]);
}

#[tokio::test]
async fn fault_04_codes_and_tokens_are_neither_stored_nor_spent_twice() {
    let lab = overlapping();
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let stored = format!("{:?}", lab.ports.store);
    assert!(stored.contains(&ada.session_id));
    assert!(!stored.contains(&code) && !stored.contains(&ada.refresh_token));
    // Spent at the same moment, a refresh token has one successor.
    let pairs = futures::future::join_all((0..20).map(|_| ada.refresh_with(&ada.refresh_token))).await;
    let successors: std::collections::BTreeSet<String> =
        pairs.iter().map(|pair| pair.clone().expect(200).json()["refresh_token"].to_string()).collect();
    assert_eq!(successors.len(), 1);
    // Spent later, it gives the theft away.
    lab.clock.advance(120);
    ada.refresh_with(&ada.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    assert_ended(&ada).await;
    for _ in 0..5 {
        recover(&client, &ada.email(), "000000", "another good one").await.expect(401);
    }
    recover(&client, &ada.email(), &code, "another good one").await.expect(401);
}

#[tokio::test]
async fn fault_05_neither_recovery_nor_sign_in_reveals_who_has_an_account() {
    let CountedLab { lab, hasher, .. } = CountedLab::new();
    let client = lab.client();
    client.register("ada").await;
    let known = ask_recovery(&client, "ada@example.com").await.expect(200);
    let unknown = ask_recovery(&client, "nobody@example.com").await.expect(200);
    assert_eq!(known.json(), unknown.json());
    let _ = hasher.take();
    let known = login(&client, "ada", "not the password").await;
    let hashing = hasher.take();
    let unknown = login(&client, "nobody", "not the password").await;
    assert_eq!((hashing, known.status, known.code()), (hasher.take(), unknown.status, unknown.code()));
}

#[tokio::test]
async fn fault_06_a_lost_confirmation_message_can_be_asked_for_again() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let request = "/v1/confirm-email/request";
    let refused = ada.client.post_empty(request).await.expect_problem(429, "too_soon");
    assert!(retry_after(&refused) <= 60);
    for expected in 2..5 {
        lab.clock.advance(60);
        ada.client.post_empty(request).await.expect(200);
        assert_eq!(sent_to(&lab, &ada.email()).len(), expected);
    }
    let token = newest(&lab, &ada.email()).code();
    ada.client.post("/v1/confirm-email/validate-code", json!({"token": token})).await.expect(200);
}

on_every_host! {
    async fn fault_07_access_tokens_end_with_what_they_stand_for(client: Client) {
        let admin = client.admin("root").await;
        let ada = client.register("ada").await;
        ada.client.post_empty("/v1/sessions/logout").await.expect(200);
        assert_ended(&ada).await;

        let (ada, other) = (client.sign_in("ada").await, client.sign_in("ada").await);
        change_password(&ada, PASSWORD, "another good one").await.expect(200);
        assert_ended(&other).await;
        change_password(&ada, "another good one", PASSWORD).await.expect(200);

        let other = client.sign_in("ada").await;
        other.client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
        assert_ended(&ada).await;
        admin.client.put(&ada.path(), json!({"enable": 0})).await.expect(200);
        assert_ended(&other).await;
        admin.client.put(&ada.path(), json!({"enable": 1})).await.expect(200);
        assert_ended(&other).await;

        let ada = client.sign_in("ada").await;
        admin.client.delete(&format!("/v1/devices/{}", ada.device_id)).await.expect(200);
        assert_ended(&ada).await;
        let ada = client.sign_in("ada").await;
        ada.client.delete("/v1/users/me").await.expect(200);
        assert_ended(&ada).await;
    }
}

on_every_host! {
    async fn fault_09_versions_are_compared_as_versions(client: Client) {
        let admin = client.admin("root").await;
        let ada = client.register("ada").await;
        let check = async |version: Value| {
            ada.client.put("/v1/devices/version", json!({"device_version": version})).await
        };
        check(json!("0.0.1")).await.expect(200);
        for version in ["1.9.0", "1.10.0", "1.2.0"] {
            admin.client.post("/v1/app-versions", json!({"version": version, "mandatory": true})).await.expect(201);
        }
        for older in [json!("1.9"), json!(1.9), json!("1.9.9"), json!("1.10.0-rc.1"), json!(1), json!("1.2.0")] {
            let answer = check(older.clone()).await.expect(409).json();
            assert_eq!(answer["message"], "update required", "{older}");
            assert_eq!(answer["latest"], "1.10.0");
            assert_eq!(answer["mandatory"], true);
        }
        for newest in [json!("1.10"), json!("1.10.0"), json!("1.11"), json!(2)] {
            check(newest).await.expect(200);
        }
    }
}

async fn all_of_many_sessions_end(lab: &Arc<Lab>, how: impl AsyncFn(&User, &User)) {
    let client = lab.client();
    let admin = client.admin("root").await;
    let ada = client.register("ada").await;
    let mut sessions = Vec::new();
    for _ in 0..250 {
        sessions.push(client.sign_in("ada").await);
    }
    how(&ada, &admin).await;
    for session in &sessions {
        session.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    }
}

#[tokio::test]
async fn fault_10_all_sessions_end_however_many() {
    let lab = Arc::new(Lab::new());
    all_of_many_sessions_end(&lab, async |ada, _| {
        let answer = ada.client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
        assert_eq!(answer.json()["ended"], 250);
        assert_live(ada).await;
        assert_eq!(
            ada.client.get("/v1/users/me/sessions").await.expect(200).json().as_array().unwrap().len(),
            1
        );
    })
    .await;
    all_of_many_sessions_end(&Arc::new(Lab::new()), async |ada, admin| {
        admin.client.put(&ada.path(), json!({"enable": 0})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn fault_10_all_sessions_end_even_those_that_the_index_does_not_show_yet() {
    let (store, clock) = memory(Lag::Transactions(40));
    let lab = Arc::new(Lab::on_store(store.clone(), clock));
    let client = lab.client();
    let ada = client.register("ada").await;
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(client.sign_in("ada").await);
    }
    ada.client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
    store.catch_up();
    lab.clock.advance(61);
    lab.app.drain_outbox().await;
    for session in &sessions {
        session.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    }
    assert_live(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_11_nobody_chooses_their_own_address() {
    let host = NativeHost::start_with(&[("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "4")]).await;
    let client = Client::new(Arc::new(host));
    let mut statuses = Vec::new();
    for n in 0..12 {
        let body = json!({"username": "nobody", "password": PASSWORD});
        let mut request = client.request(Method::POST, "/v1/sessions/login", Some(&body));
        for (name, value) in [
            ("x-forwarded-for", format!("198.51.100.{n}")),
            ("x-real-ip", format!("198.51.100.{n}")),
            ("forwarded", format!("for=198.51.100.{n}")),
            ("cf-connecting-ip", format!("198.51.100.{n}")),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        statuses.push(client.send(request).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(statuses[..4], [401; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_11_failures_are_counted_beyond_a_restart() {
    let host = Arc::new(NativeHost::start().await);
    let client = Client::new(host.clone());
    client.register("ada").await;
    fail(&client, "ada", 10).await;
    host.kill_and_restart().await;
    login(&client, "ada", PASSWORD).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn fault_12_a_missing_or_broken_sender_neither_crashes_nor_loses_a_message() {
    let options = LabOptions { ports: Some(Box::new(|ports| ports.sms = None)), ..LabOptions::default() };
    let lab = Arc::new(Lab::with(options));
    lab.mailer.fail(Some(Failure::Temporary));
    let ada = lab.client().register("ada").await;
    update(&ada, json!({"phone": "+4915112345678"})).await.expect(200);
    ada.client.post_empty("/v1/confirm-phone/request").await.expect_problem(503, "sms_not_configured");
    assert!(promises_to(&lab, &ada.email()).await);
    lab.mailer.fail(None);
    lab.clock.advance(60);
    lab.app.drain_outbox().await;
    let token = newest(&lab, &ada.email()).code();
    ada.client.post("/v1/confirm-email/validate-code", json!({"token": token})).await.expect(200);
}

on_every_host! {
    async fn fault_13_there_are_ways_to_an_admin_a_notification_and_an_app_version(client: Client) {
        let ada = client.register("ada").await;
        let admin = client.admin("root").await;
        let me = admin.client.get("/v1/users/me").await.expect(200).json();
        assert_eq!(me["role"], "Admin");
        let notification = json!({"user_id": ada.id, "message": "Welcome"});
        admin.client.post("/v1/notifications", notification.clone()).await.expect(201);
        let unread = ada.client.get("/v1/notifications").await.expect(200).json();
        assert_eq!(unread[0]["message"], "Welcome");
        admin.client.post("/v1/app-versions", json!({"version": "1.0.0"})).await.expect(201);
        admin.client.put(&ada.path(), json!({"role": "Admin"})).await.expect(200);
        let ada = client.sign_in("ada").await;
        ada.client.post("/v1/notifications", notification).await.expect(201);
        // And no other way.
        let bob = client.register("bob").await;
        bob.client.put("/v1/users/me", json!({"role": "Admin"})).await.expect_problem(403, "forbidden");
        bob.client.post("/v1/app-versions", json!({"version": "2.0.0"})).await.expect_problem(403, "forbidden");
    }
}

on_every_host! {
    async fn fault_14_a_disabled_account_is_not_told_apart(client: Client) {
        let ada = client.register("ada").await;
        let admin = client.admin("root").await;
        admin.client.put(&ada.path(), json!({"enable": 0})).await.expect(200);
        let told = async |name: &str, password: &str| {
            let mut body = login(&client, name, password).await.expect_problem(401, "invalid_credentials").json();
            body.as_object_mut().map(|body| body.remove("request_id"));
            body
        };
        let unknown = told("nobody", PASSWORD).await;
        assert_eq!(told("ada", PASSWORD).await, unknown);
        assert_eq!(told("ada", "not the password").await, unknown);
        assert_eq!(told("ada@example.com", PASSWORD).await, unknown);
    }
}
