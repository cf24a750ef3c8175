//! What an operator relies on: the record of decisions, logs without secrets, refusals at start-up, the first Admin.

use std::net::IpAddr;
use std::sync::Arc;

use portico::env::Config;
use portico_core::config::Vars;
use portico_core::http::routes::{Access, ROUTES};
use portico_core::memory::mailer::Failure;
use portico_core::ports::store::StoreErrorKind;
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::lab::{Lab, new_key_pem, test_key_pem};
use portico_tests::logs::{Logs, Record};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::faults::{self, Fault, KINDS};
use portico_tests::process::{Folder, Server, call};

const ADDRESS: &str = "203.0.113.7";

/// A user in a lab that listens to its own log.
struct Scene {
    logs: Logs,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        let logs = Logs::capture();
        let lab = Arc::new(Lab::new());
        lab.move_to(ADDRESS.parse::<IpAddr>().unwrap());
        Self { logs, client: lab.client() }
    }

    /// Asserts that there is exactly one such decision on record since the last look, and returns it.
    #[track_caller]
    fn decided(&self, seen: &mut usize, event: &str, outcome: &str) -> Record {
        let all: Vec<Record> =
            self.logs.records().into_iter().filter(|record| record.target == "portico::audit").collect();
        let new = &all[*seen..];
        *seen = all.len();
        let said: Vec<(&str, &str)> =
            new.iter().map(|record| (record.field("event"), record.field("outcome"))).collect();
        assert_eq!(said, [(event, outcome)]);
        assert_eq!(new[0].level, tracing::Level::INFO);
        new[0].clone()
    }
}

#[track_caller]
fn assert_whole(record: &Record, user: &User) {
    let found = ["user_id", "session_id", "device_id", "addr"].map(|name| record.field(name).to_owned());
    assert_eq!(found, [user.id.as_str(), &user.session_id, &user.device_id, ADDRESS].map(str::to_owned));
}

#[tokio::test]
async fn l1_sign_ins_and_sessions_are_on_record() {
    let scene = Scene::new();
    let (client, mut seen) = (&scene.client, 0);
    let ada = client.register("ada").await;
    assert_whole(&scene.decided(&mut seen, "registered", "success"), &ada);
    let second = client.sign_in("ada").await;
    assert_whole(&scene.decided(&mut seen, "sign_in", "success"), &second);

    let wrong = json!({ "username": "ada", "password": "wrong horse battery" });
    client.post("/v1/sessions/login", wrong).await.expect(401);
    let failure = scene.decided(&mut seen, "sign_in", "failure");
    assert_eq!((failure.field("user_id"), failure.field("addr")), (ada.id.as_str(), ADDRESS));
    // What is typed into the wrong field may be a password.
    let unknown = json!({ "username": "typed-into-the-wrong-field", "password": PASSWORD });
    client.post("/v1/sessions/login", unknown).await.expect(401);
    let failure = scene.decided(&mut seen, "sign_in", "failure");
    assert_eq!((failure.field("user_id"), failure.field("addr")), ("", ADDRESS));
    assert!(!scene.logs.text().contains("typed-into-the-wrong-field"));

    second.refresh_with(&second.refresh_token).await.expect(200);
    assert_whole(&scene.decided(&mut seen, "refresh", "success"), &second);
    second.refresh_with("nonsense").await.expect(401);
    assert_eq!(scene.decided(&mut seen, "refresh", "failure").field("addr"), ADDRESS);

    ada.client.delete(&format!("/v1/sessions/{}", second.session_id)).await.expect(200);
    scene.decided(&mut seen, "session_revoked", "success");
    ada.client.post_empty("/v1/sessions/logout").await.expect(200);
    assert_whole(&scene.decided(&mut seen, "sign_out", "success"), &ada);
    let third = client.sign_in("ada").await;
    scene.decided(&mut seen, "sign_in", "success");
    third.client.post_empty("/v1/sessions/logout-all").await.expect(200);
    assert_whole(&scene.decided(&mut seen, "sign_out_everywhere", "success"), &third);

    let locked = client.register("locked").await;
    scene.decided(&mut seen, "registered", "success");
    for _ in 0..10 {
        let wrong = json!({ "username": "locked", "password": "wrong horse battery" });
        client.post("/v1/sessions/login", wrong).await.expect(401);
        scene.decided(&mut seen, "sign_in", "failure");
    }
    // Locked out: a refusal too, though the password is right.
    let right = json!({ "username": "locked", "password": PASSWORD });
    client.post("/v1/sessions/login", right).await.expect_problem(429, "too_many_attempts");
    assert_eq!(scene.decided(&mut seen, "sign_in", "failure").field("user_id"), locked.id);
}

