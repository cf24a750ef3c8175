//! Clients that are slow, greedy, old or broken, at the socket.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use portico_tests::process::{Folder, Server, header, split, status};

const PING: &str = "GET /v1/health-check/ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port)).await.unwrap()
}

/// Sends bytes and reads until the server closes or falls silent.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server).await;
    // The server may close before it has read everything.
    let _sent = stream.write_all(bytes).await;
    read_for(&mut stream, Duration::from_secs(2)).await
}

async fn read_for(stream: &mut TcpStream, within: Duration) -> String {
    let mut answer = Vec::new();
    let end = Instant::now() + within;
    loop {
        let mut piece = [0; 4096];
        match timeout(end.saturating_duration_since(Instant::now()), stream.read(&mut piece)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&piece[..length]),
            _ => return String::from_utf8_lossy(&answer).into_owned(),
        }
    }
}

/// Reads one answer with a `Content-Length`, and leaves the rest.
async fn read_one(stream: &mut TcpStream) -> (String, String) {
    let mut answer = Vec::new();
    loop {
        if let Some((head, body)) = split(&answer) {
            let length: usize = header(&head, "content-length").unwrap().parse().unwrap();
            if body.len() == length {
                return (head, String::from_utf8(body).unwrap());
            }
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a whole answer");
        answer.push(byte[0]);
    }
}

async fn assert_alive(server: &Server) {
    let answer = exchange(server, PING.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// How long until the server hangs up.
async fn time_to_hang_up(stream: &mut TcpStream, within: Duration) -> (Duration, String) {
    let begun = Instant::now();
    let mut answer = Vec::new();
    let ended = timeout(within, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the server still waits after {within:?}");
    (begun.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_nobody_occupies_a_connection_by_being_slow() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let silent = async {
        let mut stream = connect(&server).await;
        time_to_hang_up(&mut stream, Duration::from_secs(20)).await;
    };
    let half_a_head = async {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /v1/roles HTTP/1.1\r\nHost: localhost\r\nX-A: ").await.unwrap();
        time_to_hang_up(&mut stream, Duration::from_secs(20)).await;
    };
    let trickling_head = async {
        let (mut reader, mut writer) = connect(&server).await.into_split();
        let trickle = async {
            let _refused = writer.write_all(b"GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n").await;
            for n in 0.. {
                if writer.write_all(format!("X-{n}: y\r\n").as_bytes()).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(500)).await;
            }
        };
        let hang_up = async {
            let mut answer = Vec::new();
            // A reset is a hang-up too.
            let _ended = reader.read_to_end(&mut answer).await;
        };
        timeout(Duration::from_secs(20), async {
            tokio::select! { () = trickle => {}, () = hang_up => {} }
        })
        .await
        .expect("the server hangs up on a head that never ends");
    };
    let stalled_body = async {
        let mut stream = connect(&server).await;
        let head = "POST /v1/sessions/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Content-Length: 1000\r\n\r\n{\"username\":";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (_, answer) = time_to_hang_up(&mut stream, Duration::from_secs(30)).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"code\":\"body_too_slow\""), "{answer}");
    };
    let stalled_chunks = async {
        let mut stream = connect(&server).await;
        let head = "POST /v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (_, answer) = time_to_hang_up(&mut stream, Duration::from_secs(30)).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    };
    // While a hundred of them wait, others are served.
    let crowd = async {
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let mut stream = connect(&server).await;
            stream.write_all(b"POST ").await.unwrap();
            waiting.push(stream);
        }
        sleep(Duration::from_secs(1)).await;
        assert_alive(&server).await;
    };
    tokio::join!(silent, half_a_head, trickling_head, stalled_body, stalled_chunks, crowd);
    assert_alive(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_huge_heads_are_refused() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    for bytes in [33 * 1024, 50 * 1024, 100 * 1024, 1024 * 1024] {
        let request =
            format!("GET /v1/roles HTTP/1.1\r\nHost: localhost\r\nX-Huge: {}\r\n\r\n", "y".repeat(bytes));
        let answer = exchange(&server, request.as_bytes()).await;
        // A client that goes on sending may find the connection reset before it reads.
        if !(answer.is_empty() && bytes > 64 * 1024) {
            assert!(answer.starts_with("HTTP/1.1 431"), "{bytes}: {answer}");
        }
        let many: String = (0..bytes / 40).map(|n| format!("X-{n:08}: y\r\n")).collect();
        let request = format!("GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{bytes} of many: {answer}");
        let target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(bytes));
        let answer = exchange(&server, target.as_bytes()).await;
        let refused = ["HTTP/1.1 414", "HTTP/1.1 431"].iter().any(|start| answer.starts_with(start));
        assert!(refused || (answer.is_empty() && bytes > 64 * 1024), "{bytes} in the target: {answer}");
        assert_alive(&server).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let mut stream = connect(&server).await;
    for _ in 0..5 {
        stream.write_all(PING.as_bytes()).await.unwrap();
        let (head, body) = read_one(&mut stream).await;
        assert_eq!((status(&head), body.as_str()), (Some(200), r#"{"message":"pong"}"#));
    }
    // Pipelined: answered in order.
    let roles = PING.replace("/v1/health-check/ping", "/v1/roles");
    let missing = PING.replace("/v1/health-check/ping", "/nothing");
    let body = "{}";
    let post = format!(
        "POST /v1/sessions/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let pipeline = [PING, &roles, &post, &missing, PING].concat();
    stream.write_all(pipeline.as_bytes()).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(status(&read_one(&mut stream).await.0).unwrap());
    }
    assert_eq!(statuses, [200, 200, 422, 404, 200]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_refused_leaves_the_connection_usable_or_closed() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    for length in [70 * 1024, 4 * 1024 * 1024] {
        let mut stream = connect(&server).await;
        let head = format!(
            "POST /v1/sessions/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let send = tokio::spawn(async move {
            let whole = writer.write_all(&vec![b'x'; length]).await.is_ok();
            // What the refused body holds must never be taken for a request.
            whole && writer.write_all(PING.as_bytes()).await.is_ok()
        });
        let mut answer = Vec::new();
        let _end = timeout(Duration::from_secs(5), reader.read_to_end(&mut answer)).await;
        let sent = send.await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if !answer.is_empty() || sent {
            assert!(answer.starts_with("HTTP/1.1 413"), "{length}: {answer}");
            let others = answer.matches("HTTP/1.1 ").count() - 1;
            assert!(others == 0 || (others == 1 && answer.ends_with(r#"{"message":"pong"}"#)), "{answer}");
        }
        assert_alive(&server).await;
    }
    // A client that asks first is told before it sends.
    let expect = "POST /v1/sessions/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                  Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut stream = connect(&server).await;
    stream.write_all(expect.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    timeout(Duration::from_secs(5), stream.read_exact(&mut interim)).await.unwrap().unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(status(&read_one(&mut stream).await.0), Some(422));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_without_tls_works() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let requests = (0..50).map(|_| {
        let uri = format!("http://127.0.0.1:{}/v1/health-check/ping", server.port);
        client.request(Request::get(uri).body(Full::default()).unwrap())
    });
    for answer in futures::future::join_all(requests).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], br#"{"message":"pong"}"#);
    }
    // HTTP/2 has its host in the target.
    let uri = format!("http://127.0.0.1:{}/.well-known/openid-configuration", server.port);
    let answer = client.request(Request::get(uri).body(Full::default()).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let discovery: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let keys = discovery["jwks_uri"].as_str().unwrap();
    assert!(keys.starts_with(&format!("http://127.0.0.1:{}/", server.port)), "{keys}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_broken_requests_are_answered_and_survived() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let answer = exchange(&server, b"GET /v1/health-check/ping HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut old = connect(&server).await;
    old.write_all(b"GET /v1/health-check/ping HTTP/1.0\r\n\r\n").await.unwrap();
    let (took, _) = time_to_hang_up(&mut old, Duration::from_secs(5)).await;
    assert!(took < Duration::from_secs(2), "HTTP/1.0 keeps nothing alive");
    // RFC 9112, section 3.2.2: a server must accept the absolute form.
    let absolute = PING
        .replace("GET /", "GET http://api.example.com/")
        .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let answer = exchange(&server, absolute.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let asterisk = exchange(&server, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(asterisk.starts_with("HTTP/1.1 "), "{asterisk}");
    assert!(!asterisk.starts_with("HTTP/1.1 5"), "{asterisk}");

    let garbage: [&[u8]; 14] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/roles HTTP/1.1 trailing\r\n\r\n",
        b"GET /v1 /roles HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/roles HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET /v1/roles HTTP/1.1\r\nHost: x\r\nno-colon\r\n\r\n",
        b"GET /v1/roles HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in garbage {
        let answer = exchange(&server, bytes).await;
        let what = String::from_utf8_lossy(bytes);
        assert!(answer.starts_with("HTTP/1.1 400"), "{what:?}: {answer:?}");
        assert_alive(&server).await;
    }
    // Both lengths at once is how requests are smuggled (RFC 9112, section 6.1): one reading, and no reuse.
    let smuggled = b"POST /v1/sessions/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/roles HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = exchange(&server, smuggled).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_alive(&server).await;
    for target in
        ["/%00", "/%ff%fe", "/v1/users/%2e%2e/%2e%2e/etc/passwd", "/../../etc/passwd", "//v1//roles", "/%"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(&server, request.as_bytes()).await;
        let refused =
            ["400", "401", "404"].iter().any(|code| answer.starts_with(&format!("HTTP/1.1 {code}")));
        assert!(refused && !answer.contains("root:"), "{target}: {answer}");
    }
    server.stop().await;
}
