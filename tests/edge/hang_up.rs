//! Clients that hang up before they are answered: what they asked for is done whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use portico_core::schema::{SESSIONS, USERS};
use portico_tests::client::{Client, PASSWORD, registration};
use portico_tests::edge::EdgeHost;
use portico_tests::hosts::Host;
use portico_tests::tables::Tables;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long clients stay after they have sent everything.
const PATIENCE_MS: [u64; 12] = [0, 0, 1, 2, 3, 5, 8, 12, 18, 25, 40, 80];

/// Sends a registration and closes the connection without reading.
async fn register_and_leave(host: &EdgeHost, username: &str, patience: Duration) {
    let body = registration(username).to_string();
    let request = format!(
        "POST /v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", host.port())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(patience).await;
    drop(stream);
}

/// Waits until what the clients began is at rest: nothing is promised, and nothing more comes.
async fn come_to_rest(tables: &Tables) {
    let mut before = None;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let users = tables.items(&USERS).await.len();
        let now = (users, tables.items(&SESSIONS).await.len(), tables.promised_messages().await);
        if before == Some(now) && now.2 == 0 {
            return;
        }
        before = Some(now);
    }
    panic!("messages stay promised: {before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_complete_or_absent_when_its_client_hangs_up() {
    let host = Arc::new(EdgeHost::start().await);
    let client = Client::new(host.clone());
    client.get("/v1/health-check/ready").await.expect(200);
    let tables = Tables::of(host.emulators()).await;
    for (n, patience) in PATIENCE_MS.into_iter().enumerate() {
        register_and_leave(&host, &format!("user{n}"), Duration::from_millis(patience)).await;
        client.get("/v1/health-check/ping").await.expect(200);
    }
    come_to_rest(&tables).await;
    let sessions_before = tables.items(&SESSIONS).await.len();
    let (mut complete, messages) = (0, host.messages().await);
    for n in 0..PATIENCE_MS.len() {
        let username = format!("user{n}");
        let login = json!({ "username": username, "password": PASSWORD });
        let there = client.post("/v1/sessions/login", login).await;
        let to = format!("{username}@example.com");
        let mails = messages.iter().filter(|message| message.to == to).count();
        if there.status == 200 {
            complete += 1;
            assert_eq!(mails, 1, "{username} is there, and was sent {mails} mails");
        } else {
            there.expect_problem(401, "invalid_credentials");
            assert_eq!(mails, 0, "{username} is not there, and was sent a mail");
            // Name and address are free.
            client.post("/v1/users", registration(&username)).await.expect(201);
        }
    }
    assert_eq!(sessions_before, complete, "each of them has its one session");
    assert!(complete > 0, "nobody was registered, so that nothing is shown");
}