#[tokio::test]
async fn l1_changes_of_accounts_are_on_record() {
    let scene = Scene::new();
    let (client, mut seen) = (&scene.client, 0);
    let root = client.admin("root").await;
    let created = &scene.logs.audit("admin_created")[0];
    assert_eq!(created.field("user_id"), root.id);
    seen += 2;
    let ada = client.register("ada").await;
    scene.decided(&mut seen, "registered", "success");

    let confirm = async |token: &str| {
        ada.client.post("/v1/confirm-email/validate-code", json!({ "token": token })).await.status
    };
    assert_eq!(confirm(&"A".repeat(32)).await, 422);
    assert_whole(&scene.decided(&mut seen, "address_confirmed", "failure"), &ada);
    let code = client.newest_message_to(&ada.email()).await.code();
    assert_eq!(confirm(&code).await, 200);
    assert_whole(&scene.decided(&mut seen, "address_confirmed", "success"), &ada);

    let change = async |current: &str| {
        let body = json!({ "current_password": current, "new_password": "another good one" });
        ada.client.post("/v1/users/me/password", body).await.status
    };
    assert_eq!(change("not the present one").await, 422);
    assert_whole(&scene.decided(&mut seen, "password_changed", "failure"), &ada);
    assert_eq!(change(PASSWORD).await, 200);
    assert_whole(&scene.decided(&mut seen, "password_changed", "success"), &ada);

    ada.client.put(&ada.path(), json!({ "first_name": "Augusta" })).await.expect(200);
    assert_whole(&scene.decided(&mut seen, "profile_changed", "success"), &ada);

    let recover = async |code: &str| {
        let body = json!({ "email": ada.email(), "otp": code, "new_password": "a third good one" });
        client.post("/v1/password-recovery/validate-code", body).await
    };
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    assert_eq!(scene.decided(&mut seen, "recovery_requested", "success").field("addr"), ADDRESS);
    recover("AAAAAA").await.expect(401);
    assert_eq!(scene.decided(&mut seen, "account_recovered", "failure").field("addr"), ADDRESS);
    let code = client.newest_message_to(&ada.email()).await.code();
    let ada = User::of(client, "ada", &recover(&code).await.expect(200));
    assert_whole(&scene.decided(&mut seen, "account_recovered", "success"), &ada);

    let phone =
        client.post("/v1/sessions/login", json!({ "username": "ada", "password": "a third good one" })).await;
    let phone = User::of(client, "ada", &phone);
    scene.decided(&mut seen, "sign_in", "success");
    ada.client.delete(&format!("/v1/devices/{}", phone.device_id)).await.expect(200);
    let deleted = scene.decided(&mut seen, "device_deleted", "success");
    assert_eq!([deleted.field("user_id"), deleted.field("device_id")], [&ada.id, &phone.device_id]);

    root.client.put(&ada.path(), json!({ "role": "Admin" })).await.expect(200);
    let by_root = scene.decided(&mut seen, "profile_changed", "success");
    assert_eq!([by_root.field("user_id"), by_root.field("session_id")], [&ada.id, &root.session_id]);
    root.client.delete(&ada.path()).await.expect(200);
    assert_eq!(scene.decided(&mut seen, "account_deleted", "success").field("user_id"), ada.id);
    root.client.post_empty(&format!("{}/restore", ada.path())).await.expect(200);
    assert_eq!(scene.decided(&mut seen, "account_restored", "success").field("user_id"), ada.id);
}

/// Things that nobody may read anywhere but where they belong.
#[derive(Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn plant(&mut self, name: &'static str, secret: &str) {
        self.0.push((name, secret.to_owned()));
    }

    /// A token by each of its parts that is secret.
    fn plant_token(&mut self, name: &'static str, token: &str) {
        self.plant(name, token.rsplit('.').next().unwrap());
    }

    fn plant_pem(&mut self, pem: &str) {
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        self.plant("a key's first line", lines[0]);
        self.plant("a key's middle line", lines[lines.len() / 2]);
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            assert!(!secret.is_empty(), "{name}");
            assert!(!text.contains(secret.as_str()), "{name} is in {place}");
            assert!(!text.contains(&secret.escape_debug().to_string()), "{name} is in {place}, escaped");
        }
    }
}

