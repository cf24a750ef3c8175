//! Refresh tokens and the sessions they keep going.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico::store::sqlite::SqliteStore;
use portico_core::auth::keys::{PrivateKey, ServerKeys};
use portico_core::auth::refresh_token;
use portico_core::dynamo::item;
use portico_core::ports::store::{Condition, Item, Key, Store, Write};
use portico_core::schema::SESSIONS;
use portico_core::secret::SecretKey;
use portico_core::time::Timestamp;
use portico_tests::client::{Answer, Client, PASSWORD, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::hosts::Host;
use portico_tests::lab::{Lab, new_key_pem};
use portico_tests::logs::Logs;
use portico_tests::native::NativeHost;
use portico_tests::tables::Tables;
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;

/// A route that reads the session and nothing else.
const ROUTE: &str = "/v1/devices";

fn lab_with(variables: &[(&'static str, &str)]) -> (Arc<Lab>, Client) {
    let lab = Arc::new(Lab::with_variables(variables));
    let client = lab.client();
    (lab, client)
}

/// The session's row as it is stored.
async fn row(store: &dyn Store, session_id: &str) -> Item {
    store.get(&Key::new(&SESSIONS, session_id)).await.unwrap().expect("a session").item
}

async fn refresh(client: &Client, token: &str) -> Answer {
    client.with_token(None).post("/v1/sessions/refresh", json!({ "refresh_token": token })).await
}

/// The next pair of tokens: access, refresh.
async fn rotate(client: &Client, token: &str) -> (String, String) {
    pair(&refresh(client, token).await.expect(200))
}

fn pair(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn assert_refused(client: &Client, token: &str) {
    refresh(client, token).await.expect_problem(401, "invalid_refresh_token");
}

async fn assert_ended(client: &Client, access_token: &str) {
    client.with_token(Some(access_token)).get(ROUTE).await.expect_problem(401, "session_ended");
}

#[tokio::test]
async fn r1_the_store_alone_makes_no_token() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let store = &*lab.ports.store;
    let session = row(store, &ada.session_id).await;
    let tag = ada.refresh_token.rsplit('.').next().unwrap();
    assert!(URL_SAFE_NO_PAD.decode(tag).unwrap().len() * 8 >= 128);
    let stored = Value::Object(session.clone()).to_string();
    assert!(!stored.contains(&ada.refresh_token) && !stored.contains(tag), "{stored}");

    let random = session["refresh_random"].as_str().unwrap();
    let counter = session["refresh_counter"].as_u64().unwrap();
    assert!(random.len() >= 64, "256 bits, in hexadecimal");
    let derive = |key: &SecretKey| {
        refresh_token::derive(key, &ada.session_id, &ada.id, counter, random.as_bytes()).expose().to_owned()
    };
    // Whoever has the table must guess the key …
    let foreign = PrivateKey::from_pem(&new_key_pem()).unwrap();
    let mut from_the_row = [0; 32];
    from_the_row.copy_from_slice(&random.as_bytes()[..32]);
    for key in [
        SecretKey::new([0; 32]),
        SecretKey::new(from_the_row),
        ServerKeys::derive(None, &foreign).refresh,
        ServerKeys::derive(None, &lab.keys.private).codes,
        ServerKeys::derive(None, &lab.keys.private).cursors,
    ] {
        assert_refused(&client, &derive(&key)).await;
    }
    // … whereas the server, which has both, makes the very token.
    assert_eq!(derive(&ServerKeys::derive(None, &lab.keys.private).refresh), ada.refresh_token);
    // Whoever has the key must guess the row.
    let key = ServerKeys::derive(None, &lab.keys.private).refresh;
    let guessed = refresh_token::derive(&key, &ada.session_id, &ada.id, counter, b"guessed");
    assert_refused(&client, guessed.expose()).await;
    rotate(&client, &ada.refresh_token).await;
}

#[tokio::test]
async fn r1_ended_sessions_keep_nothing_to_make_a_token_of() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    ada.client.post_empty("/v1/sessions/logout").await.expect(200);
    let session = row(&*lab.ports.store, &ada.session_id).await;
    assert_eq!((&session["enable"], &session["refresh_random"]), (&json!(false), &json!("")));
    assert!(session.get("refresh_token").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_no_file_of_the_server_holds_a_token() {
    let host = Arc::new(NativeHost::start().await);
    let client = Client::new(host.clone());
    let ada = client.register("ada").await;
    let (access, second) = rotate(&client, &ada.refresh_token).await;
    let secrets = [&ada.refresh_token, &second, &ada.access_token, &access].map(|token| {
        let tail = token.rsplit('.').next().unwrap();
        tail.as_bytes()[..40].to_vec()
    });
    host.kill().await;
    let files = files_below(&host.data_dir());
    assert!(files.iter().any(|content| contains(content, ada.session_id.as_bytes())), "the session is there");
    for content in files {
        for secret in &secrets {
            assert!(!contains(&content, secret), "a token is at rest");
        }
    }
}

fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents.extend(files_below(&path));
        } else {
            contents.push(std::fs::read(path).unwrap());
        }
    }
    contents
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A hundred at once: exactly one rotates, and all get what it got.
async fn refresh_in_parallel(client: &Client, ada: &User) -> String {
    let requests = (0..100).map(|_| {
        let (client, token) = (client.clone(), ada.refresh_token.clone());
        tokio::spawn(async move { refresh(&client, &token).await })
    });
    let mut refresh_tokens = Vec::new();
    for answer in futures::future::join_all(requests).await {
        let (access, refresh) = pair(&answer.unwrap().expect(200));
        refresh_tokens.push(refresh);
        client.with_token(Some(&access)).get(ROUTE).await.expect(200);
    }
    refresh_tokens.sort();
    refresh_tokens.dedup();
    assert_eq!(refresh_tokens.len(), 1, "{refresh_tokens:?}");
    let successor = refresh_tokens.pop().unwrap();
    assert_ne!(successor, ada.refresh_token);
    successor
}

async fn assert_counter(store: &dyn Store, session_id: &str, counter: u64) {
    assert_eq!(row(store, session_id).await["refresh_counter"], counter);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r2_of_parallel_refreshes_one_rotates_in_process() {
    for lab in [Lab::new(), Lab::on_sqlite()] {
        let lab = Arc::new(lab);
        let client = lab.client();
        let ada = client.register("ada").await;
        assert_counter(&*lab.ports.store, &ada.session_id, 1).await;
        let successor = refresh_in_parallel(&client, &ada).await;
        assert_counter(&*lab.ports.store, &ada.session_id, 2).await;
        rotate(&client, &successor).await;
        assert_counter(&*lab.ports.store, &ada.session_id, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r2_of_parallel_refreshes_one_rotates_on_the_native_host() {
    let host = Arc::new(NativeHost::start().await);
    let client = Client::new(host.clone());
    let ada = client.register("ada").await;
    let successor = refresh_in_parallel(&client, &ada).await;
    host.kill().await;
    {
        let store =
            SqliteStore::open(host.data_dir(), Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        assert_counter(&store, &ada.session_id, 2).await;
        store.close().await.unwrap();
    }
    host.serve().await;
    rotate(&client, &successor).await;
}

/// How often a session's token was exchanged, as DynamoDB has it.
async fn assert_stored_counter(emulators: &Emulators, session_id: &str, counter: u64) {
    let rows = Tables::of(emulators).await.items(&SESSIONS).await;
    let rows = rows.into_iter().map(|row| item::decode(&SESSIONS, row).unwrap().item);
    let row = rows.into_iter().find(|row| row["session_id"] == session_id).expect("a session");
    assert_eq!(row["refresh_counter"], counter);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r2_r3_of_parallel_refreshes_one_rotates_on_aws() {
    let emulators = Arc::new(Emulators::start());
    let hosts: [Arc<dyn Host>; 2] = [
        Arc::new(NativeHost::start_on_emulators(&emulators, &[]).await),
        Arc::new(EdgeHost::start_on(&emulators, &[]).await),
    ];
    for (username, host) in ["native", "edge"].into_iter().zip(hosts) {
        let client = Client::new(host);
        let ada = client.register(username).await;
        let successor = refresh_in_parallel(&client, &ada).await;
        assert_stored_counter(&emulators, &ada.session_id, 2).await;
        rotate(&client, &successor).await;
        assert_stored_counter(&emulators, &ada.session_id, 3).await;
    }
}

#[tokio::test]
async fn r3_the_token_before_gets_the_present_one_within_the_grace_time() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let (first_access, present) = rotate(&client, &ada.refresh_token).await;
    for _ in 0..3 {
        lab.clock.advance(10);
        let (access, again) = rotate(&client, &ada.refresh_token).await;
        assert_eq!(again, present);
        assert_ne!(access, first_access);
        client.with_token(Some(&access)).get(ROUTE).await.expect(200);
    }
    assert_counter(&*lab.ports.store, &ada.session_id, 2).await;
    client.with_token(Some(&first_access)).get(ROUTE).await.expect(200);
}

#[tokio::test]
async fn r4_a_lost_answer_is_made_up_for_by_a_retry() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let mut held = ada.refresh_token.clone();
    for _ in 0..5 {
        let _lost = refresh(&client, &held).await.expect(200);
        lab.clock.advance(5);
        let _lost_too = refresh(&client, &held).await.expect(200);
        lab.clock.advance(5);
        held = rotate(&client, &held).await.1;
        lab.clock.advance(120);
    }
    assert_counter(&*lab.ports.store, &ada.session_id, 6).await;
}

#[tokio::test]
async fn r5_a_replay_ends_the_session_and_all_that_came_of_it() {
    let logs = Logs::capture();
    let (_lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let other_session = client.sign_in("ada").await;
    let (second_access, second) = rotate(&client, &ada.refresh_token).await;
    let (third_access, third) = rotate(&client, &second).await;
    assert!(logs.audit("refresh_token_replayed").is_empty());

    // Two generations old: a copy, however soon it comes.
    assert_refused(&client, &ada.refresh_token).await;
    for token in [&ada.refresh_token, &second, &third] {
        assert_refused(&client, token).await;
    }
    for access in [&ada.access_token, &second_access, &third_access] {
        assert_ended(&client, access).await;
    }
    let events = logs.audit("refresh_token_replayed");
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(
        ["outcome", "user_id", "session_id", "device_id", "addr"].map(|name| event.field(name)),
        ["failure", &ada.id, &ada.session_id, &ada.device_id, "127.0.0.1"]
    );
    for token in [&ada.refresh_token, &second, &third] {
        assert!(!logs.text().contains(token.rsplit('.').next().unwrap()));
    }
    other_session.client.get(ROUTE).await.expect(200);
}

#[tokio::test]
async fn r5_the_grace_time_ends_on_the_millisecond() {
    for (after_ms, accepted) in
        [(0, true), (59_999, true), (60_000, true), (60_001, false), (3_600_000, false)]
    {
        let (lab, client) = lab_with(&[]);
        let ada = client.register("ada").await;
        let (access, present) = rotate(&client, &ada.refresh_token).await;
        // Each request moves the clock by a millisecond before it is looked at.
        lab.clock.advance_ms(after_ms - 1);
        let answer = refresh(&client, &ada.refresh_token).await;
        if accepted {
            assert_eq!(pair(&answer.expect(200)).1, present, "after {after_ms} ms");
            rotate(&client, &present).await;
        } else {
            answer.expect_problem(401, "invalid_refresh_token");
            assert_refused(&client, &present).await;
            assert_ended(&client, &access).await;
        }
    }
}

#[tokio::test]
async fn r5_without_a_grace_time_the_token_before_is_a_replay_at_once() {
    let (_lab, client) = lab_with(&[("REFRESH_GRACE_SECONDS", "0")]);
    let ada = client.register("ada").await;
    let (_, present) = rotate(&client, &ada.refresh_token).await;
    assert_refused(&client, &ada.refresh_token).await;
    assert_refused(&client, &present).await;
}

#[tokio::test]
async fn r5_a_forged_token_ends_nothing() {
    let (_lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let bob = client.register("bob").await;
    let tag = ada.refresh_token.rsplit('.').next().unwrap();
    let (session, user) = (&ada.session_id, &ada.id);
    for forged in [
        format!("{session}.{user}.0.{tag}"),
        format!("{session}.{user}.2.{tag}"),
        format!("{session}.{}.1.{tag}", bob.id),
        format!("{}.{user}.1.{tag}", bob.session_id),
        format!("{session}.{user}.1.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        format!("{session}.{user}.1.{}", &tag[..42]),
        format!("{session}.{user}.1.{}", bob.refresh_token.rsplit('.').next().unwrap()),
        format!("{session}.{user}.18446744073709551615.{tag}"),
    ] {
        assert_refused(&client, &forged).await;
    }
    rotate(&client, &ada.refresh_token).await;
    rotate(&client, &bob.refresh_token).await;
}

#[tokio::test]
async fn r6_a_session_slides_and_ends_for_good() {
    let variables =
        [("SESSION_MAX_DAYS", "2"), ("REFRESH_TOKEN_EXPIRY_DAYS", "1"), ("JWT_EXPIRY_DAYS", "365")];
    let (lab, client) = lab_with(&variables);
    let ada = client.register("ada").await;
    let created = created_at(&lab, &ada).await;
    let at = |ms_after: i64| lab.clock.set(Timestamp::from_millis(created + ms_after - 1));
    let mut held = (ada.access_token.clone(), ada.refresh_token.clone());
    for hours in [12, 24, 36, 47] {
        at(hours * 60 * 60 * 1000);
        held = rotate(&client, &held.1).await;
    }
    at(2 * DAY * 1000 - 1);
    held = rotate(&client, &held.1).await;
    at(2 * DAY * 1000);
    assert_refused(&client, &held.1).await;
    // An access token does not outlive the session, whatever `exp` says.
    at(2 * DAY * 1000);
    client.with_token(Some(&held.0)).get(ROUTE).await.expect_problem(401, "session_ended");
    client.sign_in("ada").await;
}

#[tokio::test]
async fn r6_an_unused_token_expires_on_the_millisecond() {
    for (late_ms, accepted) in [(-1, true), (0, false)] {
        let (lab, client) = lab_with(&[]);
        let ada = client.register("ada").await;
        let created = created_at(&lab, &ada).await;
        lab.clock.set(Timestamp::from_millis(created + 30 * DAY * 1000 + late_ms - 1));
        let answer = refresh(&client, &ada.refresh_token).await;
        assert_eq!(answer.status == 200, accepted, "{late_ms} ms late: {}", answer.text());
    }
}

#[tokio::test]
async fn r6_the_default_is_a_year() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let created = created_at(&lab, &ada).await;
    let mut held = ada.refresh_token.clone();
    for day in (20..365).step_by(20) {
        lab.clock.set(Timestamp::from_millis(created + day * DAY * 1000));
        held = rotate(&client, &held).await.1;
    }
    lab.clock.set(Timestamp::from_millis(created + 365 * DAY * 1000));
    assert_refused(&client, &held).await;
}

async fn created_at(lab: &Lab, user: &User) -> i64 {
    let session = row(&*lab.ports.store, &user.session_id).await;
    serde_json::from_value::<Timestamp>(session["created_at"].clone()).unwrap().as_millis()
}

/// What takes a session away from its user.
const ENDINGS: [&str; 7] = [
    "log out",
    "log out everywhere",
    "revoke",
    "disable",
    "delete",
    "delete the device",
    "change the password",
];

async fn end(way: &str, ada: &User, other: &User, admin: &User) {
    let body = match way {
        "log out" => ada.client.post_empty("/v1/sessions/logout").await,
        "log out everywhere" => other.client.post_empty("/v1/sessions/logout-all").await,
        "revoke" => other.client.delete(&format!("/v1/sessions/{}", ada.session_id)).await,
        "disable" => admin.client.put(&ada.path(), json!({ "enable": 0 })).await,
        "delete" => admin.client.delete(&ada.path()).await,
        "delete the device" => other.client.delete(&format!("/v1/devices/{}", ada.device_id)).await,
        "change the password" => {
            let body = json!({ "current_password": PASSWORD, "new_password": "another good one" });
            other.client.post("/v1/users/me/password", body).await
        }
        other => panic!("{other}"),
    };
    body.expect(200);
}

#[tokio::test]
async fn r7_an_ended_session_is_refused_at_once_without_a_cache() {
    for way in ENDINGS {
        let (lab, client) = lab_with(&[("SESSION_CACHE_SECONDS", "0")]);
        let elsewhere = Arc::new(lab.restarted(&[("SESSION_CACHE_SECONDS", "0")], lab.keys.clone())).client();
        let (admin, ada) = (client.admin("root").await, client.register("ada").await);
        let other = client.sign_in("ada").await;
        for client in [&client, &elsewhere] {
            client.with_token(Some(&ada.access_token)).get(ROUTE).await.expect(200);
        }
        end(way, &ada, &other, &admin).await;
        for client in [&client, &elsewhere] {
            assert_refused(client, &ada.refresh_token).await;
            let answer = client.with_token(Some(&ada.access_token)).get(ROUTE).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "session_ended"), "{way}");
        }
    }
}

#[tokio::test]
async fn r7_a_cache_delays_an_ending_by_its_seconds_at_most() {
    let five = [("SESSION_CACHE_SECONDS", "5")];
    for way in ENDINGS {
        let (lab, client) = lab_with(&five);
        let elsewhere = Arc::new(lab.restarted(&five, lab.keys.clone())).client();
        let (admin, ada) = (client.admin("root").await, client.register("ada").await);
        let other = client.sign_in("ada").await;
        let there = elsewhere.with_token(Some(&ada.access_token));
        there.get(ROUTE).await.expect(200);
        let cached_at = portico_core::ports::clock::Clock::now(&*lab.clock).as_millis();
        end(way, &ada, &other, &admin).await;
        // Where it ended it is over at once, and refreshing is over everywhere.
        assert_ended(&client, &ada.access_token).await;
        assert_refused(&elsewhere, &ada.refresh_token).await;
        lab.clock.set(Timestamp::from_millis(cached_at + 4998));
        assert_eq!(there.get(ROUTE).await.status, 200, "{way}: the cache is in use");
        lab.clock.set(Timestamp::from_millis(cached_at + 4999));
        let answer = there.get(ROUTE).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "session_ended"), "{way}");
    }
}

#[tokio::test]
async fn r7_what_reads_the_account_knows_at_once_in_spite_of_a_cache() {
    let five = [("SESSION_CACHE_SECONDS", "5")];
    for way in ["disable", "delete"] {
        let (lab, client) = lab_with(&five);
        let elsewhere = Arc::new(lab.restarted(&five, lab.keys.clone())).client();
        let (admin, ada) = (client.admin("root").await, client.register("ada").await);
        let there = elsewhere.with_token(Some(&ada.access_token));
        there.get("/v1/sessions").await.expect(200);
        end(way, &ada, &ada, &admin).await;
        there.get("/v1/sessions").await.expect_problem(401, "session_ended");
    }
}

#[tokio::test]
async fn r8_sessions_are_listed_and_ended_one_by_one_the_others_or_all() {
    let (_lab, client) = lab_with(&[]);
    let first = client.register("ada").await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(client.sign_in("ada").await);
    }
    let bob = client.register("bob").await;
    let listed = async |user: &User| -> Vec<String> {
        let list = user.client.get("/v1/users/me/sessions").await.expect(200).json();
        let current: Vec<&Value> =
            list.as_array().unwrap().iter().filter(|session| session["current"] == true).collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0]["id"], user.session_id.as_str());
        list.as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected: Vec<String> = others.iter().map(|user| user.session_id.clone()).collect();
    expected.push(first.session_id.clone());
    expected.sort();
    assert_eq!(listed(&first).await, expected);

    let path = format!("/v1/sessions/{}", others[0].session_id);
    bob.client.delete(&path).await.expect_problem(404, "not_found");
    first.client.delete(&path).await.expect(200);
    assert_ended(&client, &others[0].access_token).await;
    assert_refused(&client, &others[0].refresh_token).await;
    expected.retain(|id| *id != others[0].session_id);
    assert_eq!(listed(&first).await, expected);

    let answer = others[1].client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
    assert_eq!(answer.json()["ended"], 3);
    assert_eq!(listed(&others[1]).await, [others[1].session_id.clone()]);
    assert_ended(&client, &first.access_token).await;

    let again = client.sign_in("ada").await;
    again.client.post_empty("/v1/sessions/logout-all").await.expect(200);
    for user in [&again, &others[1], &others[2], &others[3]] {
        assert_ended(&client, &user.access_token).await;
        assert_refused(&client, &user.refresh_token).await;
    }
    bob.client.get(ROUTE).await.expect(200);
}

/// Also when there are more of them than one page of the index holds.
#[tokio::test]
async fn r8_every_page_of_sessions_ends() {
    let (_lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let mut others = Vec::new();
    for _ in 0..250 {
        others.push(client.sign_in("ada").await);
    }
    let answer = ada.client.post_empty("/v1/sessions/logout-all?keep_current=true").await.expect(200);
    assert_eq!(answer.json()["ended"], 250);
    for other in &others {
        assert_ended(&client, &other.access_token).await;
    }
    ada.client.get(ROUTE).await.expect(200);
}

#[tokio::test]
async fn r9_every_sign_in_begins_a_session_of_its_own() {
    let (_lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let mut ids = vec![ada.session_id.clone()];
    for _ in 0..3 {
        // What a client proposes does not count, and being signed in already makes no difference.
        let body = json!({
            "username": "ada", "password": PASSWORD, "device_uuid": "phone",
            "session_id": ada.session_id, "session": { "id": ada.session_id }, "id": ada.session_id,
        });
        let answer = ada.client.post("/v1/sessions/login", body).await.expect(200);
        ids.push(User::of(&client, "ada", &answer).session_id);
    }
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    let code = client.messages_to(&ada.email(), 2).await.pop().unwrap().code();
    let body = json!({ "email": ada.email(), "otp": code, "new_password": "another good one" });
    let answer = client.post("/v1/password-recovery/validate-code", body).await.expect(200);
    ids.push(User::of(&client, "ada", &answer).session_id);
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // Refreshing goes on with the same one.
    let bob = client.register("bob").await;
    let (access, _) = rotate(&client, &bob.refresh_token).await;
    let current = client.with_token(Some(&access)).get("/v1/sessions").await.expect(200).json();
    assert_eq!(current["session"]["id"], bob.session_id.as_str());
}

#[tokio::test]
async fn r1_what_is_no_token_is_refused_alike() {
    let (_lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let token = &ada.refresh_token;
    let (head, tag) = token.rsplit_once('.').unwrap();
    let malformed = [
        " ".to_owned(),
        "x".to_owned(),
        "null".to_owned(),
        "...".to_owned(),
        "....".to_owned(),
        "a.b.c.d".to_owned(),
        head.to_owned(),
        format!("{head}."),
        format!("{head}.{tag}."),
        format!("{head}.{tag}.{tag}"),
        format!("{head}.{tag}="),
        format!("{head}.{}", tag.to_lowercase()),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}\0"),
        token.to_lowercase(),
        format!("{}.{}.-1.{tag}", ada.session_id, ada.id),
        format!("{}.{}.1e0.{tag}", ada.session_id, ada.id),
        format!("{}.{}.99999999999999999999.{tag}", ada.session_id, ada.id),
        format!("username#ada.{}.1.{tag}", ada.id),
        format!("{}.email#{}.1.{tag}", ada.session_id, ada.email()),
        ada.access_token.clone(),
        ada.session_id.clone(),
        "\u{202e}\u{0}\u{1F980}".to_owned(),
        "a".repeat(1025),
        "a".repeat(60_000),
        "'; DROP TABLE sessions; --".to_owned(),
    ];
    for text in &malformed {
        let answer = refresh(&client, text).await;
        let start: String = text.chars().take(80).collect();
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_refresh_token"), "{start:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_refused(&client, "").await;
    let post = async |body: Value| client.post("/v1/sessions/refresh", body).await;
    post(json!({})).await.expect_invalid(&[("/refresh_token", "required")]);
    post(json!({ "refresh_token": null })).await.expect_invalid(&[("/refresh_token", "required")]);
    for wrong in [json!(1), json!(true), json!([token]), json!({ "token": token })] {
        post(json!({ "refresh_token": wrong })).await.expect_problem(400, "wrong_type");
    }
    rotate(&client, token).await;
}

/// A row of the older system keeps its token in clear; it is good for one exchange.
#[tokio::test]
async fn r1_a_plain_token_of_the_older_system_is_exchanged_once() {
    let (lab, client) = lab_with(&[]);
    let ada = client.register("ada").await;
    let plain = "5f0c9a1e-an-older-token-in-clear";
    let mut session = row(&*lab.ports.store, &ada.session_id).await;
    for name in ["refresh_random", "refresh_counter", "rotated_at"] {
        session.remove(name);
    }
    session.insert("refresh_token".to_owned(), json!(plain));
    let key = Key::new(&SESSIONS, ada.session_id.clone());
    lab.ports.store.transact(&[Write::Put { key, item: session, when: Condition::Always }]).await.unwrap();

    assert_refused(&client, "5f0c9a1e-an-older-token-in-cleaR").await;
    let (access, derived) = rotate(&client, plain).await;
    client.with_token(Some(&access)).get(ROUTE).await.expect(200);
    let stored = Value::Object(row(&*lab.ports.store, &ada.session_id).await).to_string();
    assert!(!stored.contains(plain), "{stored}");
    assert_refused(&client, plain).await;
    rotate(&client, &derived).await;
}
