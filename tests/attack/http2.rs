//! HTTP/2 by hand, frame by frame (RFC 9113): floods of frames that cost the sender little and a careless server much.
//!
//! Rapid reset (CVE-2023-44487), CONTINUATION (CVE-2024-27316), and those of 2019: SETTINGS, PING, empty frames, PRIORITY,
//! and header blocks that unfold (CVE-2016-6581).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bombs::Target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field that enters no table (RFC 7541, section 6.2.2), its name by the static table or in full.
fn literal(index: u8, name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    let name = if index == 0 { text(name) } else { Vec::new() };
    // Four bits hold the index, and 15 means that it goes on.
    let index = if index < 15 { vec![index] } else { vec![15, index - 15] };
    [index, name, text(value)].concat()
}

/// The header block of a request, by the static table where that knows it.
fn request(method: u8, path: &str) -> Vec<u8> {
    [vec![method, 0x86], literal(4, "", path), literal(1, "", "localhost")].concat()
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// The ids of a client's streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// Sends frames on a new connection, without reading what comes back until all are sent or the server takes no more.
async fn flood(port: u16, frames: impl Iterator<Item = Vec<u8>>) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for next in frames {
        bytes.extend(next);
        if bytes.len() > 64 * 1024 && !is_taken(&mut stream, &mut bytes).await {
            break;
        }
    }
    is_taken(&mut stream, &mut bytes).await;
    let mut answer = vec![0; 64 * 1024];
    let _read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut answer)).await;
    None
}

async fn is_taken(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let taken = tokio::time::timeout(Duration::from_secs(3), stream.write_all(bytes)).await;
    bytes.clear();
    matches!(taken, Ok(Ok(())))
}

/// Four connections that do the same.
async fn floods<I: Iterator<Item = Vec<u8>>>(port: u16, frames: impl Fn() -> I) -> Vec<Option<u16>> {
    futures::future::join_all((0..4).map(|_| flood(port, frames()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_http_2_serves_a_request_made_by_hand() {
    let target = Target::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", target.server.port)).await.unwrap();
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request(GET, "/v1/roles"));
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &head].concat()).await.unwrap();
    let mut answer: Vec<u8> = Vec::new();
    while !answer.windows(16).any(|window| window == br#"["Admin","User"]"#) {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut piece)).await;
        let length = read.expect("an answer in time").unwrap();
        assert!(length > 0, "the connection closes without the answer");
        answer.extend(&piece[..length]);
    }
    // The server would wait for it to say goodbye.
    drop(stream);
    target.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_http_2_floods_cost_little() {
    let target = Target::start().await;
    let port = target.server.port;
    let cancel = 8_u32.to_be_bytes();
    let whole = END_STREAM | END_HEADERS;

    let resets = || {
        streams(20_000).flat_map(|id| {
            [
                frame(HEADERS, whole, id, &request(GET, "/v1/roles")),
                frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()),
            ]
        })
    };
    target.assert_bears("rapid resets", floods(port, resets), &[]).await;

    // Work that is not given up with its stream: it hashes a password, for which there are few places.
    let body = br#"{"username":"ada","password":"not the password"}"#;
    let sign_in = [request(POST, "/v1/sessions/login"), literal(31, "", "application/json")].concat();
    let working = || {
        streams(2000).flat_map(|id| {
            [
                frame(HEADERS, END_HEADERS, id, &sign_in),
                frame(DATA, END_STREAM, id, body),
                frame(RST_STREAM, 0, id, &cancel),
            ]
        })
    };
    target.assert_bears("rapid resets of sign-ins", floods(port, working), &[]).await;

    let fields: Vec<u8> = (0..400).flat_map(|n| literal(0, &format!("x-{n:04}"), &"y".repeat(24))).collect();
    let endless = || {
        let begin = frame(HEADERS, 0, 1, &request(GET, "/v1/roles"));
        std::iter::once(begin).chain((0..5000).map(|_| frame(CONTINUATION, 0, 1, &fields)))
    };
    target.assert_bears("continuations", floods(port, endless), &[]).await;
    let empty = || {
        let begin = frame(HEADERS, 0, 1, &request(GET, "/v1/roles"));
        std::iter::once(begin).chain((0..100_000).map(|_| frame(CONTINUATION, 0, 1, &[])))
    };
    target.assert_bears("empty continuations", floods(port, empty), &[]).await;

    // One field of four kilobytes enters the table (RFC 7541, section 6.2.1), and is then named by one byte, thousands of times.
    let value = "z".repeat(3900);
    let entry = [&[0x40, 1, b'x', 0x7f, 0xbd, 0x1d][..], value.as_bytes()].concat();
    let unfolds = || {
        let (entry, request) = (&entry, request(GET, "/v1/roles"));
        streams(100).map(move |id| {
            let block = [request.clone(), entry.clone(), vec![0xbe; 8000]].concat();
            frame(HEADERS, whole, id, &block)
        })
    };
    target.assert_bears("header blocks that unfold", floods(port, unfolds), &[]).await;

    let many = |kind: u8, stream: u32, payload: &'static [u8], count: usize| {
        move || (0..count).map(move |_| frame(kind, 0, stream, payload))
    };
    for (what, kind, stream, payload) in [
        ("settings", SETTINGS, 0, &[0, 4, 0, 0, 0xff, 0xff][..]),
        ("settings of windows", SETTINGS, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff][..]),
        ("pings", PING, 0, &[0; 8][..]),
        ("priorities", PRIORITY, 1, &[0, 0, 0, 3, 16][..]),
        ("window updates", WINDOW_UPDATE, 0, &[0, 0, 0, 1][..]),
        ("frames of no known type", 0xfe, 0, &[0; 64][..]),
    ] {
        target.assert_bears(what, floods(port, many(kind, stream, payload, 100_000)), &[]).await;
    }

    let trickle = || {
        let head = [request(POST, "/v1/sessions/login"), literal(31, "", "application/json")].concat();
        let begin = frame(HEADERS, END_HEADERS, 1, &head);
        std::iter::once(begin).chain((0..100_000).map(|_| frame(DATA, 0, 1, &[])))
    };
    target.assert_bears("empty data", floods(port, trickle), &[]).await;
    // As many bodies begun as a connection may have open, each as long as its window.
    let bodies = || {
        let head = [request(POST, "/v1/sessions/login"), literal(31, "", "application/json")].concat();
        let begun = streams(100).map(move |id| frame(HEADERS, END_HEADERS, id, &head));
        begun.chain(streams(100).map(|id| frame(DATA, 0, id, &[b' '; 16_000])))
    };
    target.assert_bears("bodies that do not end", floods(port, bodies), &[]).await;
    target.server.stop().await;
}
