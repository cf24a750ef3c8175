//! Accounts: whose a name is, what a change at the wrong moment does, and rows of the older system.

use std::sync::{Arc, Mutex};

use portico_core::memory::store::Lag;
use portico_core::ports::store::{Key, Write};
use portico_core::schema::{COUNTERS, DEVICES, FILES, SESSIONS, USERS};
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::lab::Lab;
use portico_tests::on_every_host;
use serde_json::{Value, json};

use crate::support::*;

async fn one_takes_each_name(lab: &Arc<Lab>) {
    let client = lab.client();
    let mut users = Vec::new();
    for n in 0..10 {
        users.push(client.register(&format!("user{n}")).await);
    }
    for (member, wanted, taken) in
        [("username", "wanted", "username_taken"), ("email", "wanted@example.com", "email_taken")]
    {
        let tasks: Vec<_> = users
            .iter()
            .map(|user| {
                let user = user.clone();
                tokio::spawn(async move { update(&user, json!({member: wanted})).await })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status == 200 {
                winners += 1;
            } else {
                answer.expect_problem(409, taken);
            }
        }
        assert_eq!(winners, 1, "{member}");
        assert_eq!(login(&client, wanted, PASSWORD).await.expect(200).json()["user"][member], wanted);
    }
}

#[tokio::test]
async fn of_simultaneous_renamings_one_wins_while_indexes_trail() {
    let (store, clock) = memory(Lag::UntilCaughtUp);
    one_takes_each_name(&Arc::new(Lab::on_store(Arc::new(Yielding(store)), clock))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_simultaneous_renamings_one_wins_on_sqlite() {
    one_takes_each_name(&Arc::new(Lab::on_sqlite())).await;
}

#[tokio::test]
async fn two_who_swap_names_do_not_end_up_with_one() {
    let lab = overlapping();
    let (ada, bob) = (lab.client().register("ada").await, lab.client().register("bob").await);
    let (one, other) = futures::future::join(
        update(&ada, json!({"username": "bob"})),
        update(&bob, json!({"username": "ada"})),
    )
    .await;
    one.expect_problem(409, "username_taken");
    other.expect_problem(409, "username_taken");
    update(&ada, json!({"username": "carol"})).await.expect(200);
    update(&bob, json!({"username": "ada"})).await.expect(200);
    assert_eq!(login(&lab.client(), "ada", PASSWORD).await.expect(200).json()["user"]["id"], bob.id.as_str());
    assert_eq!(
        login(&lab.client(), "carol", PASSWORD).await.expect(200).json()["user"]["id"],
        ada.id.as_str()
    );
}

on_every_host! {
    async fn names_are_the_same_in_every_spelling(client: Client) {
        let mut body = registration("x");
        body["username"] = Value::from("Stra\u{df}e-\u{c5}");
        body["email"] = Value::from("Street@Example.com");
        let user = client.post("/v1/users", body.clone()).await.expect(201).json();
        assert_eq!(user["user"]["username"], "strasse-\u{e5}");
        assert_eq!(user["user"]["email"], "street@example.com");
        for (n, spelling) in
            ["strasse-\u{e5}", "STRASSE-\u{c5}", "strasse-a\u{30a}", "\u{ff33}TRA\u{1e9e}E-\u{212b}"].into_iter().enumerate()
        {
            body["username"] = Value::from(spelling);
            body["email"] = Value::from(format!("other{n}@example.com"));
            client.post("/v1/users", body.clone()).await.expect_problem(409, "username_taken");
            login(&client, spelling, PASSWORD).await.expect(200);
        }
        body["username"] = Value::from("another");
        body["email"] = Value::from("STREET@EXAMPLE.COM");
        client.post("/v1/users", body).await.expect_problem(409, "email_taken");
        login(&client, "STREET@example.COM", PASSWORD).await.expect(200);
    }
}

on_every_host! {
    async fn deletion_frees_names_and_restoring_takes_them_back(client: Client) {
        let admin = client.admin("root").await;
        let ada = client.register("ada").await;
        ada.client.delete("/v1/users/me").await.expect(200);
        let restore = format!("{}/restore", ada.path());
        // One of the names is somebody else's by now.
        let mut body = registration("ada");
        body["email"] = Value::from("other@example.com");
        let second = User::of(&client, "ada", &client.post("/v1/users", body).await.expect(201));
        admin.client.post_empty(&restore).await.expect_problem(409, "username_taken");
        login(&client, "ada@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
        // A refused restoring takes nothing.
        let mut body = registration("third");
        body["email"] = Value::from("ada@example.com");
        let third = User::of(&client, "third", &client.post("/v1/users", body).await.expect(201));
        second.client.delete("/v1/users/me").await.expect(200);
        admin.client.post_empty(&restore).await.expect_problem(409, "email_taken");
        third.client.delete("/v1/users/me").await.expect(200);
        let restored = admin.client.post_empty(&restore).await.expect(200).json();
        assert_eq!(restored["id"], ada.id.as_str());
        assert_eq!(restored["email"], "ada@example.com");
        assert_eq!(client.sign_in("ada").await.id, ada.id);
        client.post("/v1/users", registration("ada")).await.expect_problem(409, "username_taken");
        // Sessions from before stay ended.
        assert_ended(&ada).await;
    }
}

#[tokio::test]
async fn restoring_ends_with_the_retention_period() {
    let lab = Arc::new(Lab::new());
    let admin = lab.client().admin("root").await;
    let ada = lab.client().register("ada").await;
    let restore = format!("{}/restore", ada.path());
    ada.client.delete("/v1/users/me").await.expect(200);
    lab.clock.advance(31 * 24 * 60 * 60);
    let admin =
        User::of(&lab.client(), "root", &login(&lab.client(), &admin.username, PASSWORD).await.expect(200));
    admin.client.post_empty(&restore).await.expect_problem(410, "retention_over");
}

#[tokio::test]
async fn after_the_retention_period_nothing_is_left_of_an_account() {
    let lab = Arc::new(Lab::new());
    let (ada, bob) = (lab.client().register("ada").await, lab.client().register("bob").await);
    let mut files = Vec::new();
    for user in [&ada, &bob] {
        let file = json!({ "file_name": "a.txt", "base64": "aGVsbG8=" });
        files.push(user.client.post("/v1/files/base64", file).await.expect(201).json());
    }
    let kept = [
        Key::new(&USERS, &ada.id),
        Key::new(&DEVICES, &ada.device_id),
        Key::new(&FILES, files[0]["id"].as_str().unwrap()),
        Key::new(&COUNTERS, format!("files-of#{}", ada.id)),
    ];
    let found = async || {
        let items = futures::future::join_all(kept.iter().map(|key| lab.ports.store.get(key))).await;
        items.into_iter().filter(|item| item.as_ref().unwrap().is_some()).count()
    };
    ada.client.delete("/v1/users/me").await.expect(200);
    lab.clock.advance(30 * 24 * 60 * 60 - 60);
    lab.app.drain_outbox().await;
    // As long as the account can be restored, all of it is there.
    assert_eq!((lab.blobs.keys().len(), found().await), (2, kept.len()));
    lab.clock.advance(120);
    lab.app.drain_outbox().await;
    assert_eq!((lab.blobs.keys().len(), found().await), (1, 0));
    let bob = lab.client().sign_in("bob").await;
    bob.client.get(&format!("/v1/files/{}", files[1]["id"].as_str().unwrap())).await.expect(200);
}

#[tokio::test]
async fn an_account_that_was_restored_is_not_purged() {
    let lab = Arc::new(Lab::new());
    let admin = lab.client().admin("root").await;
    let ada = lab.client().register("ada").await;
    ada.client.delete("/v1/users/me").await.expect(200);
    admin.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
    lab.clock.advance(20 * 24 * 60 * 60);
    let again = lab.client().sign_in("ada").await;
    again.client.delete("/v1/users/me").await.expect(200);
    // The first deletion's period ends, the second's does not.
    lab.clock.advance(11 * 24 * 60 * 60);
    lab.app.drain_outbox().await;
    let admin = lab.client().sign_in(&admin.username).await;
    admin.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
    lab.client().sign_in("ada").await;
}

#[tokio::test]
async fn of_simultaneous_restoring_and_registering_one_gets_the_name() {
    let lab = overlapping();
    let admin = lab.client().admin("root").await;
    let ada = lab.client().register("ada").await;
    ada.client.delete("/v1/users/me").await.expect(200);
    let client = lab.client();
    let (restore, body) = (format!("{}/restore", ada.path()), registration("ada"));
    let (restored, registered) =
        futures::future::join(admin.client.post_empty(&restore), client.post("/v1/users", body)).await;
    assert!(
        (restored.status == 200) ^ (registered.status == 201),
        "{} {}",
        restored.status,
        registered.status
    );
    client.sign_in("ada").await;
}

/// A change of a user after which no session that began before may go on.
#[derive(Clone, Copy, Debug)]
enum Change {
    Disabling,
    Deletion,
    Password,
    Recovery,
    Email,
}

impl Change {
    async fn make(self, lab: &Arc<Lab>, ada: &User, admin: &User, code: &str) {
        match self {
            Self::Disabling => admin.client.put(&ada.path(), json!({"enable": false})).await,
            Self::Deletion => admin.client.delete(&ada.path()).await,
            Self::Password => change_password(ada, PASSWORD, "another good one").await,
            Self::Recovery => recover(&lab.client(), &ada.email(), code, "another good one").await,
            Self::Email => admin.client.put(&ada.path(), json!({"email": "new@example.com"})).await,
        }
        .expect(200);
    }
}

const CHANGES: [Change; 5] =
    [Change::Disabling, Change::Deletion, Change::Password, Change::Recovery, Change::Email];

#[tokio::test]
async fn a_session_begun_just_before_a_change_is_written_does_not_survive_it() {
    for change in CHANGES {
        let (lab, store) = interposed();
        let (admin, ada) = (lab.client().admin("root").await, lab.client().register("ada").await);
        let code = recovery_code(&lab, &ada.email()).await;
        let begun = Arc::new(Mutex::new(None));
        let (slot, client) = (begun.clone(), lab.client());
        store.once_before(puts_into(&USERS), async move {
            let session = client.sign_in("ada").await;
            *slot.lock().unwrap() = Some(session);
        });
        change.make(&lab, &ada, &admin, &code).await;
        assert!(store.is_over());
        let begun = begun.lock().unwrap().take().unwrap();
        let answer = begun.client.get("/v1/sessions").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "session_ended"), "{change:?}");
        assert_ended(&begun).await;
    }
}

#[tokio::test]
async fn a_change_just_before_a_session_is_written_prevents_it() {
    for change in [Change::Disabling, Change::Deletion, Change::Password, Change::Recovery] {
        let (lab, store) = interposed();
        let (admin, ada) = (lab.client().admin("root").await, lab.client().register("ada").await);
        let code = recovery_code(&lab, &ada.email()).await;
        let (other, target) = (lab.clone(), ada.clone());
        store.once_before(puts_into(&SESSIONS), async move {
            change.make(&other, &target, &admin, &code).await;
        });
        let refused = login(&lab.client(), "ada", PASSWORD).await;
        assert!(store.is_over());
        assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_credentials"), "{change:?}");
    }
}

#[tokio::test]
async fn an_upgraded_hash_does_not_undo_a_change_at_the_same_moment() {
    let (lab, store) = interposed();
    let ada = lab.client().register("ada").await;
    let keys = portico_tests::lab::test_keys();
    let stronger = Arc::new(lab.restarted(&[("PASSWORD_HASH", "argon2id,m=128,t=1,p=1")], keys));
    let owner = ada.clone();
    store.once_before(puts_into(&USERS), async move {
        change_password(&owner, PASSWORD, "another good one").await.expect(200);
    });
    login(&stronger.client(), "ada", PASSWORD).await.expect_problem(401, "invalid_credentials");
    assert!(store.is_over());
    login(&lab.client(), "ada", "another good one").await.expect(200);
}

#[tokio::test]
async fn simultaneous_changes_of_different_members_both_arrive() {
    let (lab, store) = interposed();
    let ada = lab.client().register("ada").await;
    let owner = ada.clone();
    store.once_before(puts_into(&USERS), async move {
        update(&owner, json!({"last_name": "King"})).await.expect(200);
    });
    let after = update(&ada, json!({"first_name": "Augusta"})).await.expect(200).json();
    assert_eq!((&after["first_name"], &after["last_name"]), (&json!("Augusta"), &json!("King")));
}

const OLD_USER: &str = "01H0000000000000000000GRAC";
const OLD_SESSION: &str = "01H00000000000000000SESS10";
const OLD_TOKEN: &str = "b3BhcXVlLXJlZnJlc2gtdG9rZW4";
/// A published bcrypt vector: the hash of `U*U`.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Rows as the older system left them.
async fn old_rows(lab: &Lab) {
    let user = json!({
        "user_id": OLD_USER, "username": "grace", "email": "grace@example.com", "phone": "",
        "password_hash": BCRYPT, "role": "User", "enable": 1, "first_name": "Grace", "last_name": "Hopper",
        "birthday": "0001-01-01T00:00:00Z", "email_confirmed": true, "verified": true,
        "created_at": "2023-05-06T07:08:09.123456789Z", "updated_at": "2023-05-06T07:08:09Z",
        "stripe_customer": "cus_1",
    });
    store_row(lab, &USERS, user).await;
    let session = json!({
        "session_id": OLD_SESSION, "user_id": OLD_USER, "device_id": "01H0000000000000000DEV1CE0",
        "refresh_token": OLD_TOKEN, "refresh_expires_at": "2026-03-01T00:00:00Z", "enable": true,
        "created_at": "2026-02-01T00:00:00Z", "updated_at": "2026-02-01T00:00:00Z",
    });
    store_row(lab, &SESSIONS, session).await;
    let device = json!({
        "device_id": "01H0000000000000000DEV1CE0", "user_id": OLD_USER, "device_uuid": "grace-phone",
        "enable": true,
    });
    store_row(lab, &DEVICES, device).await;
}

async fn an_old_account_goes_on(lab: &Arc<Lab>) {
    old_rows(lab).await;
    let client = lab.client();
    let signed_in = login_on(&client, "grace", "U*U", "grace-phone").await.expect(200);
    let grace = User::of(&client, "grace", &signed_in);
    assert_eq!((grace.id.as_str(), grace.device_id.as_str()), (OLD_USER, "01H0000000000000000DEV1CE0"));
    let user = grace.client.get("/v1/users/me").await.expect(200).json();
    assert_eq!((user.get("birthday"), user.get("phone")), (None, None));
    assert_eq!((&user["email_confirmed"], &user["enable"]), (&json!(true), &json!(1)));
    assert_eq!(user["created"], "2023-05-06T07:08:09.123Z");
    grace.client.get("/v1/devices").await.expect(200);
    grace.client.get("/v1/users/me/sessions").await.expect(200);
    grace.client.get("/v1/users/me/export").await.expect(200);
    update(&grace, json!({"birthday": "1906-12-09", "username": "hopper"})).await.expect(200);
    change_password(&grace, "U*U", "another good one").await.expect(200);
    login(&client, "hopper", "another good one").await.expect(200);
    login(&client, "grace@example.com", "another good one").await.expect(200);
    login(&client, "grace", "another good one").await.expect(401);
    // What Portico does not know it keeps.
    let stored = user_row(lab, OLD_USER).await;
    assert_eq!((&stored["stripe_customer"], &stored["enable"]), (&json!("cus_1"), &json!(1)));
    let admin = client.admin("root").await;
    admin.client.put(&grace.path(), json!({"enable": 0})).await.expect(200);
    assert_eq!(user_row(lab, OLD_USER).await["enable"], 0);
    login(&client, "hopper", "another good one").await.expect(401);
    admin.client.delete(&grace.path()).await.expect(200);
    admin.client.post_empty(&format!("{}/restore", grace.path())).await.expect(200);
}

#[tokio::test]
async fn an_account_of_the_older_system_goes_on() {
    an_old_account_goes_on(&Arc::new(Lab::new())).await;
}

#[tokio::test]
async fn an_account_of_the_older_system_goes_on_in_sqlite() {
    an_old_account_goes_on(&Arc::new(Lab::on_sqlite())).await;
}

#[tokio::test]
async fn a_disabled_account_of_the_older_system_stays_disabled() {
    for enable in [json!(0), json!(false)] {
        let lab = Arc::new(Lab::new());
        old_rows(&lab).await;
        let mut user = user_row(&lab, OLD_USER).await;
        user["enable"] = enable;
        store_row(&lab, &USERS, user).await;
        login(&lab.client(), "grace", "U*U").await.expect_problem(401, "invalid_credentials");
        lab.client()
            .post("/v1/sessions/refresh", json!({"refresh_token": OLD_TOKEN}))
            .await
            .expect_problem(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn a_bare_row_takes_defaults() {
    let lab = Arc::new(Lab::new());
    let bare = json!({"user_id": OLD_USER, "username": "grace", "email": "grace@example.com", "password_hash": BCRYPT});
    store_row(&lab, &USERS, bare).await;
    let user = login(&lab.client(), "grace", "U*U").await.expect(200).json()["user"].clone();
    assert_eq!(
        (&user["role"], &user["enable"], &user["email_confirmed"]),
        (&json!("User"), &json!(1), &json!(false))
    );
}

async fn refresh(client: &Client, token: &str) -> portico_tests::client::Answer {
    client.post("/v1/sessions/refresh", json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_plain_refresh_token_is_accepted_once_and_rotated() {
    let lab = Arc::new(Lab::new());
    old_rows(&lab).await;
    let client = lab.client();
    refresh(&client, "b3BhcXVlLXJlZnJlc2gtdG9rZW5").await.expect_problem(401, "invalid_refresh_token");
    let pair = refresh(&client, OLD_TOKEN).await.expect(200).json();
    let next = pair["refresh_token"].as_str().unwrap();
    assert!(next.starts_with(OLD_SESSION), "{next}");
    let stored = row(&lab, Key::new(&SESSIONS, OLD_SESSION)).await;
    assert_eq!(stored.get("refresh_token"), None);
    assert!(!format!("{:?}", lab.ports.store).contains(OLD_TOKEN));
    refresh(&client, OLD_TOKEN).await.expect_problem(401, "invalid_refresh_token");
    let access = client.with_token(pair["access_token"].as_str());
    assert_eq!(access.get("/v1/sessions").await.expect(200).json()["session"]["id"], OLD_SESSION);
    refresh(&client, next).await.expect(200);
}

#[tokio::test]
async fn of_parallel_uses_of_a_plain_refresh_token_one_succeeds() {
    let lab = overlapping();
    old_rows(&lab).await;
    let client = lab.client();
    let answers = futures::future::join_all((0..20).map(|_| refresh(&client, OLD_TOKEN))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn an_expired_or_ended_plain_refresh_token_is_refused() {
    let lab = Arc::new(Lab::new());
    old_rows(&lab).await;
    let expired = row(&lab, Key::new(&SESSIONS, OLD_SESSION)).await;
    for (member, value) in [("refresh_expires_at", json!("2026-02-20T09:59:59Z")), ("enable", json!(false))] {
        let mut session = expired.clone();
        session[member] = value;
        store_row(&lab, &SESSIONS, session).await;
        refresh(&lab.client(), OLD_TOKEN).await.expect_problem(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn a_rename_changes_the_claims_with_the_record() {
    let (lab, store) = interposed();
    let ada = lab.client().register("ada").await;
    // Every write of a user comes with the claims in the same transaction, or not at all.
    let both = |writes: &[Write]| {
        let keys: Vec<&str> = writes.iter().map(|write| write.key().hash.as_str()).collect();
        keys.contains(&"username#lovelace") && keys.contains(&"username#ada")
    };
    store.once_before(both, async {});
    update(&ada, json!({"username": "Lovelace"})).await.expect(200);
    assert!(store.is_over());
    lab.client().register("ada2").await;
    let mut body = registration("ada");
    body["email"] = Value::from("next@example.com");
    lab.client().post("/v1/users", body).await.expect(201);
}
