//! The blobs kit against a folder, and what only a folder on a disk can be asked: what outlasts a restart, what is left
//! behind, who may read it, damage, and memory.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use portico::blobs::dir::DirBlobs;
use portico::clock::SystemClock;
use portico::env::Config;
use portico::host::{self, Running};
use portico_core::App;
use portico_core::auth::keys::ServerKeys;
use portico_core::blob_urls;
use portico_core::config::Vars;
use portico_core::conformance::blobs::Harness;
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{
    BlobErrorKind, BlobKey, Blobs, ByteRange, PresignedGetAnswer, PresignedPutTerms, PutTerms,
};
use portico_core::ports::clock::Clock;
use portico_core::secret::SecretKey;
use tempfile::TempDir;

mod kit {
    use super::*;

    async fn new() -> Harness {
        let dir = TempDir::new().unwrap();
        Harness::new(Arc::new(open(dir.path())), Arc::default()).keeping(dir)
    }

    portico_core::blobs_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = new);
}

fn open(dir: &Path) -> DirBlobs {
    DirBlobs::open(dir.join("files")).unwrap()
}

fn key(text: &str) -> BlobKey {
    BlobKey::parse(text).unwrap()
}

fn terms() -> PutTerms {
    PutTerms::up_to(1 << 30, "text/plain")
}

async fn put(blobs: &DirBlobs, key: &BlobKey, bytes: &[u8]) {
    blobs.put(key, &terms(), Body::from(bytes.to_vec())).await.unwrap();
}

async fn read(blobs: &DirBlobs, key: &BlobKey) -> Option<Bytes> {
    let blob = blobs.get(key, None).await.unwrap()?;
    Some(blob.body.read(usize::MAX, None).await.unwrap())
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn blobs_survive_reopening() {
    let dir = TempDir::new().unwrap();
    let (one, gone) = (key("files/a/1/one.txt"), key("files/a/2/gone.txt"));
    let large = vec![7; 1_000_000];
    {
        let blobs = open(dir.path());
        put(&blobs, &one, &large).await;
        put(&blobs, &gone, b"gone").await;
        blobs.delete(&gone).await.unwrap();
    }
    let blobs = open(dir.path());
    assert_eq!(read(&blobs, &one).await.unwrap(), large);
    let info = blobs.head(&one).await.unwrap().unwrap();
    assert_eq!((info.length, info.content_type.as_str()), (1_000_000, "text/plain"));
    assert_eq!(read(&blobs, &gone).await, None);
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_refused_or_abandoned_put_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let blobs = open(dir.path());
    let piece = || Ok(Bytes::from(vec![1; 400_000]));
    let broken = Body::stream(stream::iter([piece(), piece(), Err(BodyError::new("lost"))]));
    let refused = blobs.put(&key("a"), &terms(), broken).await.unwrap_err();
    assert_eq!(refused.kind, BlobErrorKind::Interrupted);
    let short = PutTerms { max_length: 500_000, ..terms() };
    let long = Body::stream(stream::iter([piece(), piece()]));
    assert_eq!(blobs.put(&key("a"), &short, long).await.unwrap_err().kind, BlobErrorKind::TooLarge);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());

    let (stalled, has_stalled) = tokio::sync::oneshot::channel();
    let silence = stream::once(async move {
        stalled.send(()).unwrap();
        std::future::pending().await
    });
    let endless = Body::stream(stream::iter([piece(), piece()]).chain(silence));
    let (name, terms) = (key("a"), terms());
    let put = blobs.put(&name, &terms, endless);
    // Everything before has been written when more is asked for; whoever sent it gives up then.
    tokio::select! {
        _ = put => panic!("a body without end"),
        stalled = has_stalled => stalled.unwrap(),
    }
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_a_crash_left_behind_is_gone_after_a_restart() {
    let dir = TempDir::new().unwrap();
    put(&open(dir.path()), &key("kept"), b"kept").await;
    let incoming = dir.path().join("files/tmp");
    for name in [".tmpA1b2C3", "half"] {
        fs::write(incoming.join(name), vec![0; 5000]).unwrap();
    }
    let blobs = open(dir.path());
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(read(&blobs, &key("kept")).await.unwrap(), "kept");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    put(&open(dir.path()), &key("secret"), b"secret").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in files(dir.path()) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }
    assert_eq!(mode(&dir.path().join("files")), 0o700);
    assert_eq!(mode(&dir.path().join("files/tmp")), 0o700);
}

