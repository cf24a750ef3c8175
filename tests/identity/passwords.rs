//! Passwords: what is accepted, how it is kept, and how often it may be guessed.

use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use portico::store::sqlite::SqliteStore;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::memory::store::Lag;
use portico_core::ports::http_client::HttpError;
use portico_core::schema;
use portico_tests::client::{Answer, Client, PASSWORD, registration};
use portico_tests::counting::CountedLab;
use portico_tests::lab::{HOME, Lab, LabOptions, test_keys};
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

use crate::support::*;

async fn register_with(client: &Client, username: &str, password: &str) -> Answer {
    let mut body = registration(username);
    body["password"] = Value::from(password);
    client.post("/v1/users", body).await
}

#[tokio::test]
async fn p1_fewer_than_eight_code_points_are_refused() {
    let client = Arc::new(Lab::new()).client();
    for (n, short) in ["", "gxkqwmz", "\u{1f511}\u{1f511}", "ééééééé", "e\u{301}e\u{301}e\u{301}e\u{301}xyz"]
        .into_iter()
        .enumerate()
    {
        register_with(&client, &format!("short{n}"), short)
            .await
            .expect_invalid(&[("/password", "too_short")]);
    }
    register_with(&client, "eight", "gxkqwmzu").await.expect(201);
    register_with(&client, "keys", &"\u{1f511}".repeat(8)).await.expect(201);
    // Three ligatures are nine letters after NFKC.
    register_with(&client, "ligatures", "\u{fb03}\u{fb03}\u{fb03}").await.expect(201);
}

#[tokio::test]
async fn p2_up_to_128_code_points_are_accepted() {
    let client = Arc::new(Lab::new()).client();
    for (n, length) in [64, 65, 127, 128].into_iter().enumerate() {
        for (kind, letter) in ["x\u{5d0}", "\u{1f511}\u{4e2d}"].into_iter().enumerate() {
            let password: String = letter.chars().cycle().take(length).collect();
            let name = format!("user-{n}-{kind}");
            register_with(&client, &name, &password).await.expect(201);
            login(&client, &name, &password).await.expect(200);
        }
    }
    register_with(&client, "toolong", &"k\u{e9}".repeat(65))
        .await
        .expect_invalid(&[("/password", "too_long")]);
}

#[tokio::test]
async fn p2_nothing_is_truncated() {
    let client = Arc::new(Lab::new()).client();
    let bytes = |length: usize| "correct horse battery staple ".repeat(5)[..length].to_owned();
    let euros = |last: &str| format!("{}{last}", "\u{20ac}".repeat(24));
    let passwords =
        [bytes(71), bytes(72), bytes(73), euros(""), euros("\u{20ac}"), euros("x"), euros("y"), bytes(128)];
    for (n, password) in passwords.iter().enumerate() {
        register_with(&client, &format!("user{n}"), password).await.expect(201);
    }
    for (n, _) in passwords.iter().enumerate() {
        for (other, password) in passwords.iter().enumerate() {
            let expected = if n == other { 200 } else { 401 };
            login(&client, &format!("user{n}"), password).await.expect(expected);
        }
    }
}

#[tokio::test]
async fn p2_passwords_are_compared_after_nfkc() {
    let client = Arc::new(Lab::new()).client();
    register_with(&client, "ada", "\u{c5}ngstro\u{308}m \u{fb01}ve").await.expect(201);
    login(&client, "ada", "A\u{30a}ngstr\u{f6}m five").await.expect(200);
    login(&client, "ada", "\u{212b}ngstr\u{f6}m five").await.expect(200);
    login(&client, "ada", "angstrom five").await.expect(401);
}

#[tokio::test]
async fn p3_there_are_no_composition_rules() {
    let client = Arc::new(Lab::new()).client();
    let passwords = [
        "gxkqwmzu",
        "GXKQWMZU",
        "739105826471",
        "\u{3c0}\u{3c1}\u{3c3}\u{3c4}\u{3c5}\u{3c6}\u{3c7}\u{3c8}",
        "        \u{a0}x",
        " leading and trailing ",
        "\u{0}\u{1}\u{7}\u{8}\u{1b}\u{7f}\u{200b}\u{202e}",
        "'; DROP TABLE users; --",
        "{\"$gt\": \"\"} \\ \" \u{1f9d1}\u{200d}\u{1f680}",
    ];
    for (n, password) in passwords.into_iter().enumerate() {
        let name = format!("user{n}");
        register_with(&client, &name, password).await.expect(201);
        login(&client, &name, password).await.expect(200);
    }
    // Blanks are part of a password.
    login(&client, "user5", "leading and trailing").await.expect(401);
}

