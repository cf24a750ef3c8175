//! URLs that clients follow themselves. Whether they work is for tests of those who answer them.

use http::header;

use super::{Harness, sha256};
use crate::ports::blobs::{Presigned, PresignedGetAnswer, PresignedPutTerms};
use crate::ports::clock::Clock;

/// A presigned PUT tells its method, a URL, the headers that the client must send, and when it expires; nothing of it is
/// shown by `Debug`. That no blob is there yet does not matter.
pub async fn a_put_can_be_presigned(h: &Harness) {
    let key = h.key("files/01A/01B/new.txt");
    let expires_at = h.clock.now().plus_seconds(900);
    for (length, content_type, hash) in [
        (5, "text/plain", Some(sha256(b"hello"))),
        (5, "text/plain", None),
        (6, "text/plain", None),
        (5, "text/html; charset=utf-8", None),
        (0, "text/plain", None),
        (5 << 30, "text/plain", None),
    ] {
        let terms = PresignedPutTerms { length, content_type: content_type.to_owned(), sha256: hash };
        let presigned = h.blobs.presign_put(&key, &terms, expires_at).await.expect("a URL");
        assert_eq!(presigned.method, "PUT");
        assert_eq!(presigned.headers[header::CONTENT_TYPE], content_type);
        assert_eq!(presigned.headers[header::CONTENT_LENGTH], length.to_string());
        assert_usable(h, &presigned, key.as_str());
    }
    h.assert_absent(&key).await;
}

/// A presigned GET tells its method, a URL, and when it expires.
pub async fn a_get_can_be_presigned(h: &Harness) {
    let key = h.key("files/01A/01B/old.txt");
    h.put(&key, b"hello").await;
    let answer = PresignedGetAnswer {
        content_type: "text/plain; charset=utf-8".to_owned(),
        content_disposition: "attachment; filename=\"a & b.txt\"; filename*=UTF-8''%C3%A9.txt".to_owned(),
    };
    let presigned = h.blobs.presign_get(&key, &answer, h.clock.now().plus_seconds(900)).await.expect("a URL");
    assert_eq!(presigned.method, "GET");
    assert_usable(h, &presigned, key.as_str());
}

fn assert_usable(h: &Harness, presigned: &Presigned, key: &str) {
    let uri: http::Uri = presigned.url.parse().expect("a URL");
    assert!(uri.path().ends_with(key), "{uri}");
    assert!(uri.query().is_some_and(|query| !query.is_empty()), "{uri}");
    let seconds = presigned.expires_at.seconds_since(h.clock.now());
    assert!((899..=900).contains(&seconds), "{seconds}");
    assert!(!format!("{presigned:?}").contains(uri.query().unwrap_or_default()));
}