#[tokio::test]
async fn a_file_begins_with_the_bytes_and_ends_with_what_they_are() {
    let dir = TempDir::new().unwrap();
    put(&open(dir.path()), &key("files/a/1/hello.txt"), b"hello").await;
    let content = fs::read(&files(dir.path())[0]).unwrap();
    let record = String::from_utf8_lossy(content.strip_prefix(b"hello").unwrap()).into_owned();
    for expected in [
        r#""key":"files/a/1/hello.txt""#,
        r#""content_type":"text/plain""#,
        r#""length":5"#,
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    ] {
        assert!(record.contains(expected), "{record}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_reported_and_can_be_replaced_or_deleted() {
    let dir = TempDir::new().unwrap();
    let (blobs, name) = (open(dir.path()), key("a"));
    put(&blobs, &name, b"hello, world").await;
    let path = files(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let mut longer = b"more".to_vec();
    longer.extend_from_slice(&whole);
    let mut huge = whole.clone();
    let length_at = huge.len() - 12;
    huge[length_at..length_at + 4].fill(0xff);
    put(&blobs, &key("b"), b"hello, world").await;
    let other = files(dir.path()).into_iter().find(|file| *file != path).unwrap();
    for damaged in
        [&b""[..], b"x", &whole[..whole.len() - 1], &whole[1..], &longer, &huge, &fs::read(other).unwrap()]
    {
        fs::write(&path, damaged).unwrap();
        assert_eq!(blobs.get(&name, None).await.unwrap_err().kind, BlobErrorKind::Unavailable);
        assert_eq!(blobs.head(&name).await.unwrap_err().kind, BlobErrorKind::Unavailable);
    }
    put(&blobs, &name, b"anew").await;
    assert_eq!(read(&blobs, &name).await.unwrap(), "anew");
    fs::write(&path, b"").unwrap();
    blobs.delete(&name).await.unwrap();
    assert_eq!(read(&blobs, &name).await, None);
}

#[tokio::test]
async fn a_file_cut_short_while_it_is_read_breaks_the_answer_off() {
    let dir = TempDir::new().unwrap();
    let (blobs, name) = (open(dir.path()), key("a"));
    put(&blobs, &name, &vec![1; 1_000_000]).await;
    let blob = blobs.get(&name, None).await.unwrap().unwrap();
    let path = files(dir.path()).remove(0);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(500_000).unwrap();
    assert!(blob.body.read(usize::MAX, None).await.is_err());
}

#[test]
fn a_folder_that_cannot_be_one_is_reported() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("files"), "").unwrap();
    assert!(DirBlobs::open(dir.path().join("files")).is_err());
}

/// An app on a folder, and what its blobs' URLs are signed with.
async fn start(dir: &Path) -> (Running, SecretKey) {
    let data_dir = dir.to_str().unwrap();
    let read = || Config::read(Vars::new(|name| (name == "DATA_DIR").then(|| data_dir.to_owned()))).unwrap();
    // The keys are made once, and found again.
    let first = read();
    let keys = first.host.keys.obtain().unwrap();
    let own = ServerKeys::derive(first.settings.token_secret.as_ref(), &keys.private);
    let Config { settings, host } = read();
    (host::start(settings, host).await.unwrap(), own.blobs)
}

/// Sends a request; tells the status, the headers and the body.
async fn send(
    app: &Arc<App>,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> (u16, HeaderMap, Bytes) {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = app.handle(request.body(body).unwrap()).await.into_parts();
    (parts.status.as_u16(), parts.headers, body.read(usize::MAX, None).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_a_presigned_upload_takes_what_it_was_made_for_alone() {
    let dir = TempDir::new().unwrap();
    let (running, secret) = start(dir.path()).await;
    let app = &running.app;
    let hash = digest(&SHA256, b"hello").as_ref().try_into().unwrap();
    let url = |length, sha256, seconds| {
        let terms = PresignedPutTerms { length, content_type: "text/plain".into(), sha256 };
        let until = SystemClock.now().plus_seconds(seconds);
        blob_urls::presign_put(&secret, &key("files/a/1/hello.txt"), &terms, until).unwrap().url
    };
    let good = url(5, Some(hash), 900);
    let text = ("content-type", "text/plain");
    let broken = Body::stream(stream::iter([Ok("he".into()), Err(BodyError::new("lost"))]));
    assert_eq!(send(app, "PUT", &good, &[text], broken).await.0, 400);
    for (method, url, headers, body, status) in [
        ("PUT", url(5, Some(hash), -1), &[text][..], "hello", 403),
        ("PUT", good.replace("length=5", "length=6"), &[text], "hello!", 403),
        ("PUT", good.replace("hello.txt", "other.txt"), &[text], "hello", 403),
        ("PUT", "/blobs/files/a/1/hello.txt".to_owned(), &[text], "hello", 403),
        ("GET", good.clone(), &[], "", 403),
        ("POST", good.clone(), &[text], "hello", 405),
        ("PUT", good.clone(), &[], "hello", 422),
        ("PUT", good.clone(), &[("content-type", "text/html")], "hello", 422),
        ("PUT", good.clone(), &[text, ("content-length", "6")], "hello!", 422),
        ("PUT", good.clone(), &[text], "hello!", 422),
        ("PUT", good.clone(), &[text], "hell", 422),
        ("PUT", good.clone(), &[text], "jello", 422),
        ("PUT", good.clone(), &[text, ("content-length", "5")], "hello", 200),
        ("PUT", good.clone(), &[text], "hello", 412),
        ("PUT", url(5, None, 900), &[text], "hallo", 412),
    ] {
        let answer = send(app, method, &url, headers, Body::from(body)).await;
        assert_eq!(answer.0, status, "{method} {url} {headers:?} {body} {answer:?}");
        let stored = files(&dir.path().join("files")).len();
        assert_eq!(stored, usize::from(matches!(status, 200 | 412)), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x3_a_presigned_download_is_an_attachment_whole_or_in_part() {
    let dir = TempDir::new().unwrap();
    let (running, secret) = start(dir.path()).await;
    let (app, name) = (&running.app, key("files/a/1/letters.txt"));
    let letters: Vec<u8> = (b'a'..=b'z').cycle().take(300_000).collect();
    let upload = PresignedPutTerms { length: 300_000, content_type: "text/plain".into(), sha256: None };
    let until = SystemClock.now().plus_seconds(900);
    let url = blob_urls::presign_put(&secret, &name, &upload, until).unwrap().url;
    let sent = Body::from(letters.clone());
    assert_eq!(send(app, "PUT", &url, &[("content-type", "text/plain")], sent).await.0, 200);
    let answer = PresignedGetAnswer {
        content_type: "text/plain".into(),
        content_disposition: "attachment; filename*=UTF-8''%C3%A9.txt".into(),
    };
    let url = blob_urls::presign_get(&secret, &name, &answer, until).url;

    let (status, headers, body) = send(app, "GET", &url, &[], Body::empty()).await;
    assert_eq!((status, body.as_ref()), (200, letters.as_slice()));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "300000"),
        ("content-disposition", "attachment; filename*=UTF-8''%C3%A9.txt"),
        ("accept-ranges", "bytes"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let etag = headers["etag"].to_str().unwrap();
    let range = |value| ("range", value);
    for (method, headers, status, content_range, expected) in [
        ("HEAD", &[][..], 200, None, &b""[..]),
        ("GET", &[range("bytes=0-4")], 206, Some("bytes 0-4/300000"), b"abcde"),
        ("GET", &[range("bytes=-3")], 206, Some("bytes 299997-299999/300000"), &letters[299_997..]),
        ("GET", &[range("bytes=10-")], 206, Some("bytes 10-299999/300000"), &letters[10..]),
        ("GET", &[range("bytes=1-2,5-6")], 200, None, &letters),
        ("GET", &[range("bytes=0-0"), ("if-range", etag)], 206, Some("bytes 0-0/300000"), b"a"),
        ("GET", &[range("bytes=0-0"), ("if-range", "\"other\"")], 200, None, &letters),
        ("GET", &[("if-none-match", etag)], 304, None, b""),
    ] {
        let (found, answer, body) = send(app, method, &url, headers, Body::empty()).await;
        assert_eq!((found, body.as_ref()), (status, expected), "{method} {headers:?}");
        assert_eq!(answer.get("content-range").map(|value| value.to_str().unwrap()), content_range);
        assert_eq!(answer["etag"], etag);
    }
    let (status, headers, _) = send(app, "GET", &url, &[range("bytes=300000-")], Body::empty()).await;
    assert_eq!((status, headers["content-range"].to_str().unwrap()), (416, "bytes */300000"));

    assert_eq!(send(app, "PUT", &url, &[], Body::empty()).await.0, 403);
    let inline = url.replace("attachment", "inline");
    assert_eq!(send(app, "GET", &inline, &[], Body::empty()).await.0, 403);
    let absent = blob_urls::presign_get(&secret, &key("files/a/1/none"), &answer, until).url;
    assert_eq!(send(app, "GET", &absent, &[], Body::empty()).await.0, 404);
    let late = SystemClock.now().plus_seconds(-1);
    let expired = blob_urls::presign_get(&secret, &name, &answer, late).url;
    assert_eq!(send(app, "GET", &expired, &[], Body::empty()).await.0, 403);
}

/// Says that this process is the one that [`a_large_blob_streams_in_constant_memory`] started.
const MEASURED: &str = "PORTICO_TEST_MEASURED";

/// 200 MiB in and out, whole and twice in part, by a process of its own: others would allocate beside it.
#[cfg(target_os = "linux")]
#[test]
fn a_large_blob_streams_in_constant_memory() {
    if std::env::var_os(MEASURED).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(stream_measured());
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_large_blob_streams_in_constant_memory", "--nocapture"])
        .env(MEASURED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
async fn stream_measured() {
    const PIECE: usize = 64 * 1024;
    const PIECES: u64 = 200 * 16;
    let dir = TempDir::new().unwrap();
    let (blobs, name) = (open(dir.path()), key("large"));
    let body = |pieces| {
        Body::stream(
            stream::iter(0..pieces).map(|n| Ok(Bytes::from(vec![u8::try_from(n % 251).unwrap(); PIECE]))),
        )
    };
    // What the runtime and the first buffers take does not count.
    blobs.put(&name, &terms(), body(20)).await.unwrap();
    read(&blobs, &name).await.unwrap();
    let before_kib = peak_kib();

    let length = PIECES * PIECE as u64;
    let info = blobs.put(&name, &PutTerms { length: Some(length), ..terms() }, body(PIECES)).await.unwrap();
    assert_eq!(info.length, length);
    let whole = blobs.get(&name, None).await.unwrap().unwrap();
    assert_eq!(drain(whole.body).await, length);
    let parts = [ByteRange { first: 1, last: length - 1 }, ByteRange { first: length / 2, last: length - 1 }];
    for part in parts {
        let blob = blobs.get(&name, Some(part)).await.unwrap().unwrap();
        assert_eq!(drain(blob.body).await, part.last - part.first + 1);
    }
    let grown_kib = peak_kib() - before_kib;
    assert!(grown_kib < 32 * 1024, "{grown_kib} KiB more");
}

#[cfg(target_os = "linux")]
async fn drain(mut body: Body) -> u64 {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().unwrap().len() as u64;
    }
    length
}

/// The most memory that this process ever had resident.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