#[tokio::test]
async fn l1_no_secret_reaches_the_log_or_an_error() {
    let logs = Logs::capture();
    let mut canaries = Canaries::default();
    let token_secret = "canary-token-secret-0123456789abcdef";
    canaries.plant("TOKEN_SECRET", token_secret);
    canaries.plant_pem(test_key_pem());
    let lab = Arc::new(Lab::with_variables(&[("TOKEN_SECRET", token_secret)]));
    let client = lab.client();
    let mut errors = String::new();
    let (first, second, wrong) = ("canary-first-password", "canary-second-password", "canary-wrong-password");
    for (name, secret) in [("a password", first), ("a new password", second), ("a wrong password", wrong)] {
        canaries.plant(name, secret);
    }
    let mut body = registration("ada");
    body["password"] = json!(first);
    let ada = User::of(&client, "ada", &client.post("/v1/users", body.clone()).await.expect(201));
    canaries.plant_token("an access token", &ada.access_token);
    canaries.plant_token("a refresh token", &ada.refresh_token);
    errors += &client.post("/v1/users", body.clone()).await.expect(409).text();
    body["email"] = json!("nonsense");
    errors += &client.post("/v1/users", body).await.expect(422).text();

    let code = client.newest_message_to(&ada.email()).await.code();
    canaries.plant("a confirmation code", &code);
    let wrong_code = "QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    canaries.plant("a wrong code", wrong_code);
    let confirm =
        async |code: &str| ada.client.post("/v1/confirm-email/validate-code", json!({ "token": code })).await;
    errors += &confirm(wrong_code).await.expect(422).text();
    confirm(&code).await.expect(200);
    errors += &confirm(&code).await.expect(422).text();

    for login in ["ada", "nobody"] {
        let body = json!({ "username": login, "password": wrong });
        errors += &client.post("/v1/sessions/login", body).await.expect(401).text();
    }
    // A member of the wrong type is described, not quoted.
    for body in [
        json!({ "username": "ada", "password": [wrong] }),
        json!({ "username": "ada", "password": { "value": wrong } }),
        json!({ "username": [wrong], "password": wrong }),
    ] {
        errors += &client.post("/v1/sessions/login", body).await.expect(400).text();
    }
    let pair = ada.refresh_with(&ada.refresh_token).await.expect(200).json();
    canaries.plant_token("the next access token", pair["access_token"].as_str().unwrap());
    let next = pair["refresh_token"].as_str().unwrap();
    canaries.plant_token("the next refresh token", next);
    errors += &ada.refresh_with(&format!("{next}x")).await.expect(401).text();
    errors += &client
        .with_token(Some(&format!("{}x", ada.access_token)))
        .get("/v1/sessions")
        .await
        .expect(401)
        .text();
    errors += &client.get(&format!("/v1/users?cursor={next}")).await.expect(401).text();

    let change = json!({ "current_password": wrong, "new_password": second });
    errors += &ada.client.post("/v1/users/me/password", change).await.expect(422).text();
    let change = json!({ "current_password": first, "new_password": second });
    ada.client.post("/v1/users/me/password", change).await.expect(200);
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    let otp = client.newest_message_to(&ada.email()).await.code();
    canaries.plant("a recovery code", &otp);
    let recovery = json!({ "email": ada.email(), "otp": otp, "new_password": "short" });
    errors += &client.post("/v1/password-recovery/validate-code", recovery).await.expect(422).text();
    let recovery = json!({ "email": ada.email(), "otp": otp, "new_password": first });
    client.post("/v1/password-recovery/validate-code", recovery).await.expect(200);
    let device = format!("/v1/devices/{}", ada.device_id);
    canaries.plant("a push token", "canary-push-token");
    client.sign_in_with(&ada, first).await.put(&device, json!({ "token": "canary-push-token" })).await;

    // Messages that cannot be sent are noted without what they say.
    lab.mailer.fail(Some(Failure::Temporary));
    lab.clock.advance(61);
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);

    assert!(errors.contains("invalid_credentials"), "{errors}");
    canaries.assert_absent("an error", &errors);
    let log = logs.text();
    assert!(log.contains(&ada.id), "there is a log");
    canaries.assert_absent("the log", &log);
}