#[tokio::test]
async fn p4_common_passwords_are_refused_wherever_one_is_chosen() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    for common in ["password", "PassWord1", "12345678", "iloveyou1", "\u{ff50}assword"] {
        register_with(&client, "bob", common).await.expect_invalid(&[("/password", "too_common")]);
        change_password(&ada, PASSWORD, common).await.expect_invalid(&[("/new_password", "too_common")]);
        recover(&client, &ada.email(), &code, common)
            .await
            .expect_invalid(&[("/new_password", "too_common")]);
    }
    assert_password(&client, "ada").await;
    recover(&client, &ada.email(), &code, "a far better choice").await.expect(200);
}

#[tokio::test]
async fn p4_ones_own_name_and_address_are_refused() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    for own in ["AdaLovelace", "adalovelace@example.com", "ADALOVELACE@Example.com", "\u{ff41}dalovelace"] {
        register_with(&client, "adalovelace", own).await.expect_invalid(&[("/password", "same_as_identity")]);
    }
    let ada = client.register("adalovelace").await;
    let code = recovery_code(&lab, &ada.email()).await;
    for own in ["AdaLovelace", "AdaLovelace@example.com"] {
        let expected = [("/new_password", "same_as_identity")];
        change_password(&ada, PASSWORD, own).await.expect_invalid(&expected);
        recover(&client, &ada.email(), &code, own).await.expect_invalid(&expected);
    }
    assert_password(&client, "adalovelace").await;
}

/// A lab that asks a leak range API, scripted; and what it asked.
fn lab_with_leaks(
    answer: fn() -> Result<http::Response<Bytes>, HttpError>,
) -> (Arc<Lab>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = asked.clone();
    let client = MemoryHttpClient::new(move |request| {
        let headers: Vec<String> =
            request.headers().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        notes.lock().unwrap().push(format!("{} {} {body}", request.uri(), headers.join(" ")));
        answer()
    });
    let options = LabOptions {
        variables: vec![("HIBP", "on".to_owned())],
        ports: Some(Box::new(move |ports| ports.http = Arc::new(client))),
        ..LabOptions::default()
    };
    (Arc::new(Lab::with(options)), asked)
}

// SHA-1 of "velvet harbour 41" is 8810A CFCD33C834886118650D496A70013A1FC04.
const LEAKED: &str = "velvet harbour 41";

#[tokio::test]
async fn p4_leaked_passwords_are_refused_and_only_five_digits_leave() {
    let (lab, asked) = lab_with_leaks(|| {
        let body = "00D4F6E8FA6EECAD2A3AA415EEC418D38EC:2\r\nCFCD33C834886118650D496A70013A1FC04:17\r\n\
                    00000000000000000000000000000000000:0\r\n";
        Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
    });
    let client = lab.client();
    register_with(&client, "ada", LEAKED).await.expect_invalid(&[("/password", "too_common")]);
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let refused = [("/new_password", "too_common")];
    change_password(&ada, PASSWORD, LEAKED).await.expect_invalid(&refused);
    recover(&client, &ada.email(), &code, LEAKED).await.expect_invalid(&refused);
    let asked = asked.lock().unwrap().join("\n");
    assert_eq!(asked.matches("/range/8810A ").count(), 3, "{asked}");
    for secret in ["8810AC", "CFCD33", "cfcd33", "velvet", "ada"] {
        assert!(!asked.contains(secret), "{secret} is in {asked}");
    }
}

#[tokio::test]
async fn p4_padding_of_the_leak_list_is_no_finding() {
    let (lab, _) = lab_with_leaks(|| {
        Ok(http::Response::new(Bytes::from_static(b"CFCD33C834886118650D496A70013A1FC04:0\r\n")))
    });
    register_with(&lab.client(), "ada", LEAKED).await.expect(201);
}

