//! Stops, and second processes.

use std::time::Duration;

use portico_tests::client::{PASSWORD, registration};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use portico_tests::process::{Folder, header, split, status};

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