/// What the canaries' flow needs besides the harness.
trait SignInWith {
    async fn sign_in_with(&self, user: &User, password: &str) -> Client;
}

impl SignInWith for Client {
    async fn sign_in_with(&self, user: &User, password: &str) -> Client {
        let body = json!({ "username": user.username, "password": password });
        let answer = self.post("/v1/sessions/login", body).await.expect(200);
        User::of(self, &user.username, &answer).client
    }
}

/// The secrets of a deployment, as variables.
const SECRETS: [(&str, &str); 4] = [
    ("TOKEN_SECRET", "canary-token-secret-0123456789abcdef"),
    ("SMTP_PASSWORD", "canary-smtp-password"),
    ("ADMIN_PASSWORD", "canary-admin-password"),
    ("AWS_SECRET_ACCESS_KEY", "canary-aws-secret"),
];

#[tokio::test(flavor = "multi_thread")]
async fn l1_no_secret_reaches_the_servers_log() {
    for format in ["json", "text"] {
        let folder = Folder::new();
        let mut canaries = Canaries::default();
        canaries.plant_pem(test_key_pem());
        for (name, secret) in SECRETS {
            canaries.plant(name, secret);
        }
        let mail_port = portico_bench::ports::free_port().to_string();
        let mut variables = vec![
            ("LOG_LEVEL", "trace"),
            ("LOG_FORMAT", format),
            ("ADMIN_EMAIL", "root@example.com"),
            ("MAILER", "smtp"),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_PORT", &mail_port),
            ("SMTP_USERNAME", "mail"),
        ];
        variables.extend(SECRETS);
        let server = folder.serve(&variables).await;
        let mut errors = String::new();
        let mut body = registration("ada");
        body["password"] = json!("canary-first-password");
        canaries.plant("a password", "canary-first-password");
        canaries.plant("a wrong password", "canary-wrong-password");
        let (code, auth) = server.post("/v1/users", &body).await.unwrap();
        assert_eq!(code, 201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (access, refresh) = (text(&auth["access_token"]), text(&auth["refresh_token"]));
        canaries.plant_token("an access token", &access);
        canaries.plant_token("a refresh token", &refresh);
        for (path, body) in [
            ("/v1/sessions/login", json!({ "username": "ada", "password": "canary-wrong-password" })),
            ("/v1/sessions/login", json!({ "username": "ada", "password": ["canary-wrong-password"] })),
            ("/v1/sessions/refresh", json!({ "refresh_token": format!("{refresh}x") })),
            ("/v1/users", body.clone()),
        ] {
            let (code, problem) = server.post(path, &body).await.unwrap();
            assert!(code >= 400, "{path}");
            errors += &problem.to_string();
        }
        // In the address, where it does not belong, it still stays out of the log.
        let path = format!("/v1/users/me?access_token={access}&password=canary-wrong-password");
        assert_eq!(call(server.port, "GET", &path, Some(&access), None).await.unwrap().0, 200);
        let root = json!({ "username": "root@example.com", "password": "canary-admin-password" });
        assert_eq!(server.post("/v1/sessions/login", &root).await.unwrap().0, 200);
        let (code, _) = server
            .post("/v1/password-recovery/request", &json!({ "email": "ada@example.com" }))
            .await
            .unwrap();
        assert_eq!(code, 200);
        // Long enough for a message to be tried, in vain.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let log = server.stop().await;
        for expected in ["registered", "sign_in", "answered", auth["user"]["id"].as_str().unwrap()] {
            assert!(log.contains(expected), "{expected}: {log}");
        }
        canaries.assert_absent("an error", &errors);
        canaries.assert_absent("the log", &log);
        let wanted = ["user_id", "session_id", "device_id", "addr", "outcome"];
        let audited =
            log.lines().find(|line| line.contains("portico::audit") && line.contains("registered")).unwrap();
        for field in wanted {
            assert!(audited.contains(field), "{field}: {audited}");
        }
        if format == "json" {
            let event: Value = serde_json::from_str(audited).unwrap();
            assert!(event["timestamp"].is_string(), "{audited}");
            assert_eq!((&event["event"], &event["outcome"]), (&json!("registered"), &json!("success")));
        }
    }
}

#[test]
fn l1_the_configuration_does_not_print_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    std::fs::write(&key, test_key_pem()).unwrap();
    let lookup = |name: &str| match name {
        "JWT_PRIVATE_KEY_PATH" => Some(key.to_str().unwrap().to_owned()),
        "SMTP_HOST" | "SMTP_USERNAME" => Some("mail".to_owned()),
        "ADMIN_EMAIL" => Some("root@example.com".to_owned()),
        "STORAGE_BACKEND" => Some("embedded".to_owned()),
        other => SECRETS.iter().find(|(name, _)| *name == other).map(|(_, value)| (*value).to_owned()),
    };
    let config = Config::read(Vars::new(lookup)).unwrap();
    let printed = format!("{config:?} {config:#?}");
    let mut canaries = Canaries::default();
    canaries.plant_pem(test_key_pem());
    for (name, secret) in SECRETS {
        canaries.plant(name, secret);
    }
    assert!(printed.contains("root@example.com"));
    canaries.assert_absent("the configuration's Debug", &printed);
}

