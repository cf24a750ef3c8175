//! What is small to send and large to take in: none of it is inflated, held or looked through for long.
//!
//! Memory and life are looked at from outside, of a server in a process of its own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_tests::client::{Client, registration};
use portico_tests::lab::Lab;
use portico_tests::process::{Folder, Server, call, status};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1024 * 1024;

/// The most that all bombs of a kind, thrown at once, may cost.
const MOST_KIB: u64 = 48 * 1024;

/// The most memory that a server ever had resident.
#[cfg(target_os = "linux")]
pub fn resident_peak_kib(server: &Server) -> u64 {
    let pid = server.child.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Elsewhere only life is looked at.
#[cfg(not(target_os = "linux"))]
pub fn resident_peak_kib(_: &Server) -> u64 {
    0
}

/// A server with a user, who has done everything once that takes memory the first time.
pub struct Target {
    pub server: Server,
    token: String,
    _folder: Folder,
}

impl Target {
    pub async fn start() -> Self {
        let folder = Folder::new();
        let server = folder.serve(&[]).await;
        let (code, account) = server.post("/v1/users", &registration("ada")).await.expect("an account");
        assert_eq!(code, 201);
        let token = account["access_token"].as_str().unwrap().to_owned();
        let target = Self { server, token, _folder: folder };
        let part = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhello";
        assert_eq!(target.throw_form(vec![part.into()], 1, "\r\n--edge--\r\n").await, Some(201));
        target
    }

    /// Throws bombs at once, and asserts how each is answered, and that they cost little together.
    pub async fn assert_bears(
        &self,
        what: &str,
        bombs: impl Future<Output = Vec<Option<u16>>>,
        expected: &[u16],
    ) {
        let (before, begun) = (resident_peak_kib(&self.server), Instant::now());
        for answered in bombs.await {
            // Whoever goes on sending may find the connection closed before the answer is read.
            assert!(answered.is_none_or(|status| expected.contains(&status)), "{what}: {answered:?}");
        }
        let grown = resident_peak_kib(&self.server).saturating_sub(before);
        println!("{what}: {grown} KiB more, {:?}", begun.elapsed());
        assert!(grown < MOST_KIB, "{what}: {grown} KiB more");
        self.assert_alive(what).await;
    }

    pub async fn assert_alive(&self, what: &str) {
        let ping = call(self.server.port, "GET", "/v1/health-check/ready", None, None);
        let answer = tokio::time::timeout(Duration::from_secs(5), ping).await;
        assert_eq!(answer.unwrap_or_default().map(|(code, _)| code), Some(200), "{what}");
    }

    /// Sends a form: some pieces, the last of them many times, and an end.
    async fn throw_form(&self, pieces: Vec<String>, times: usize, end: &str) -> Option<u16> {
        let (last, first) = pieces.split_last().expect("a piece");
        let length = first.iter().map(String::len).sum::<usize>() + last.len() * times + end.len();
        let kind = "multipart/form-data; boundary=edge";
        let mut stream = self.begin("POST /v1/files", kind, "", length).await?;
        for piece in first {
            stream.write_all(piece.as_bytes()).await.ok()?;
        }
        self.finish(stream, last, times, end).await
    }

    /// Sends a body in JSON: a head, something many times, and an end.
    async fn throw_json(&self, path: &str, head: &str, piece: &str, times: usize, end: &str) -> Option<u16> {
        let length = head.len() + piece.len() * times + end.len();
        let mut stream = self.begin(&format!("POST {path}"), "application/json", "", length).await?;
        stream.write_all(head.as_bytes()).await.ok()?;
        self.finish(stream, piece, times, end).await
    }

    async fn begin(&self, line: &str, kind: &str, more: &str, length: usize) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port)).await.ok()?;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n{more}\
             Content-Length: {length}\r\nConnection: close\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        Some(stream)
    }

    async fn finish(&self, mut stream: TcpStream, piece: &str, times: usize, end: &str) -> Option<u16> {
        let block = piece.repeat((64 * 1024 / piece.len()).clamp(1, times));
        let mut left = piece.len() * times;
        let (mut reader, mut writer) = stream.split();
        let write = async {
            while left > 0 {
                // Blocks are made of whole pieces, so that any cut of one continues where it should.
                let next = left.min(block.len());
                writer.write_all(&block.as_bytes()[..next]).await?;
                left -= next;
            }
            writer.write_all(end.as_bytes()).await
        };
        let mut answer = Vec::new();
        let read = reader.read_to_end(&mut answer);
        // An early answer ends the sending.
        let both = futures::future::join(write, read);
        let _either = tokio::time::timeout(Duration::from_secs(30), both).await;
        status(&String::from_utf8_lossy(&answer))
    }
}

