//! Large files, many at once.

use portico_tests::client::{PASSWORD, registration};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use portico_tests::process::{Folder, Server, status};

use crate::support::{self, peak_kib};

const MIB: usize = 1024 * 1024;

/// Ten files at once, each as long as all the memory that they may take together.
#[tokio::test(flavor = "multi_thread")]
async fn ten_parallel_uploads_are_never_in_memory() {
    const FILE_BYTES: usize = 64 * MIB;
    let _alone = support::alone_async().await;
    let folder = Folder::new();
    let most = (FILE_BYTES + 1).to_string();
    let server = folder.serve(&[("MAX_UPLOAD_BYTES", &most)]).await;
    let (_, account) = server.post("/v1/users", &registration("ada")).await.expect("an account");
    let token = account["access_token"].as_str().expect("a token");
    // What the first upload and the first password take does not count.
    let sign_in = json!({ "username": "ada", "password": PASSWORD });
    assert_eq!(server.post("/v1/sessions/login", &sign_in).await.expect("an answer").0, 200);
    assert_eq!(upload(&server, token, MIB).await, Some(201));
    let before_kib = peak_kib(&server);

    let uploads = (0..10).map(|_| upload(&server, token, FILE_BYTES));
    assert_eq!(futures::future::join_all(uploads).await, [Some(201); 10]);
    let grown_kib = peak_kib(&server) - before_kib;
    println!("ten uploads of {} MiB: {grown_kib} KiB more", FILE_BYTES / MIB);
    assert!(grown_kib < 64 * 1024, "{grown_kib} KiB more");
    server.stop().await;
}

/// Sends a file piece by piece, as fast as it is taken; tells the answer's status.
async fn upload(server: &Server, token: &str, length: usize) -> Option<u16> {
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large\"\r\n\r\n";
    let foot = "\r\n--edge--\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.ok()?;
    let request = format!(
        "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}",
        head.len() + length + foot.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let piece = vec![7; MIB];
    for _ in 0..length / MIB {
        stream.write_all(&piece).await.ok()?;
    }
    stream.write_all(foot.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    status(&answer)
}