#[tokio::test]
async fn p4_an_outage_of_the_leak_list_refuses_nobody() {
    let answers: [fn() -> Result<http::Response<Bytes>, HttpError>; 3] = [
        || Err(HttpError("the line is dead".to_owned())),
        || Ok(http::Response::builder().status(503).body(Bytes::from_static(b"down")).unwrap()),
        || Ok(http::Response::new(Bytes::from_static(b"\xff\xfe<html>"))),
    ];
    for answer in answers {
        let (lab, asked) = lab_with_leaks(answer);
        register_with(&lab.client(), "ada", LEAKED).await.expect(201);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn p4_without_the_switch_nobody_is_asked() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let client = MemoryHttpClient::new(move |_| {
        *count.lock().unwrap() += 1;
        Err(HttpError("nobody should ask".to_owned()))
    });
    let ports = Box::new(move |ports: &mut portico_core::ports::Ports| ports.http = Arc::new(client));
    let lab = Arc::new(Lab::with(LabOptions { ports: Some(ports), ..LabOptions::default() }));
    register_with(&lab.client(), "ada", LEAKED).await.expect(201);
    assert_eq!(*asked.lock().unwrap(), 0);
}

#[tokio::test]
async fn p5_a_change_needs_the_present_password() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    client.register("bob").await;
    let path = "/v1/users/me/password";
    let new = "another good one";
    for wrong in ["", "not the password", "correct horse batterY", "another good one"] {
        let answer = change_password(&ada, wrong, new).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/current_password");
    }
    ada.client
        .post(path, json!({"new_password": new}))
        .await
        .expect_invalid(&[("/current_password", "required")]);
    client.post(path, json!({"current_password": PASSWORD, "new_password": new})).await.expect(401);
    assert_password(&client, "ada").await;
    login(&client, "ada", new).await.expect(401);
    change_password(&ada, PASSWORD, new).await.expect(200);
    login(&client, "ada", PASSWORD).await.expect(401);
    login(&client, "ada", new).await.expect(200);
    // The older path means the same.
    let body = json!({"current_password": "wrong", "new_password": "yet another one"});
    ada.client.post("/v1/password-recovery/change-password", body).await.expect(422);
    login(&client, "ada", new).await.expect(200);
}

/// A published bcrypt vector: the hash of `U*U`.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