/// So many of the same at once.
async fn at_once<F: Future<Output = Option<u16>>>(count: usize, throw: impl Fn() -> F) -> Vec<Option<u16>> {
    futures::future::join_all((0..count).map(|_| throw())).await
}

const PART: &str = "--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
const FILE: &str = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhello\r\n";
const END: &str = "\r\n--edge--\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a5_forms_cost_no_more_than_their_file() {
    let target = Target::start().await;
    let filler = "x".repeat(64 * 1024);
    let nested = "--edge\r\nContent-Type: multipart/mixed; boundary=edge2\r\n\r\n--edge2\r\n\r\n".to_owned();
    let forms: [(&str, Vec<String>, usize); 9] = [
        ("an endless preamble", vec![filler.clone()], 480),
        ("an endless head", vec![format!("{}X: ", &PART[..8]), filler.clone()], 480),
        ("heads without end", vec!["--edge\r\n".to_owned(), "X: y\r\n".repeat(1000)], 5400),
        ("an endless field", vec![PART.to_owned(), filler.clone()], 480),
        ("a hundred thousand parts", vec![format!("{PART}x\r\n")], 100_000),
        ("forms in forms", vec![nested], 100_000),
        (
            "an endless head behind the file",
            vec![FILE.to_owned(), "--edge\r\nX: ".to_owned(), filler.clone()],
            480,
        ),
        ("a hundred thousand parts behind the file", vec![FILE.to_owned(), format!("{PART}x\r\n")], 100_000),
        ("a long boundary that almost comes", vec![PART.to_owned(), "\r\n--edg".repeat(1000)], 4000),
    ];
    for (what, pieces, times) in forms {
        let bombs = at_once(6, || target.throw_form(pieces.clone(), times, END));
        target.assert_bears(what, bombs, &[400, 413]).await;
    }
    target.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_json_costs_no_more_than_its_bytes() {
    let target = Target::start().await;
    let times = |piece: &str, bytes: usize| bytes / piece.len();
    // What base64 may take, as anything but base64.
    for (what, head, piece, end) in [
        ("a list of zeros", "{\"x\":[0", ",0", "]}"),
        ("a list of lists", "{\"x\":[[]", ",[]", "]}"),
        ("a list of objects", "{\"x\":[{}", ",{}", "]}"),
        ("depth", "{\"x\":", "[", "]}"),
        ("depth of objects", "{\"x\":", "{\"x\":", "}"),
        ("digits", "{\"x\":1", "0", "}"),
        ("an exponent of digits", "{\"x\":1e", "9", "}"),
        ("blanks", "{\"x\":", " ", "0}"),
        ("the same member", "{\"x\":0", ",\"x\":0", "}"),
    ] {
        let count = times(piece, 9 * MIB);
        let bombs = at_once(4, || target.throw_json("/v1/files/base64", head, piece, count, end));
        target.assert_bears(what, bombs, &[400, 413, 422]).await;
    }
    // Keys that a careless hash would put into one place, as far as 10 MiB reach: all different, none known.
    let mut members = String::from("{");
    for n in 0..600_000 {
        write!(members, "\"{:08x}\":0,", n << 12).unwrap();
    }
    members.push_str("\"x\":0}");
    let bombs = at_once(4, || target.throw_json("/v1/files/base64", "", &members, 1, ""));
    target.assert_bears("many keys", bombs, &[400, 413]).await;
    // Elsewhere 64 KiB are all.
    let bombs = at_once(16, || target.throw_json("/v1/sessions/login", "{\"x\":[0", ",0", 30_000, "]}"));
    target.assert_bears("a list for everybody", bombs, &[422, 429]).await;
    target.server.stop().await;
}

