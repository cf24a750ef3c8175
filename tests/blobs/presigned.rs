//! Presigned URLs, followed as a client without credentials does.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH, RANGE,
};
use http::{HeaderMap, Request};
use portico_core::http::body::Body;
use portico_core::memory::clock::ManualClock;
use portico_core::ports::blobs::{Blobs, Presigned, PresignedGetAnswer, PresignedPutTerms, Presigner};
use portico_core::time::Timestamp;
use portico_tests::client::Answer;
use sha2::{Digest, Sha256};

use crate::support::{Adapter, BUCKET, Bucket, key, terms};
use portico_tests::emulators::send;

const CHECKSUM: &str = "x-amz-checksum-sha256";

fn in_seconds(seconds: u64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::default().plus_seconds(i64::try_from(now.as_secs() + seconds).unwrap())
}

fn put_terms(bytes: &[u8], told_hash: bool) -> PresignedPutTerms {
    PresignedPutTerms {
        length: bytes.len() as u64,
        content_type: "text/plain; charset=utf-8".to_owned(),
        sha256: told_hash.then(|| Sha256::digest(bytes).into()),
    }
}

async fn follow(presigned: &Presigned, headers: HeaderMap, body: &[u8]) -> Answer {
    let mut request = Request::builder().method(presigned.method).uri(&presigned.url);
    *request.headers_mut().unwrap() = headers;
    send(request.body(Bytes::copy_from_slice(body)).unwrap()).await
}

#[tokio::test]
async fn a_body_is_put_just_so_and_once() {
    for bucket in Bucket::each().await {
        for (name, bytes, told_hash) in [("a", &b"hello"[..], true), ("b", b"hello", false), ("c", b"", true)]
        {
            let (name, expires_at) = (key(name), in_seconds(60));
            let url =
                bucket.blobs.presign_put(&name, &put_terms(bytes, told_hash), expires_at).await.unwrap();
            assert_eq!((url.method, url.expires_at), ("PUT", expires_at));
            assert!(url.url.starts_with(bucket.emulators.url()), "{}", url.url);
            let mut names: Vec<_> = url.headers.keys().map(http::HeaderName::as_str).collect();
            names.sort_unstable();
            let mut expected = vec!["content-length", "content-type", "if-none-match"];
            expected.extend(told_hash.then_some(CHECKSUM));
            assert_eq!(names, expected);
            for name in expected {
                assert!(signed_headers(&url).contains(&name.to_owned()), "{name} is not signed: {}", url.url);
            }
            follow(&url, url.headers.clone(), bytes).await.expect(200);
            let info = bucket.blobs.head(&name).await.unwrap().unwrap();
            assert_eq!(
                (info.length, info.content_type.as_str()),
                (bytes.len() as u64, "text/plain; charset=utf-8")
            );
            assert_eq!(info.sha256, told_hash.then(|| Sha256::digest(bytes).into()));
            assert_eq!(bucket.read(&name).await.unwrap(), bytes);

            assert_eq!(follow(&url, url.headers.clone(), bytes).await.status, 412);
        }
    }
}

#[tokio::test]
async fn the_adapters_sign_the_same_and_tell_the_same() {
    let bucket = Bucket::new(Adapter::Sdk).await;
    let (name, expires_at, settings) =
        (key("files/01A/01B/a.txt"), in_seconds(60), bucket.emulators.settings());
    let now = || Arc::new(ManualClock::at(in_seconds(0)));
    let [sdk, fetch] =
        [Adapter::Sdk, Adapter::Fetch].map(|adapter| adapter.blobs_with(&settings, BUCKET, now()));
    for told_hash in [false, true] {
        let terms = put_terms(b"hello", told_hash);
        let of_sdk = sdk.presign_put(&name, &terms, expires_at).await.unwrap();
        let of_fetch = fetch.presign_put(&name, &terms, expires_at).await.unwrap();
        assert_eq!(of_sdk.headers, of_fetch.headers);
        assert_eq!(signed_headers(&of_sdk), signed_headers(&of_fetch));
        assert_eq!((of_sdk.method, of_sdk.expires_at), (of_fetch.method, of_fetch.expires_at));
    }
    let of_sdk = sdk.presign_get(&name, &answer(), expires_at).await.unwrap();
    let of_fetch = fetch.presign_get(&name, &answer(), expires_at).await.unwrap();
    assert_eq!((&of_sdk.headers, signed_headers(&of_sdk)), (&of_fetch.headers, signed_headers(&of_fetch)));
}

fn signed_headers(presigned: &Presigned) -> Vec<String> {
    let uri: http::Uri = presigned.url.parse().unwrap();
    let query = uri.query().unwrap_or_default().to_owned();
    let names =
        query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-SignedHeaders=")).unwrap_or_default();
    names.split("%3B").map(str::to_owned).collect()
}