#[tokio::test]
async fn p6_a_bcrypt_hash_signs_in_and_is_upgraded() {
    let lab = Arc::new(Lab::new());
    let row = json!({
        "user_id": "01J0000000000000000000ADA1", "username": "ada", "email": "ada@example.com",
        "password_hash": BCRYPT, "role": "User", "enable": 1,
    });
    store_row(&lab, &schema::USERS, row).await;
    let client = lab.client();
    login(&client, "ada", "U*V").await.expect(401);
    let hash = |row: Value| row["password_hash"].as_str().unwrap().to_owned();
    assert_eq!(hash(user_row(&lab, "01J0000000000000000000ADA1").await), BCRYPT);
    login(&client, "ada", "U*U").await.expect(200);
    let upgraded = hash(user_row(&lab, "01J0000000000000000000ADA1").await);
    assert!(upgraded.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{upgraded}");
    login(&client, "ada@example.com", "U*U").await.expect(200);
    login(&client, "ada", "U*V").await.expect(401);
    assert_eq!(hash(user_row(&lab, "01J0000000000000000000ADA1").await), upgraded);
}

#[tokio::test]
async fn p6_a_weaker_argon2_hash_is_upgraded_and_a_stronger_one_is_kept() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let stronger = Arc::new(lab.restarted(&[("PASSWORD_HASH", "argon2id,m=128,t=2,p=1")], test_keys()));
    login(&stronger.client(), "ada", "not the password").await.expect(401);
    let before = user_row(&lab, &ada.id).await["password_hash"].clone();
    assert!(before.as_str().unwrap().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{before}");
    assert_password(&stronger.client(), "ada").await;
    let upgraded = user_row(&lab, &ada.id).await["password_hash"].clone();
    assert!(upgraded.as_str().unwrap().starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{upgraded}");
    assert_password(&lab.client(), "ada").await;
    assert_eq!(user_row(&lab, &ada.id).await["password_hash"], upgraded);
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_hash_made_on_one_host_verifies_on_another() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let row = user_row(&lab, &ada.id).await;
    let native = NativeHost::start().await;
    native.kill().await;
    {
        let clock = Arc::new(ManualClock::default());
        let entropy = Arc::new(SeededEntropy::new(9));
        let store = SqliteStore::open(native.data_dir(), clock.clone(), entropy).unwrap();
        store_row(&Lab::on_store(Arc::new(store), clock), &schema::USERS, row).await;
    }
    native.serve().await;
    let client = Client::new(Arc::new(native));
    login(&client, "ada", "not the password").await.expect(401);
    assert_password(&client, "ada").await;
    // And the other way round.
    assert_password(&lab.client(), "ada").await;
}

#[tokio::test]
async fn p7_unknown_wrong_disabled_and_deleted_are_one_answer_and_one_work() {
    let CountedLab { lab, store, hasher } = CountedLab::new();
    let client = lab.client();
    for name in ["wrong", "disabled", "deleted"] {
        client.register(name).await;
    }
    let admin = client.admin("root").await;
    for name in ["disabled", "deleted"] {
        let user = client.sign_in(name).await;
        if name == "deleted" {
            user.client.delete("/v1/users/me").await.expect(200);
        } else {
            admin.client.put(&user.path(), json!({"enable": 0})).await.expect(200);
        }
    }
    let bare = json!({
        "user_id": "01J000000000000000000BARE1", "username": "bare", "email": "bare@example.com",
        "role": "User", "enable": 1, "auth_provider": "google",
    });
    store_row(&lab, &schema::USERS, bare).await;
    let attempts = [
        ("unknown", PASSWORD),
        ("unknown@example.com", PASSWORD),
        ("wrong", "not the password"),
        ("wrong@example.com", "not the password"),
        ("disabled", PASSWORD),
        ("disabled@example.com", "not the password"),
        ("deleted", PASSWORD),
        ("deleted@example.com", "not the password"),
        ("bare", PASSWORD),
    ];
    let mut expected: Option<Vec<_>> = None;
    for (n, (name, password)) in (1..).zip(attempts) {
        lab.move_to(address(n));
        let mut seen = Vec::new();
        // Until the source must wait, and beyond; with and without a device.
        for attempt in 0..14 {
            let _ = (store.take(), hasher.take());
            let answer = if attempt % 2 == 0 {
                login(&client, name, password).await
            } else {
                login_on(&client, name, password, "some device").await
            };
            // Which of the two indexes is asked follows from what was typed.
            let calls = store.take().join("\n").replace("/email-index", "/username-index");
            seen.push((normalized(&answer), calls, hasher.take()));
        }
        lab.clock.advance(2 * 24 * 60 * 60);
        let first = expected.get_or_insert_with(|| seen.clone());
        for (attempt, (first, seen)) in first.iter().zip(&seen).enumerate() {
            assert_eq!(first, seen, "attempt {attempt} at {name}");
        }
    }
    let expected = expected.unwrap();
    assert_eq!((expected[0].0.0, expected[13].0.0), (401, 429));
    assert_eq!(expected[0].2, ["compare"]);
}

#[tokio::test]
async fn p8_ten_failures_make_a_source_wait_ever_longer() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    fail(&client, "ada", 10).await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let refused = login(&client, "ada", PASSWORD).await.expect_problem(429, "too_many_attempts");
        let wait = retry_after(&refused);
        waits.push(wait);
        // An attempt in between neither succeeds nor prolongs the wait.
        lab.clock.advance(i64::try_from(wait).unwrap() - 2);
        login(&client, "ada", PASSWORD).await.expect(429);
        lab.clock.advance(2);
        fail(&client, "ada", 1).await;
    }
    assert!(waits[0] >= 30, "{waits:?}");
    assert!(waits.is_sorted_by(|one, next| one < next), "{waits:?}");
}

#[tokio::test]
async fn p8_nine_failures_or_slow_ones_cost_nothing() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    fail(&client, "ada", 9).await;
    assert_password(&client, "ada").await;
    for _ in 0..4 {
        fail(&client, "ada", 9).await;
        lab.clock.advance(15 * 60 + 1);
    }
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn p8_other_sources_and_the_owners_device_are_not_locked_out() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let mut body = registration("ada");
    body["device_uuid"] = Value::from("ada's phone");
    client.post("/v1/users", body).await.expect(201);
    fail(&client, "ada", 10).await;
    login(&client, "ada", PASSWORD).await.expect(429);
    login(&client, "ada@example.com", PASSWORD).await.expect(429);
    login_on(&client, "ada", PASSWORD, "a stranger's phone").await.expect(429);
    // From the very address of the stranger, but on a known device.
    login_on(&client, "ada", PASSWORD, "ada's phone").await.expect(200);
    fail(&client, "ada", 10).await;
    lab.move_to(address(1));
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn p8_a_device_of_somebody_else_opens_nothing() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    let mut body = registration("mallory");
    body["device_uuid"] = Value::from("mallory's phone");
    client.post("/v1/users", body).await.expect(201);
    fail(&client, "ada", 10).await;
    login_on(&client, "ada", PASSWORD, "mallory's phone").await.expect(429);
}

#[tokio::test]
async fn p8_a_success_resets_the_count() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    for _ in 0..4 {
        fail(&client, "ada", 9).await;
        assert_password(&client, "ada").await;
    }
}