/// The beginnings of bodies in each content coding: what they would become does not matter, for nobody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a5_no_body_is_inflated() {
    let target = Target::start().await;
    let (port, mut answered) = (target.server.port, Vec::new());
    for coding in
        ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "identity, gzip", "gzip, gzip", "*", ""]
    {
        for (line, kind) in [
            ("POST /v1/sessions/login", "application/json"),
            ("POST /v1/files", "multipart/form-data; boundary=edge"),
            ("POST /v1/files/base64", "application/json"),
            ("PATCH /v1/users/me", "application/json"),
        ] {
            let more = format!("Content-Encoding: {coding}\r\n");
            let stream = target.begin(line, kind, &more, 20).await.unwrap();
            let bomb = "\u{1f}\u{8b}\u{8}00000000000000000";
            answered.push((coding, line, target.finish(stream, &bomb[..20], 1, "").await));
        }
    }
    for (coding, line, answer) in answered {
        assert_eq!(answer, Some(415), "{line} as {coding:?} on port {port}");
    }
    let more = "Content-Encoding: identity\r\n";
    let stream = target.begin("POST /v1/sessions/login", "application/json", more, 2).await.unwrap();
    assert_eq!(target.finish(stream, "{}", 1, "").await, Some(422));
    target.server.stop().await;
}

/// Every number that JSON can write where a number, a text or anything is wanted.
#[tokio::test]
async fn a5_no_number_is_too_large_to_refuse() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (root, bob) = (client.admin("root").await, client.register("bob").await);
    let digits = "9".repeat(60_000);
    let numbers = [
        "1e1000000000",
        "-1e1000000000",
        "1e-1000000000",
        "1e308",
        "1.7976931348623159e308",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        "-0",
        "0.1e-400",
        "1E400",
        &digits,
        &format!("0.{digits}"),
        &format!("1e{digits}"),
    ];
    for number in numbers {
        for (path, member) in [
            ("/v1/users", "username"),
            ("/v1/files/uploads", "size"),
            ("/v1/app-versions", "version"),
            ("/v1/notifications", "message"),
            ("/v1/sessions/login", "unknown"),
        ] {
            let mut request = root.client.request(http::Method::POST, path, Some(&json!({})));
            *request.body_mut() = format!("{{\"{member}\":{number}}}").into();
            let answer = root.client.send(request).await;
            assert!(matches!(answer.status, 400 | 413 | 422), "{path} {number:.20}: {}", answer.text());
        }
        let bob = bob.path();
        for path in ["/v1/devices/version", &bob] {
            let mut request = root.client.request(http::Method::PUT, path, Some(&json!({})));
            *request.body_mut() = format!("{{\"device_version\":{number},\"enable\":{number}}}").into();
            let answer = root.client.send(request).await;
            assert!(matches!(answer.status, 200 | 400 | 413 | 422), "{path} {number:.20}: {}", answer.text());
        }
    }
}

/// Thousands of ranges are no range; conditions, cursors and ids of thousands of parts are looked through once.
#[tokio::test]
async fn a5_lists_in_headers_and_queries_are_read_once() {
    let client: Client = Arc::new(Lab::new()).client();
    let ada = client.register("ada").await;
    let body = json!({ "file_name": "a.txt", "base64": "aGVsbG8=" });
    let file: Value = ada.client.post("/v1/files/base64", body).await.expect(201).json();
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let get = async |name: &'static str, value: &str| {
        let mut request = ada.client.request(http::Method::GET, &path, None);
        request.headers_mut().insert(name, value.parse().unwrap());
        ada.client.send(request).await
    };
    let overlapping = format!("bytes=0-{}", ",0-".repeat(9000));
    for ranges in
        [overlapping, format!("bytes={}0-", "0-4,".repeat(7000)), format!("bytes=0-0{}", ",-1".repeat(9000))]
    {
        let whole = get("range", &ranges).await.expect(200);
        assert_eq!((&whole.bytes[..], whole.header("content-range")), (&b"hello"[..], None));
    }
    let digits = format!("bytes={}-", "9".repeat(20_000));
    assert!(matches!(get("range", &digits).await.status, 200 | 416));
    get("if-none-match", &"\"x\", ".repeat(5000)).await.expect(200);
    get("accept", &"a/b;q=0.1,".repeat(2500)).await.expect(200);
    for query in [
        format!("cursor={}", "A".repeat(8000)),
        format!("cursor={}", ".".repeat(8000)),
        format!("limit={}", "9".repeat(8000)),
        format!("limit=1{}", "&limit=1".repeat(900)),
        "&".repeat(8000),
        "%".repeat(8000),
        "a=b&".repeat(2000),
    ] {
        let answer = ada.client.get(&format!("/v1/files?{query}")).await;
        assert!(matches!(answer.status, 200 | 400), "{query:.30}: {}", answer.text());
    }
}
