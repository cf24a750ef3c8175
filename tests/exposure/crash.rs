//! Power cuts, stops, second processes and backups: what was acknowledged is there afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_tests::client::{PASSWORD, registration};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use portico_tests::process::{Folder, Server, call, header, split, status};

const CLIENTS: usize = 16;
const KILLS: usize = 10;

/// What a server acknowledged about a user.
#[derive(Clone, Debug)]
struct Acknowledged {
    username: String,
    id: String,
    access: String,
    refresh: String,
    /// The number in the first name that was set last.
    name: u32,
}

impl Acknowledged {
    fn of(username: &str, auth: &Value) -> Self {
        let text = |pointer: &str| auth.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Self {
            username: username.to_owned(),
            id: text("/user/id"),
            access: text("/access_token"),
            refresh: text("/refresh_token"),
            name: 0,
        }
    }
}

/// What one client was told, and the name that it asked for without hearing back.
#[derive(Debug, Default)]
struct Told {
    users: Vec<Acknowledged>,
    in_flight: Option<String>,
}

/// Registers users, refreshes and renames them, until the server is gone.
async fn work(port: u16, prefix: String, told: Arc<Mutex<Told>>) {
    let lock = || told.lock().unwrap_or_else(PoisonError::into_inner);
    for n in 0.. {
        let username = format!("{prefix}-{n}");
        lock().in_flight = Some(username.clone());
        let registered = call(port, "POST", "/v1/users", None, Some(&registration(&username))).await;
        let Some((code, auth)) = registered else { return };
        assert_eq!(code, 201, "{auth}");
        let mut user = Acknowledged::of(&username, &auth);
        {
            let mut told = lock();
            told.in_flight = None;
            told.users.push(user.clone());
        }
        for name in 1..=3 {
            let body = json!({ "refresh_token": user.refresh });
            let Some((code, pair)) = call(port, "POST", "/v1/sessions/refresh", None, Some(&body)).await
            else {
                return;
            };
            assert_eq!(code, 200, "{pair}");
            user.refresh = pair["refresh_token"].as_str().unwrap().to_owned();
            user.access = pair["access_token"].as_str().unwrap().to_owned();
            *lock().users.last_mut().unwrap() = user.clone();
            let body = json!({ "first_name": format!("Name {name}") });
            let Some((code, answer)) =
                call(port, "PUT", "/v1/users/me", Some(&user.access), Some(&body)).await
            else {
                return;
            };
            assert_eq!(code, 200, "{answer}");
            user.name = name;
            *lock().users.last_mut().unwrap() = user.clone();
        }
    }
}