#[tokio::test]
async fn p8_a_hundred_failures_in_a_row_stop_every_stranger() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let mut body = registration("ada");
    body["device_uuid"] = Value::from("ada's phone");
    client.post("/v1/users", body).await.expect(201);
    for n in 0..100 {
        lab.move_to(address(n));
        fail(&client, "ada", 1).await;
    }
    lab.move_to(address(200));
    let refused = login(&client, "ada", PASSWORD).await.expect_problem(429, "too_many_attempts");
    assert!(retry_after(&refused) > 60);
    lab.clock.advance(30 * 24 * 60 * 60);
    login(&client, "ada", PASSWORD).await.expect(429);
    login_on(&client, "ada", PASSWORD, "ada's phone").await.expect(200);
    lab.move_to(address(201));
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn p8_recovery_opens_what_a_hundred_failures_closed() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    for n in 0..100 {
        lab.move_to(address(n));
        fail(&client, "ada", 1).await;
    }
    let code = recovery_code(&lab, &ada.email()).await;
    recover(&client, &ada.email(), &code, "another good one").await.expect(200);
    login(&client, "ada", "another good one").await.expect(200);
}

#[tokio::test]
async fn p8_the_count_is_in_the_store() {
    let lab = Arc::new(Lab::new());
    lab.client().register("ada").await;
    fail(&lab.client(), "ada", 5).await;
    let second = restarted(&lab);
    fail(&second.client(), "ada", 5).await;
    for lab in [&lab, &second, &restarted(&lab)] {
        login(&lab.client(), "ada", PASSWORD).await.expect_problem(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn p8_parallel_failures_all_count() {
    let lab = overlapping();
    let client = lab.client();
    client.register("ada").await;
    let attempts = (0..40).map(|_| login(&client, "ada", "not the password"));
    let answers = futures::future::join_all(attempts).await;
    let compared = answers.iter().filter(|answer| answer.status == 401).count();
    assert!(compared <= 10, "{compared} of 40 were told that they are wrong");
    // Some may be told to come back because too many came at once: that too is a 429.
    assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)));
}

#[tokio::test]
async fn p8_guesses_at_the_present_password_count_too() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    for _ in 0..10 {
        change_password(&ada, "not the password", "another good one").await.expect(422);
    }
    change_password(&ada, PASSWORD, "another good one").await.expect_problem(429, "too_many_attempts");
    login(&client, "ada", PASSWORD).await.expect(429);
}

#[tokio::test]
async fn p8_an_ipv6_source_is_its_64() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    client.register("ada").await;
    for n in 0..10 {
        lab.move_to(format!("2001:db8:1:2::{n:x}").parse().unwrap());
        fail(&client, "ada", 1).await;
    }
    lab.move_to("2001:db8:1:2:ffff::1".parse().unwrap());
    login(&client, "ada", PASSWORD).await.expect(429);
    lab.move_to("2001:db8:1:3::1".parse().unwrap());
    assert_password(&client, "ada").await;
    lab.move_to(HOME);
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn a_new_password_signs_in_where_the_index_still_shows_the_one_before() {
    let (store, clock) = memory(Lag::UntilCaughtUp);
    let lab = Arc::new(Lab::on_store(store.clone(), clock));
    let ada = lab.client().register("ada").await;
    store.catch_up();
    change_password(&ada, PASSWORD, "another horse battery").await.expect(200);
    login(&lab.client(), "ada", PASSWORD).await.expect_problem(401, "invalid_credentials");
    login(&lab.client(), "ada@example.com", "another horse battery").await.expect(200);
}

#[tokio::test]
async fn a_session_begun_while_the_password_changes_ends_where_the_index_trails() {
    let (memory, clock) = memory(Lag::UntilCaughtUp);
    let store = Arc::new(Interposed::new(memory.clone()));
    let lab = Arc::new(Lab::on_store(store.clone(), clock));
    let ada = lab.client().register("ada").await;
    memory.catch_up();
    let (client, begun) = (lab.client(), Arc::new(OnceLock::new()));
    let slot = begun.clone();
    store.once_before(puts_into(&schema::USERS), async move {
        slot.set(client.sign_in("ada").await).expect("it happens once");
    });
    change_password(&ada, PASSWORD, "another horse battery").await.expect(200);
    memory.catch_up();
    lab.clock.advance(61);
    lab.app.drain_outbox().await;
    assert_ended(begun.get().expect("a session")).await;
    assert_live(&ada).await;
}
