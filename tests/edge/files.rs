//! Files that one host took, given out and deleted by the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::Request;
use http::header::{HeaderValue, RANGE};
use portico_tests::client::{Answer, User};
use portico_tests::emulators;
use serde_json::{Value, json};

use crate::support::{Deployment, MIB, hash, moved, noise, upload_request};

fn path(file: &Value) -> String {
    format!("/v1/files/{}", file["id"].as_str().unwrap())
}

async fn range(user: &User, path: &str, range: &'static str) -> Answer {
    let mut request = user.client.request(Method::GET, path, None);
    request.headers_mut().insert(RANGE, HeaderValue::from_static(range));
    user.client.send(request).await
}

/// Does what a presigned URL permits.
async fn follow(method: Method, presigned: &Value, body: &[u8]) -> Answer {
    let mut request = Request::builder().method(method).uri(presigned["url"].as_str().unwrap());
    for (name, value) in presigned["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    emulators::send(request.body(Bytes::copy_from_slice(body)).unwrap()).await.expect(200)
}

/// Has a file given out by another host, in all ways, and deleted there.
async fn comes_back(user: &User, there: &User, file: &Value, bytes: &[u8]) {
    let path = path(file);
    assert_eq!((&file["size"], &file["hash"]), (&json!(bytes.len()), &json!(hash(bytes))));
    let whole = there.client.get(&path).await.expect(200);
    assert_eq!(whole.header("etag"), Some(format!("\"{}\"", hash(bytes)).as_str()));
    assert!(whole.bytes == bytes, "{} bytes came back", whole.bytes.len());
    let part = range(there, &path, "bytes=3-9").await.expect(206);
    assert_eq!(&part.bytes[..], &bytes[3..=9]);
    let end = range(there, &path, "bytes=-5").await.expect(206);
    assert_eq!(&end.bytes[..], &bytes[bytes.len() - 5..]);
    let link = there.client.get(&format!("{path}/url")).await.expect(200).json();
    assert!(follow(Method::GET, &link, b"").await.bytes == bytes);
    there.client.delete(&path).await.expect(200);
    user.client.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_and_those_of_a_form_are_the_same_on_either_host() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let there = moved(&user, there);
        let small = b"hello, hosts";
        let body = json!({ "file_name": "a.txt", "base64": STANDARD.encode(small), "private": true });
        let file = user.client.post("/v1/files/s3/base64", body).await.expect(201).json();
        let path = format!("/v1/files/s3/base64/{}", file["id"].as_str().unwrap());
        let shown = there.client.get(&path).await.expect(200).json();
        assert_eq!(shown["base64"], STANDARD.encode(small));
        comes_back(&user, &there, &file, small).await;

        // More than one part of an upload to the bucket.
        let large = noise(9 * MIB);
        let file = user.client.send(upload_request(&user, "b.bin", &large)).await.expect(201).json();
        comes_back(&user, &there, &file, &large).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_begun_on_one_host_is_completed_on_the_other() {
    let deployment = Deployment::start().await;
    for (username, here, there) in deployment.both_ways() {
        let user = here.register(username).await;
        let there = moved(&user, there);
        let bytes = noise(100_000);
        let begin = json!({
            "file_name": "c.bin", "content_type": "application/octet-stream", "size": bytes.len(), "sha256": hash(&bytes),
        });
        let begun = user.client.post("/v1/files/uploads", begin).await.expect(201).json();
        follow(Method::PUT, &begun["upload"], &bytes).await;
        let complete = format!("/v1/files/uploads/{}/complete", begun["file"]["id"].as_str().unwrap());
        let file = there.client.post_empty(&complete).await.expect(200).json();
        comes_back(&user, &there, &file, &bytes).await;
    }
}
