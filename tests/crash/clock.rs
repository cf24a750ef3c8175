//! A clock that is stepped back and forward: everything goes on, nobody is locked out for as long as the step was, and what
//! a step seemed to end is there again when it is undone.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use portico_core::time::Timestamp;
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::invariants;
use portico_tests::lab::Lab;
use serde_json::{Value, json};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// What a server may wake up to, in seconds: the epoch, before it, long after, and the present again.
const STRANGE: [i64; 6] = [0, -1, -2_208_988_800, 951_782_400, 4_102_444_800, 253_370_764_800];

/// A user who does everything that there is to do.
struct Someone {
    user: User,
    refresh: String,
    notification: String,
    file: String,
    ids: BTreeSet<String>,
}

fn id(answer: &Value, pointer: &str) -> String {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer}: {answer}"))
        .to_owned()
}

/// Everything, from nothing.
async fn live(client: &Client, admin: &User, username: &str) -> Someone {
    let auth = client.post("/v1/users", registration(username)).await.expect(201).json();
    let mut ids: BTreeSet<String> = ["/user/id", "/session/id"].map(|pointer| id(&auth, pointer)).into();
    let own = client.with_token(auth["access_token"].as_str());
    let code = client.newest_message_to(&format!("{username}@example.com")).await.code();
    own.post("/v1/confirm-email/validate-code", json!({ "token": code })).await.expect(200);
    let file =
        own.post("/v1/files/base64", json!({ "file_name": "a.txt", "base64": "YWJj" })).await.expect(201);
    let to = json!({ "user_id": id(&auth, "/user/id"), "message": "hello" });
    admin.client.post("/v1/notifications", to).await.expect(201);
    let notes = own.get("/v1/notifications").await.expect(200).json();
    let (file, notification) = (id(&file.json(), "/id"), id(&notes, "/0/id"));
    ids.extend([file.clone(), notification.clone()]);
    own.put("/v1/users/me", json!({ "first_name": "Grace" })).await.expect(200);
    let refresh = id(&auth, "/refresh_token");
    let pair =
        client.post("/v1/sessions/refresh", json!({ "refresh_token": refresh })).await.expect(200).json();
    let user = client.sign_in(username).await;
    ids.insert(user.session_id.clone());
    Someone { user, refresh: id(&pair, "/refresh_token"), notification, file, ids }
}

impl Someone {
    /// What was there before the clock moved still is.
    async fn is_there(&mut self, client: &Client) {
        let pair =
            client.post("/v1/sessions/refresh", json!({ "refresh_token": self.refresh })).await.expect(200);
        self.refresh = id(&pair.json(), "/refresh_token");
        let own = client.with_token(pair.json()["access_token"].as_str());
        own.get("/v1/users/me").await.expect(200);
        own.get(&format!("/v1/files/{}", self.file)).await.expect(200);
        own.put(&format!("/v1/notifications/{}", self.notification), json!({})).await.expect(200);
        client.sign_in(&self.user.username).await;
    }
}