/// Sends bytes as they are; what comes back does not matter.
async fn send_raw(server: &Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let _sent = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _end = tokio::time::timeout(std::time::Duration::from_secs(1), read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_no_input_forges_a_line_of_the_log() {
    let forged = "\n{\"event\":\"sign_in\",\"forged\":true}\r\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m";
    for format in ["json", "text"] {
        let folder = Folder::new();
        let server = folder.serve(&[("LOG_LEVEL", "trace"), ("LOG_FORMAT", format)]).await;
        let mut ada = registration("ada");
        ada["device_uuid"] = json!(forged);
        let mut named = registration("named");
        named["first_name"] = json!(forged);
        for (path, body) in [
            ("/v1/sessions/login", json!({ "username": forged, "password": forged })),
            ("/v1/sessions/login", json!({ "username": "ada", "password": "x", "device_uuid": forged })),
            ("/v1/users", ada),
            ("/v1/users", named),
            ("/v1/sessions/refresh", json!({ "refresh_token": forged })),
            ("/v1/password-recovery/request", json!({ "email": forged })),
            ("/v1/sessions/login", json!({ forged: forged })),
        ] {
            assert!(server.post(path, &body).await.unwrap().0 >= 400, "{path}");
        }
        assert_eq!(server.post("/v1/users", &registration("eve")).await.unwrap().0, 201);
        for request in [
            "GET /v1/roles%0A%7B%22forged%22:true%7D%1B[2J HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "GET /v1/roles\"},{\"forged\":\"1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "FORGED{}\" /v1/roles HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "GET /v1/roles HTTP/1.1\r\nHost: x\r\nX-Request-Id: \"},{\"forged\":\"1\r\nConnection: close\r\n\r\n".to_owned(),
            "GET /v1/roles HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\u{1b}[31mforged\r\nConnection: close\r\n\r\n".to_owned(),
            "GET /v1/roles HTTP/1.1\r\nHost: x\r\nUser-Agent: \u{9b}31mforged\r\nConnection: close\r\n\r\n".to_owned(),
            "GET /v1/roles HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \"}forged\r\nConnection: close\r\n\r\n".to_owned(),
            "POST /v1/sessions/google HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{\n".to_owned(),
        ] {
            send_raw(&server, request.as_bytes()).await;
        }
        let log = server.stop().await;
        assert!(log.lines().count() > 10, "{log}");
        for line in log.lines() {
            assert!(!line.chars().any(|c| c.is_control()), "{format}: {line:?}");
            if format == "json" {
                let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                assert!(event["timestamp"].is_string() && event.get("forged").is_none(), "{line}");
            } else {
                assert!(line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn l3_a_failing_store_admits_nobody() {
    let (_lab, client, store) = faults::lab();
    let (admin, ada) = (client.admin("root").await, client.register("ada").await);
    let kinds = KINDS
        .into_iter()
        .filter(|kind| !matches!(kind, StoreErrorKind::TooLarge | StoreErrorKind::Conflict { .. }));
    for kind in kinds {
        for route in ROUTES.iter().filter(|route| route.access != Access::Public) {
            let path = route.path.replace("{id}", &ada.id);
            for user in [&admin, &ada] {
                store.fail(Fault::All(kind));
                let answer = user.client.call(route.method.clone(), &path, Some(&json!({}))).await;
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (503, "storage_unavailable"),
                    "{}",
                    route.operation
                );
                assert!(answer.header("retry-after").is_some());
            }
            // Without a good token nothing is even looked up.
            client
                .with_token(Some("x.y.z"))
                .call(route.method.clone(), &path, None)
                .await
                .expect_problem(401, "invalid_token");
        }
    }
    store.fail(Fault::None);
    ada.client.get("/v1/sessions").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_production_refuses_what_is_only_good_for_trying_out() {
    let folder = Folder::new();
    let weak = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
    std::fs::write(folder.path("weak.pem"), weak.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    let public = weak.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    std::fs::write(folder.path("weak_public.pem"), public).unwrap();
    std::fs::write(folder.path("foreign.pem"), new_key_pem()).unwrap();
    std::fs::write(folder.path("development_private_key.pem"), test_key_pem()).unwrap();
    std::fs::write(folder.path("garbage.pem"), "-----BEGIN PRIVATE KEY-----\ncanary\n").unwrap();
    let production = [
        ("APP_ENV", "production"),
        ("APP_PORT", "0"),
        ("SMTP_HOST", "127.0.0.1"),
        ("SMS_SENDER", "none"),
        ("ALLOWED_ORIGINS", "none"),
        ("PASSWORD_HASH", "argon2id"),
    ];
    let refused: [(&[(&str, &str)], &[&str]); 13] = [
        (&[("JWT_PRIVATE_KEY_PATH", "")], &["JWT_PRIVATE_KEY_PATH", "portico keys generate"]),
        (&[("JWT_PRIVATE_KEY_PATH", "missing.pem")], &["JWT_PRIVATE_KEY_PATH", "missing.pem"]),
        (&[("JWT_PRIVATE_KEY_PATH", "weak.pem")], &["JWT_PRIVATE_KEY_PATH", "1024", "2048"]),
        (&[("JWT_PRIVATE_KEY_PATH", "garbage.pem")], &["JWT_PRIVATE_KEY_PATH", "garbage.pem"]),
        (
            &[("JWT_PRIVATE_KEY_PATH", "development_private_key.pem")],
            &["JWT_PRIVATE_KEY_PATH", "development"],
        ),
        (&[("JWT_PUBLIC_KEY_PATH", "weak_public.pem")], &["JWT_PUBLIC_KEY_PATH", "1024"]),
        (&[("JWT_PREVIOUS_PUBLIC_KEYS_PATH", "weak_public.pem")], &["JWT_PREVIOUS_PUBLIC_KEYS_PATH", "1024"]),
        (&[("TOKEN_SECRET", "canary-too-short")], &["TOKEN_SECRET", "32"]),
        (&[("MAILER", "outbox")], &["MAILER"]),
        (&[("SMS_SENDER", "outbox")], &["SMS_SENDER"]),
        (&[("PASSWORD_HASH", "argon2id,m=64,t=1,p=1")], &["PASSWORD_HASH"]),
        (&[("ADMIN_PASSWORD", "canary-admin-password")], &["ADMIN_EMAIL"]),
        (
            &[
                ("JWT_PRIVATE_KEY_PATH", "weak.pem"),
                ("TOKEN_SECRET", "canary"),
                ("MAILER", "outbox"),
                ("APP_PORT", "x"),
            ],
            &["JWT_PRIVATE_KEY_PATH", "TOKEN_SECRET", "MAILER", "APP_PORT"],
        ),
    ];
    for (changes, said) in refused {
        let variables: Vec<(&str, &str)> = production.iter().chain(changes).copied().collect();
        let outcome = folder.run(&["serve"], &variables, "").await;
        assert!(!outcome.success, "{changes:?}: {}", outcome.text);
        for word in said {
            assert!(outcome.text.contains(word), "{changes:?} should speak of {word}: {}", outcome.text);
        }
        assert!(!outcome.text.contains("canary") && !outcome.text.contains("panicked"), "{}", outcome.text);
        assert!(!outcome.text.contains("listens"), "{}", outcome.text);
    }
    assert!(!folder.path("data").exists(), "nothing is made before everything is right");
    let good: Vec<(&str, &str)> =
        production.iter().copied().filter(|(name, _)| *name != "APP_PORT").collect();
    let server = folder.serve(&good).await;
    assert_eq!(call(server.port, "GET", "/v1/health-check/ready", None, None).await.unwrap().0, 200);
    assert_eq!(call(server.port, "GET", "/dev/outbox", None, None).await.unwrap().0, 404);
    server.stop().await;
}

async fn can_sign_in(server: &Server, username: &str, password: &str) -> Option<Value> {
    let body = json!({ "username": username, "password": password });
    let (code, auth) = server.post("/v1/sessions/login", &body).await.unwrap();
    // Those who guess too much are told to wait.
    assert!(matches!(code, 200 | 401 | 429), "{auth}");
    (code == 200).then_some(auth)
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_the_first_admin_is_made_on_the_host() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    for username in ["admin", "Admin", "administrator", "root", "portico", "user", "test"] {
        for password in [username, "admin", "password", "changeme", "portico", "12345678", "admin123", ""] {
            assert!(can_sign_in(&server, username, password).await.is_none(), "{username} {password}");
        }
    }
    server.stop().await;
    let create = ["admin", "create", "--username", "root", "--email", "root@example.com"];
    for bad in ["", "\n", "short\n", "password\n", "root@example.com\n"] {
        let outcome = folder.run(&create, &[], bad).await;
        assert!(!outcome.success, "{bad:?}: {}", outcome.text);
    }
    let outcome = folder.run(&create, &[], "correct horse battery\n").await;
    assert!(outcome.success, "{}", outcome.text);
    assert!(!outcome.text.contains("correct horse"), "{}", outcome.text);
    let again = folder.run(&create, &[], "correct horse battery\n").await;
    assert!(!again.success && again.text.contains("taken"), "{}", again.text);
    let server = folder.serve(&[]).await;
    let auth = can_sign_in(&server, "root", "correct horse battery").await.unwrap();
    assert_eq!((&auth["user"]["role"], &auth["user"]["email_confirmed"]), (&json!("Admin"), &json!(true)));
    let token = auth["access_token"].as_str();
    assert_eq!(call(server.port, "GET", "/v1/users", token, None).await.unwrap().0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_variables_make_an_admin_once_and_only_of_nothing() {
    let folder = Folder::new();
    let first = [("ADMIN_EMAIL", "boss@example.com"), ("ADMIN_PASSWORD", "a first good one")];
    let server = folder.serve(&first).await;
    let auth = can_sign_in(&server, "boss@example.com", "a first good one").await.unwrap();
    assert_eq!(auth["user"]["role"], "Admin");
    let token = auth["access_token"].as_str();
    let change = json!({ "current_password": "a first good one", "new_password": "chosen by the boss" });
    let (code, _) = call(server.port, "POST", "/v1/users/me/password", token, Some(&change)).await.unwrap();
    assert_eq!(code, 200);
    server.stop().await;
    // Neither the same nor other values change or make anything from then on.
    let others = [("ADMIN_EMAIL", "other@example.com"), ("ADMIN_PASSWORD", "a second good one")];
    for variables in [first, others] {
        let server = folder.serve(&variables).await;
        assert!(can_sign_in(&server, "boss@example.com", "a first good one").await.is_none());
        assert!(can_sign_in(&server, "other@example.com", "a second good one").await.is_none());
        assert!(can_sign_in(&server, "boss@example.com", "chosen by the boss").await.is_some());
        server.stop().await;
    }

    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    assert_eq!(server.post("/v1/users", &registration("ada")).await.unwrap().0, 201);
    server.stop().await;
    let server = folder.serve(&first).await;
    assert!(can_sign_in(&server, "boss@example.com", "a first good one").await.is_none());
    server.stop().await;
    for incomplete in [
        [first[0], ("ADMIN_PASSWORD", "")],
        [("ADMIN_EMAIL", ""), first[1]],
        [first[0], ("ADMIN_PASSWORD", "password")],
    ] {
        let folder = Folder::new();
        let variables = [incomplete[0], incomplete[1], ("APP_PORT", "0")];
        let outcome = folder.run(&["serve"], &variables, "").await;
        assert!(!outcome.success && outcome.text.contains("ADMIN_"), "{}", outcome.text);
    }
}
