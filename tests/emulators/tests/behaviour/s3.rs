//! What the product and its users' browsers ask of S3.

use crate::process::{Answer, Emulators};
use crate::signer::{Signed, Signer, signer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::time::Duration;

pub(crate) async fn call(
    emulators: &Emulators,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    signer("s3").s3(emulators, method, path, headers, body).send(emulators).await
}

/// A store with the bucket `files`.
pub(crate) async fn with_bucket(arguments: &[&str]) -> Emulators {
    let emulators = Emulators::start(arguments);
    assert_eq!(call(&emulators, "PUT", "/files", &[], b"").await.status, 200);
    emulators
}

fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text());
}

fn presigned(
    emulators: &Emulators,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Signed {
    let presigner = Signer { expires: Some(Duration::from_secs(60)), ..signer("s3") };
    presigner.s3(emulators, method, path, headers, body)
}

#[tokio::test]
async fn an_object_is_put_shown_in_parts_and_deleted() {
    let emulators = with_bucket(&[]).await;
    assert_eq!(call(&emulators, "HEAD", "/files", &[], b"").await.status, 200);
    let put =
        call(&emulators, "PUT", "/files/a/b.txt", &[("content-type", "text/plain")], b"hello world").await;
    assert_eq!(put.status, 200, "{}", put.text());
    let head = call(&emulators, "HEAD", "/files/a/b.txt", &[], b"").await;
    assert_eq!((head.header("content-type"), head.header("content-length")), ("text/plain", "11"));
    let part = call(&emulators, "GET", "/files/a/b.txt", &[("range", "bytes=6-")], b"").await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "world"));
    assert_eq!(part.header("content-range"), "bytes 6-10/11");
    let past = call(&emulators, "GET", "/files/a/b.txt", &[("range", "bytes=99-")], b"").await;
    assert_error(&past, 416, "InvalidRange");
    assert_eq!(call(&emulators, "DELETE", "/files/a/b.txt", &[], b"").await.status, 204);
    assert_error(&call(&emulators, "GET", "/files/a/b.txt", &[], b"").await, 404, "NoSuchKey");
    assert_eq!(call(&emulators, "DELETE", "/files/a/b.txt", &[], b"").await.status, 204);
}

#[tokio::test]
async fn a_missing_bucket_is_said_to_be_missing_and_not_made() {
    let emulators = with_bucket(&[]).await;
    assert_error(&call(&emulators, "PUT", "/nothing/a", &[], b"x").await, 404, "NoSuchBucket");
    assert_error(&call(&emulators, "GET", "/nothing/a", &[], b"").await, 404, "NoSuchBucket");
    assert_eq!(call(&emulators, "HEAD", "/nothing", &[], b"").await.status, 404);
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let emulators = with_bucket(&[]).await;
    call(&emulators, "PUT", "/files/a/b", &[], b"x").await;
    assert_error(&call(&emulators, "GET", "/files/a", &[], b"").await, 404, "NoSuchKey");
    assert_eq!(call(&emulators, "HEAD", "/files/a", &[], b"").await.status, 404);
}

#[tokio::test]
async fn of_many_that_must_not_overwrite_one_wins() {
    let emulators = with_bucket(&[]).await;
    let puts = (0..16).map(|number| {
        let body = vec![number; 10_000];
        let emulators = &emulators;
        async move { call(emulators, "PUT", "/files/one", &[("if-none-match", "*")], &body).await }
    });
    let answers = futures::future::join_all(puts).await;
    let won: Vec<usize> = (0..16).filter(|number| answers[*number].status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        assert_error(lost, 412, "PreconditionFailed");
    }
    let stored = call(&emulators, "GET", "/files/one", &[], b"").await;
    assert_eq!(usize::from(stored.body[0]), won[0]);
}

#[tokio::test]
async fn an_upload_that_does_not_match_its_checksum_is_not_stored() {
    let emulators = with_bucket(&[]).await;
    let good = STANDARD.encode(Sha256::digest(b"hello"));
    let headers = [("x-amz-checksum-sha256", good.as_str())];
    assert_error(&call(&emulators, "PUT", "/files/sum", &headers, b"other").await, 400, "BadDigest");
    assert_error(&call(&emulators, "GET", "/files/sum", &[], b"").await, 404, "NoSuchKey");
    let stored = call(&emulators, "PUT", "/files/sum", &headers, b"hello").await;
    assert_eq!((stored.status.as_u16(), stored.header("x-amz-checksum-sha256")), (200, good.as_str()));
    let md5 =
        call(&emulators, "PUT", "/files/md5", &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], b"hello").await;
    assert_error(&md5, 400, "BadDigest");
}