async fn sound(lab: &Lab) {
    let wrong = invariants::check(&*lab.ports.store, Some(&*lab.blobs)).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn after_a_step_in_either_direction_everything_goes_on() {
    for step in [-HOUR, -DAY, -YEAR, DAY, YEAR] {
        let lab = Arc::new(Lab::on_sqlite());
        let client = lab.client();
        let admin = client.admin("root").await;
        let mut before = live(&client, &admin, "before").await;
        lab.clock.advance(step);
        // A token from the future is none, and one that is over is none; signing in always helps.
        let admin = client.sign_in("root").await;
        let mut during = live(&client, &admin, "during").await;
        if step < 30 * DAY {
            before.is_there(&client).await;
        }
        sound(&lab).await;
        lab.clock.advance(-step);
        let admin = client.sign_in("root").await;
        let after = live(&client, &admin, "after").await;
        before.is_there(&client).await;
        if step > -30 * DAY {
            during.is_there(&client).await;
        }
        sound(&lab).await;
        let ids: BTreeSet<_> = [&before, &during, &after].into_iter().flat_map(|one| &one.ids).collect();
        assert_eq!(ids.len(), before.ids.len() + during.ids.len() + after.ids.len(), "ids are unique");
        let users = admin.client.get("/v1/users?limit=10").await.expect(200).json();
        assert_eq!(users["data"].as_array().unwrap().len(), 4);
    }
}

#[tokio::test]
async fn no_time_that_a_clock_can_show_makes_a_request_fail() {
    let lab = Arc::new(Lab::on_sqlite());
    let client = lab.client();
    for (n, seconds) in STRANGE.into_iter().enumerate() {
        lab.clock.set(Timestamp::from_millis(seconds * 1000));
        let admin = match n {
            0 => client.admin("root").await,
            _ => client.sign_in("root").await,
        };
        live(&client, &admin, &format!("user-{n}")).await.is_there(&client).await;
        for (method, path) in [
            (Method::GET, "/v1/users/me/export"),
            (Method::GET, "/v1/devices"),
            (Method::GET, "/v1/files?limit=2"),
            (Method::POST, "/v1/sessions/logout-all"),
        ] {
            client.sign_in("root").await.client.call(method, path, None).await.expect(200);
        }
    }
    for millis in [i64::MIN, i64::MIN / 2, i64::MAX / 2, i64::MAX - 1000] {
        lab.clock.set(Timestamp::from_millis(millis));
        let answer =
            client.post("/v1/sessions/login", json!({ "username": "root", "password": PASSWORD })).await;
        assert!(answer.status < 500, "{millis}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_step_that_is_undone_ends_no_session_and_purges_nobody() {
    let lab = Arc::new(Lab::on_sqlite());
    let client = lab.client();
    let admin = client.admin("root").await;
    let mut someone = live(&client, &admin, "ada").await;
    let refused = json!({ "refresh_token": someone.refresh });
    lab.clock.advance(YEAR);
    client.post("/v1/sessions/refresh", refused).await.expect(401);
    lab.clock.advance(-YEAR);
    someone.is_there(&client).await;
    lab.clock.advance(-YEAR);
    someone.user.client.get("/v1/users/me").await.expect(401);
    lab.clock.advance(YEAR);
    someone.user.client.get("/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn p8_failures_counted_in_a_wrong_year_lock_nobody_out_for_one() {
    let lab = Arc::new(Lab::on_sqlite());
    let client = lab.client();
    client.register("ada").await;
    let wrong = json!({ "username": "ada", "password": "not the password" });
    lab.clock.advance(YEAR);
    for _ in 0..20 {
        client.post("/v1/sessions/login", wrong.clone()).await;
    }
    let right = json!({ "username": "ada", "password": PASSWORD });
    client.post("/v1/sessions/login", right.clone()).await.expect(429);
    lab.clock.advance(-YEAR);
    client.post("/v1/sessions/login", right.clone()).await.expect(200);
    // And it counts on as ever.
    for _ in 0..11 {
        client.post("/v1/sessions/login", wrong.clone()).await;
    }
    client.post("/v1/sessions/login", right).await.expect(429);
}

#[tokio::test]
async fn c5_guesses_used_up_in_a_wrong_year_come_back_with_the_next_code() {
    let lab = Arc::new(Lab::on_sqlite());
    let client = lab.client();
    client.register("ada").await;
    let recovery =
        |otp: String| json!({ "email": "ada@example.com", "otp": otp, "new_password": "a new one for ada" });
    let ask = || client.post("/v1/password-recovery/request", json!({ "email": "ada@example.com" }));
    lab.clock.advance(YEAR);
    ask().await.expect(200);
    let early = client.newest_message_to("ada@example.com").await.code();
    for _ in 0..6 {
        client.post("/v1/password-recovery/validate-code", recovery("AAAAAA".to_owned())).await.expect(401);
    }
    lab.clock.advance(-YEAR);
    ask().await.expect(200);
    let code = client.newest_message_to("ada@example.com").await.code();
    assert_ne!(code, early);
    client.post("/v1/password-recovery/validate-code", recovery(early)).await.expect(401);
    client.post("/v1/password-recovery/validate-code", recovery(code)).await.expect(200);
}

#[tokio::test]
async fn c8_a_session_that_began_before_the_clock_was_set_back_ends_with_the_others() {
    let lab = Arc::new(Lab::on_sqlite());
    let client = lab.client();
    client.register("ada").await;
    lab.clock.advance(DAY);
    let ahead = client
        .post("/v1/sessions/login", json!({ "username": "ada", "password": PASSWORD }))
        .await
        .expect(200);
    lab.clock.advance(-DAY);
    let now = client.sign_in("ada").await;
    let change = json!({ "current_password": PASSWORD, "new_password": "another one for ada" });
    now.client.post("/v1/users/me/password", change).await.expect(200);
    let token = json!({ "refresh_token": id(&ahead.json(), "/refresh_token") });
    client.post("/v1/sessions/refresh", token).await.expect(401);
    now.client.get("/v1/users/me").await.expect(200);
}
