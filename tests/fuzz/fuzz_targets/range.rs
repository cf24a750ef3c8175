//! `Range`, `If-Range`, `If-None-Match`, and who a request comes from: what is given out lies within what there is.
//!
//! The first line is a length, the others are values of `Range`, `If-Range`, `If-None-Match`, `X-Forwarded-For` in this
//! order.
#![no_main]

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use portico_core::http::client_addr::{resolve, source_key};
use portico_core::http::range::{self, Wanted};
use portico_core::ports::blobs::ByteRange;

const ETAG: &str = "\"abc\"";

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let length = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok()).unwrap_or(10);
    let mut headers = HeaderMap::new();
    for name in [RANGE, IF_RANGE, IF_NONE_MATCH] {
        if let Some(Ok(value)) = lines.next().filter(|line| !line.is_empty()).map(HeaderValue::from_bytes) {
            headers.append(name, value);
        }
    }
    check(&headers, length);
    for forwarded in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        check_address(forwarded);
    }
});

fn check(headers: &HeaderMap, length: u64) {
    for etag in [None, Some(ETAG)] {
        let wanted = range::wanted(headers, length, etag);
        let is_conditional = headers.contains_key(IF_RANGE);
        match wanted {
            Wanted::Whole => {}
            Wanted::Part(part) => {
                assert!(part.first <= part.last && part.last < length, "{part:?} of {length}");
                assert!(!is_conditional || etag.is_some(), "a part of what may be another");
                check_part(part, length);
            }
            Wanted::Unsatisfiable => {
                let unit = text(headers, RANGE).trim().to_ascii_lowercase();
                assert!(unit.starts_with("bytes"), "416 for {unit:?}");
            }
        }
        if !headers.contains_key(RANGE) {
            assert_eq!(wanted, Wanted::Whole);
        }
    }
    let told = text(headers, IF_NONE_MATCH);
    assert!(!range::is_known(headers, ETAG) || told.contains('*') || told.contains(ETAG), "{told:?}");
}

/// A part asked for in each of its forms is the same part.
fn check_part(part: ByteRange, length: u64) {
    let ByteRange { first, last } = part;
    let asked = |value: String| {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(&value).expect("digits"))]);
        range::wanted(&headers, length, None)
    };
    assert_eq!(asked(format!("bytes={first}-{last}")), Wanted::Part(part));
    let end = ByteRange { first, last: length - 1 };
    assert_eq!(asked(format!("bytes={first}-")), Wanted::Part(end));
    assert_eq!(asked(format!("bytes=-{}", length - first)), Wanted::Part(end));
    assert_eq!(range::content_range(part, length), format!("bytes {first}-{last}/{length}"));
}

fn check_address(forwarded: &str) {
    let peer: IpAddr = [10, 0, 0, 1].into();
    let trusted: [IpNet; 2] =
        ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network"));
    assert_eq!(resolve(peer, [forwarded], &[]), peer, "nobody is trusted");
    let client = resolve(peer, [forwarded], &trusted);
    let hops = forwarded.split(',').filter_map(|hop| {
        let hop = hop.trim();
        let socket = || hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
        hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok().or_else(socket)
    });
    assert!(
        client == peer || hops.map(|hop| hop.to_canonical()).any(|hop| hop == client),
        "{client} is made up"
    );
    assert!(!source_key(client).is_empty());
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