#[tokio::test]
async fn a_body_other_than_the_signed_one_is_refused() {
    let emulators = with_bucket(&[]).await;
    let mut tampered = signer("s3").s3(&emulators, "PUT", "/files/a", &[], b"hello");
    tampered.body = b"jello".to_vec();
    assert_error(&tampered.send(&emulators).await, 400, "XAmzContentSHA256Mismatch");
    assert_error(&call(&emulators, "GET", "/files/a", &[], b"").await, 404, "NoSuchKey");
    let without =
        signer("s3").s3(&emulators, "PUT", "/files/a", &[], b"hello").without("x-amz-content-sha256");
    assert_eq!(without.send(&emulators).await.status, 400);
}

#[tokio::test]
async fn a_presigned_upload_must_be_what_was_signed() {
    let emulators = with_bucket(&[]).await;
    let headers = [("content-type", "image/png"), ("if-none-match", "*"), ("content-length", "3")];
    let put = |headers: &[(&str, &str)], body: &[u8]| presigned(&emulators, "PUT", "/files/p", headers, body);
    assert_error(
        &put(&headers, b"png").with("content-type", "text/html").send(&emulators).await,
        403,
        "SignatureDoesNotMatch",
    );
    assert_error(
        &put(&headers, b"png").without("if-none-match").send(&emulators).await,
        403,
        "SignatureDoesNotMatch",
    );
    let longer = Signed { body: b"longer".to_vec(), ..put(&headers, b"png").with("content-length", "6") };
    assert_error(&longer.send(&emulators).await, 403, "SignatureDoesNotMatch");
    let elsewhere = put(&headers, b"png");
    let elsewhere = Signed { url: elsewhere.url.replace("/files/p", "/files/q"), ..elsewhere };
    assert_error(&elsewhere.send(&emulators).await, 403, "SignatureDoesNotMatch");

    assert_eq!(put(&headers, b"png").send(&emulators).await.status, 200);
    assert_error(&put(&headers, b"gif").send(&emulators).await, 412, "PreconditionFailed");
    let got = presigned(&emulators, "GET", "/files/p", &[], b"").send(&emulators).await;
    assert_eq!((got.text().as_str(), got.header("content-type")), ("png", "image/png"));
}

#[tokio::test]
async fn a_presigned_download_names_and_types_the_file_as_it_says() {
    let emulators = with_bucket(&[]).await;
    call(&emulators, "PUT", "/files/f", &[("content-type", "text/html")], b"<b>").await;
    let path = "/files/f?response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22\
                &response-content-type=application%2Foctet-stream";
    let got = presigned(&emulators, "GET", path, &[], b"").send(&emulators).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.header("content-disposition"), "attachment; filename=\"a b.txt\"");
    assert_eq!(got.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn an_object_comes_in_parts() {
    let emulators = with_bucket(&[]).await;
    let begun =
        call(&emulators, "POST", "/files/big?uploads=", &[("content-type", "video/mp4")], b"").await.text();
    let id = begun.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    let parts = [vec![b'a'; 5 * 1024 * 1024], b"end".to_vec()];
    let mut list = String::new();
    for (number, part) in (1..).zip(&parts) {
        let path = format!("/files/big?partNumber={number}&uploadId={id}");
        let stored = call(&emulators, "PUT", &path, &[], part).await;
        assert_eq!(stored.status, 200, "{}", stored.text());
        let tag = stored.header("etag").to_owned();
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    }
    let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let completed =
        call(&emulators, "POST", &format!("/files/big?uploadId={id}"), &[], body.as_bytes()).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
    let head = call(&emulators, "HEAD", "/files/big", &[], b"").await;
    assert_eq!((head.header("content-length"), head.header("content-type")), ("5242883", "video/mp4"));
    let counts = emulators.admin_json("/_calls").await["counts"]["s3"].clone();
    assert_eq!((&counts["CreateMultipartUpload"], &counts["UploadPart"]), (&1.into(), &2.into()));
}

#[tokio::test]
async fn browsers_may_upload_and_read() {
    let emulators = with_bucket(&[]).await;
    let asked = [
        ("origin", "https://app.example.org"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,if-none-match"),
    ];
    let asked: Vec<(String, String)> = asked.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let url = format!("{}/files/x", emulators.endpoint);
    let preflight = emulators.send("OPTIONS", &url, &asked, b"").await.unwrap();
    assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (200, "*"));
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(preflight.header("access-control-allow-headers"), "content-type,if-none-match");
    let put = presigned(&emulators, "PUT", "/files/x", &[], b"x").with("origin", "https://app.example.org");
    let put = put.send(&emulators).await;
    assert_eq!((put.status.as_u16(), put.header("access-control-allow-origin")), (200, "*"));
    assert!(put.header("access-control-expose-headers").contains("ETag"));
}