/// Holds the server to what it acknowledged.
async fn verify(server: &Server, told: &Told) {
    for user in &told.users {
        let login = json!({ "username": user.username, "password": PASSWORD });
        let (code, auth) = server.post("/v1/sessions/login", &login).await.unwrap();
        assert_eq!(code, 200, "{} is lost: {auth}", user.username);
        assert_eq!(auth["user"]["id"], user.id.as_str());
        // A change that was under way may have come through; one that was acknowledged must have.
        let name = auth["user"]["first_name"].as_str().unwrap().trim_start_matches("Name ");
        let name: u32 = name.parse().unwrap_or(0);
        assert!(name == user.name || name == user.name + 1, "{user:?} is called {name}");
        let body = json!({ "refresh_token": user.refresh });
        let (code, pair) = server.post("/v1/sessions/refresh", &body).await.unwrap();
        assert_eq!(code, 200, "{user:?}: {pair}");
        let again = registration(&user.username);
        let (code, problem) = server.post("/v1/users", &again).await.unwrap();
        assert_eq!((code, &problem["code"]), (409, &json!("username_taken")));
        let mut other_name = again;
        other_name["username"] = json!(format!("{}-x", user.username));
        let (code, problem) = server.post("/v1/users", &other_name).await.unwrap();
        assert_eq!((code, &problem["code"]), (409, &json!("email_taken")));
    }
    if let Some(username) = &told.in_flight {
        // Wholly there or not at all: either the name is free, or its owner can sign in.
        let (code, _) = server.post("/v1/users", &registration(username)).await.unwrap();
        if code == 409 {
            let login = json!({ "username": username, "password": PASSWORD });
            assert_eq!(server.post("/v1/sessions/login", &login).await.unwrap().0, 200, "{username}");
        } else {
            assert_eq!(code, 201);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_was_acknowledged_survives_a_kill() {
    let folder = Folder::new();
    let mut count = 0;
    let mut server = folder.serve(&[]).await;
    for kill in 0..KILLS {
        let mut tasks = JoinSet::new();
        let told: Vec<Arc<Mutex<Told>>> = (0..CLIENTS).map(|_| Arc::default()).collect();
        for (client, told) in told.iter().enumerate() {
            tasks.spawn(work(server.port, format!("k{kill}-c{client}"), Arc::clone(told)));
        }
        tokio::time::sleep(Duration::from_millis(15 + 40 * kill as u64)).await;
        server.signal("KILL").await;
        server.child.wait().await.unwrap();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        server = folder.serve(&[]).await;
        for told in &told {
            let told = std::mem::take(&mut *told.lock().unwrap());
            count += told.users.len();
            verify(&server, &told).await;
        }
    }
    assert!(count > CLIENTS * KILLS / 2, "only {count} users were acknowledged");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way() {
    let folder = Folder::new();
    let mut server = folder.serve(&[]).await;
    let body = registration("ada").to_string();
    let (first, rest) = body.split_at(20);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let head = format!(
        "POST /v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // An idle connection does not hold the stop up.
    let mut idle = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    idle.write_all(b"GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal("TERM").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err(), "nothing new is accepted");
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let (head, body) = split(&answer).unwrap();
    assert_eq!(status(&head), Some(201), "{head}");
    assert!(header(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")), "{head}");
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["access_token"].is_string());
    let ended = tokio::time::timeout(Duration::from_secs(10), server.child.wait()).await;
    assert_eq!(ended.expect("it stops in time").unwrap().code(), Some(0));

    let server = folder.serve(&[]).await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    assert_eq!(server.post("/v1/sessions/login", &login).await.unwrap().0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_server() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    for arguments in
        [&["serve"][..], &["admin", "create", "--username", "root", "--email", "root@example.com"]]
    {
        let second = folder.run(arguments, &[("APP_PORT", "0")], "correct horse battery\n").await;
        assert!(!second.success, "{}", second.text);
        assert!(second.text.contains("data") && second.text.contains("in use"), "{}", second.text);
        assert!(!second.text.contains("panicked"), "{}", second.text);
    }
    let (code, _) = server.post("/v1/users", &registration("ada")).await.unwrap();
    assert_eq!(code, 201, "the first goes on");
    server.stop().await;
    folder.serve(&[]).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_serving_restores_everything_acknowledged_before() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let (code, auth) = server.post("/v1/users", &registration("ada")).await.unwrap();
    assert_eq!(code, 201);
    let ada = Acknowledged::of("ada", &auth);
    let told = Arc::<Mutex<Told>>::default();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (told, stop, port) = (Arc::clone(&told), Arc::clone(&stop), server.port);
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let username = format!("user-{n}");
                let made = call(port, "POST", "/v1/users", None, Some(&registration(&username))).await;
                let (code, auth) = made.unwrap();
                assert_eq!(code, 201, "{auth}");
                told.lock().unwrap().users.push(Acknowledged::of(&username, &auth));
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before: Vec<Acknowledged> = told.lock().unwrap().users.clone();
    let backup = folder.run(&["backup", "copy"], &[], "").await;
    assert!(backup.success, "{}", backup.text);
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let again = folder.run(&["backup", "copy"], &[], "").await;
    assert!(!again.success && again.text.contains("exists"), "{}", again.text);

    let elsewhere = [("DATA_DIR", "restored")];
    let restored = folder.run(&["restore", "copy"], &elsewhere, "").await;
    assert!(restored.success, "{}", restored.text);
    let second = folder.serve(&elsewhere).await;
    assert!(!before.is_empty());
    for user in before.iter().chain([&ada]) {
        let login = json!({ "username": user.username, "password": PASSWORD });
        assert_eq!(second.post("/v1/sessions/login", &login).await.unwrap().0, 200, "{}", user.username);
        let body = json!({ "refresh_token": user.refresh });
        assert_eq!(second.post("/v1/sessions/refresh", &body).await.unwrap().0, 200, "{}", user.username);
    }
    let in_use = folder.run(&["restore", "copy", "--force"], &elsewhere, "").await;
    assert!(!in_use.success, "{}", in_use.text);
    second.stop().await;
    let occupied = folder.run(&["restore", "copy"], &elsewhere, "").await;
    assert!(!occupied.success && occupied.text.contains("exists"), "{}", occupied.text);
    server.stop().await;
}
