//! How bodies cross the runtime: known lengths are told, long ones stream both ways, too long ones are refused.

use std::sync::Arc;

use http::header::{HeaderValue, IF_NONE_MATCH, RANGE};
use http::{HeaderName, Method};
use portico_tests::client::{Answer, Client, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{MIB, hash, noise, upload_request};

/// The largest file that is taken here.
const LIMIT: usize = 21 * MIB;

async fn start() -> Client {
    let limit = LIMIT.to_string();
    let host = EdgeHost::start_on(&Arc::new(Emulators::start()), &[("MAX_UPLOAD_BYTES", &limit)]).await;
    Client::new(Arc::new(host))
}

/// Sends a request with one more header, past the transcript, which would hold the bodies.
async fn ask(user: &User, method: Method, path: &str, header: Option<(HeaderName, &str)>) -> Answer {
    let mut request = user.client.request(method, path, None);
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    user.client.host().send(request).await
}

async fn upload(user: &User, bytes: &[u8]) -> Answer {
    user.client.host().send(upload_request(user, "long.bin", bytes)).await
}

#[track_caller]
fn has_length(answer: &Answer, length: usize) {
    assert_eq!(answer.header("content-length"), Some(length.to_string().as_str()), "{:?}", answer.headers);
    assert_eq!(answer.header("transfer-encoding"), None, "{:?}", answer.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_tell_their_length() {
    let client = start().await;
    let ada = client.register("ada").await;
    for (path, status) in [
        ("/v1/health-check/ping", 200),
        ("/nothing", 404),
        ("/v1/users", 403),
        ("/v1/users/me/sessions", 200),
        ("/v1/users/me/sessions?limit=1", 200),
        ("/v1/notifications", 200),
        ("/.well-known/jwks.json", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
    ] {
        let get = ask(&ada, Method::GET, path, None).await.expect(status);
        assert!(!get.bytes.is_empty(), "{path}");
        has_length(&get, get.bytes.len());
        let head = ask(&ada, Method::HEAD, path, None).await.expect(status);
        assert!(head.bytes.is_empty(), "{path}");
        has_length(&head, get.bytes.len());
    }
    let preflight = ask(&ada, Method::OPTIONS, "/v1/users", None).await.expect(204);
    assert_eq!((preflight.bytes.len(), preflight.header("transfer-encoding")), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_nothing_is_new_has_no_body() {
    let client = start().await;
    let ada = client.register("ada").await;
    let file = upload(&ada, b"hello").await.expect(201).json();
    let file = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let etag = ask(&ada, Method::GET, &file, None).await.expect(200).header("etag").unwrap().to_owned();
    let same = ask(&ada, Method::GET, &file, Some((IF_NONE_MATCH, &etag))).await.expect(304);
    assert_eq!((same.bytes.len(), same.header("etag")), (0, Some(etag.as_str())));
    for unwanted in ["content-length", "transfer-encoding"] {
        assert_eq!(same.header(unwanted), None);
    }
    // The connection is still good for an answer with a body.
    assert_eq!(&ask(&ada, Method::GET, &file, None).await.expect(200).bytes[..], b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_files_stream_in_and_out_and_too_long_ones_are_refused() {
    let client = start().await;
    let ada = client.register("ada").await;
    let bytes = noise(20 * MIB);
    let file: Value = upload(&ada, &bytes).await.expect(201).json();
    assert_eq!((&file["size"], &file["hash"]), (&bytes.len().into(), &hash(&bytes).into()));

    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let whole = ask(&ada, Method::GET, &path, None).await.expect(200);
    has_length(&whole, bytes.len());
    assert_eq!(hash(&whole.bytes), hash(&bytes));
    let (first, last) = (MIB - 1, 18 * MIB);
    let part = ask(&ada, Method::GET, &path, Some((RANGE, &format!("bytes={first}-{last}")))).await;
    let part = part.expect(206);
    has_length(&part, last - first + 1);
    assert_eq!(part.header("content-range"), Some(format!("bytes {first}-{last}/{}", bytes.len()).as_str()));
    assert!(part.bytes == bytes[first..=last], "another part came");
    let head = ask(&ada, Method::HEAD, &path, None).await.expect(200);
    assert!(head.bytes.is_empty());
    has_length(&head, bytes.len());

    upload(&ada, &noise(LIMIT + 1)).await.expect_problem(413, "body_too_large");
    let kept = ada.client.get("/v1/files").await.expect(200).json();
    assert_eq!(kept["returned"], 1, "{kept:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_too_long_is_refused_however_long_it_is() {
    let host = EdgeHost::start().await;
    for length in [9_000, 40_000, 60_000] {
        let target = format!("/v1/health-check/ping?{}", "x".repeat(length));
        let mut stream = TcpStream::connect(("127.0.0.1", host.port())).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 414 ") && answer.contains("uri_too_long"), "{length}: {answer}");
    }
}