#[tokio::test]
async fn another_length_type_hash_or_url_is_refused() {
    for bucket in Bucket::each().await {
        let name = key("files/01A/01B/a.txt");
        let url = bucket.blobs.presign_put(&name, &put_terms(b"hello", true), in_seconds(60)).await.unwrap();
        let with = |change: &dyn Fn(&mut HeaderMap)| {
            let mut headers = url.headers.clone();
            change(&mut headers);
            headers
        };
        let other_hash = HeaderValue::from_str(&base64_of(&Sha256::digest(b"other"))).unwrap();
        for (headers, body) in [
            (url.headers.clone(), &b"other"[..]),
            (with(&|all| drop(all.insert(CONTENT_LENGTH, 6.into()))), b"hello!"),
            (with(&|all| drop(all.insert(CONTENT_LENGTH, 4.into()))), b"hell"),
            (with(&|all| drop(all.insert(CONTENT_TYPE, HeaderValue::from_static("text/html")))), b"hello"),
            (with(&|all| drop(all.remove(CONTENT_TYPE))), b"hello"),
            (with(&|all| drop(all.remove(IF_NONE_MATCH))), b"hello"),
            (with(&|all| drop(all.remove(CHECKSUM))), b"hello"),
            (with(&|all| drop(all.insert(CHECKSUM, other_hash.clone()))), b"other"),
        ] {
            let answer = follow(&url, headers.clone(), body).await;
            assert!((400..500).contains(&answer.status), "{headers:?}: {}", answer.text());
            assert_eq!(bucket.blobs.head(&name).await.unwrap(), None, "{headers:?}");
        }
        for (from, to) in
            [("a.txt", "b.txt"), ("Expires=60", "Expires=61"), ("X-Amz-Signature=", "X-Amz-Signature=0")]
        {
            assert!(url.url.contains(from), "{from}: {}", url.url);
            let altered = Presigned { url: url.url.replace(from, to), ..url.clone() };
            let answer = follow(&altered, url.headers.clone(), b"hello").await;
            assert!(matches!(answer.status, 400 | 403), "{from}: {}", answer.text());
        }
        let as_get = Presigned { method: "GET", ..url.clone() };
        assert_eq!(follow(&as_get, HeaderMap::new(), b"").await.status, 403);
        assert_eq!(bucket.blobs.head(&name).await.unwrap(), None);
        follow(&url, url.headers.clone(), b"hello").await.expect(200);
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    for bucket in Bucket::each().await {
        let name = key("a");
        bucket.blobs.put(&name, &terms(), Body::from("hello")).await.unwrap();
        let ago = Arc::new(ManualClock::at(in_seconds(0).plus_seconds(-600)));
        let blobs = bucket.adapter.blobs_with(&bucket.emulators.settings(), BUCKET, ago);
        let (before, after) = (in_seconds(0).plus_seconds(-60), in_seconds(60));

        let put = put_terms(b"hello", true);
        let url = blobs.presign_put(&key("b"), &put, before).await.unwrap();
        assert_eq!(follow(&url, url.headers.clone(), b"hello").await.status, 403);
        assert_eq!(bucket.blobs.head(&key("b")).await.unwrap(), None);
        let url = blobs.presign_put(&key("b"), &put, after).await.unwrap();
        follow(&url, url.headers.clone(), b"hello").await.expect(200);

        let url = blobs.presign_get(&name, &answer(), before).await.unwrap();
        assert_eq!(follow(&url, HeaderMap::new(), b"").await.status, 403);
        let url = blobs.presign_get(&name, &answer(), after).await.unwrap();
        follow(&url, HeaderMap::new(), b"").await.expect(200);

        assert!(bucket.blobs.presign_get(&name, &answer(), before).await.is_err());
        let far = bucket.blobs.presign_get(&name, &answer(), in_seconds(3600)).await.unwrap();
        assert!(far.expires_at <= in_seconds(900), "a quarter of an hour at most");
    }
}

fn answer() -> PresignedGetAnswer {
    PresignedGetAnswer {
        content_type: "image/png".to_owned(),
        content_disposition: "attachment; filename=\"a b.png\"; filename*=UTF-8''%C3%A9%20%26.png".to_owned(),
    }
}

#[tokio::test]
async fn a_blob_is_got_with_the_answer_that_was_signed_whole_and_in_parts() {
    for bucket in Bucket::each().await {
        let name = key("files/01A/01B/a.png");
        bucket.blobs.put(&name, &terms(), Body::from("hello")).await.unwrap();
        let url = bucket.blobs.presign_get(&name, &answer(), in_seconds(60)).await.unwrap();
        assert_eq!((url.method, url.headers.len()), ("GET", 0));

        let whole = follow(&url, HeaderMap::new(), b"").await.expect(200);
        assert_eq!(whole.bytes, "hello");
        assert_eq!(whole.header(CONTENT_TYPE.as_str()), Some("image/png"));
        assert_eq!(whole.header(CONTENT_DISPOSITION.as_str()), Some(answer().content_disposition.as_str()));

        let range = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=1-3"))]);
        let part = follow(&url, range, b"").await.expect(206);
        assert_eq!((part.text().as_str(), part.header(CONTENT_RANGE.as_str())), ("ell", Some("bytes 1-3/5")));
        assert_eq!(part.header(CONTENT_TYPE.as_str()), Some("image/png"));

        for (from, to) in [("a.png", "b.png"), ("image", "text"), ("attachment", "inline")] {
            assert!(url.url.contains(from), "{from}: {}", url.url);
            let altered = Presigned { url: url.url.replace(from, to), ..url.clone() };
            assert_eq!(follow(&altered, HeaderMap::new(), b"").await.status, 403, "{from}");
        }
        assert!(!format!("{url:?}").contains("Signature"), "a URL is a secret");
    }
}
