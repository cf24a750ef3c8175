//! Files: brought in every form, fetched, deleted, swept.

use http::{HeaderValue, Method, Request};
use portico_core::ports::blobs::{BlobKey, Blobs, PutTerms};
use portico_core::schema::FILES;
use portico_tests::client::{Client, User};
use serde_json::{Value, json};

use super::admin::text;
use crate::invariants::{Scan, has_blob};
use crate::run::{Run, Step};
use crate::world::BUCKET;

const BYTES: &[u8] = b"hello, world";
const BASE64: &str = "aGVsbG8sIHdvcmxk";

/// After so many seconds an upload that was begun and not completed is swept.
const BEYOND_SWEEP_SECONDS: i64 = 2 * 60 * 60;

/// How long an upload holds its key if the server cannot note that it ended, and a little more.
const LONG_LEASE_SECONDS: u64 = 15 * 60 + 10;

pub(crate) async fn uploading(run: &Run<'_>) {
    upload(run, "/v1/files?private=true").await;
}

pub(crate) async fn uploading_by_the_older_path(run: &Run<'_>) {
    upload(run, "/v1/files/s3").await;
}

async fn upload(run: &Run<'_>, path: &str) {
    let ada = run.register("ada").await;
    let step = form(&ada.client, path).keyed().expect(201).patient(LONG_LEASE_SECONDS);
    let file = run.attempt(step).await.json();
    assert_only_file(run, &ada, &file).await;
}

fn form(client: &Client, path: &str) -> Step {
    let mut request = client.request(Method::POST, path, None);
    let media = HeaderValue::from_static("multipart/form-data; boundary=edge");
    request.headers_mut().insert("content-type", media);
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
                Content-Type: text/plain\r\n\r\n";
    *request.body_mut() = [head.as_bytes(), BYTES, b"\r\n--edge--\r\n"].concat().into();
    let length = request.body().len().into();
    request.headers_mut().insert("content-length", length);
    Step::sent(request)
}

pub(crate) async fn uploading_base64(run: &Run<'_>) {
    upload_base64(run, "/v1/files/base64").await;
}

pub(crate) async fn uploading_base64_by_the_older_path(run: &Run<'_>) {
    upload_base64(run, "/v1/files/s3/base64").await;
}

async fn upload_base64(run: &Run<'_>, path: &str) {
    let ada = run.register("ada").await;
    let body = json!({ "file_name": "a.txt", "base64": BASE64 });
    let file = run.attempt(Step::post(&ada.client, path, &body).keyed().expect(201)).await.json();
    assert_only_file(run, &ada, &file).await;
}

/// The file is there with its bytes, and there is no other.
async fn assert_only_file(run: &Run<'_>, owner: &User, file: &Value) {
    let path = format!("/v1/files/{}", text(file, "id"));
    assert_eq!(&owner.client.get(&path).await.expect(200).bytes[..], BYTES);
    assert_eq!(owner.client.get("/v1/files").await.expect(200).json()["returned"], 1, "kept once");
    let scan = Scan::of(run.world).await;
    let ready = scan.of_table(&FILES).filter(|(_, file)| file["state"] == "ready");
    assert_eq!(ready.count(), 1, "kept once");
}

fn announcement() -> Value {
    json!({ "file_name": "a.txt", "content_type": "text/plain", "size": BYTES.len() })
}

pub(crate) async fn uploading_by_url(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let step = Step::post(&ada.client, "/v1/files/uploads", &announcement()).keyed().expect(201);
    let begun = run.attempt(step).await.json();
    let put = bytes_to(&begun["upload"]);
    run.attempt(Step::sent(put).or_told(412, "already_uploaded")).await;
    complete(run, &ada, &begun["file"]).await;
}

/// The request that brings the bytes to the app's own URL.
fn bytes_to(upload: &Value) -> Request<bytes::Bytes> {
    let url: http::Uri = text(upload, "url").parse().expect("a URL");
    let path = url.path_and_query().expect("a path").as_str();
    let mut request = Request::put(path);
    for (name, value) in upload["headers"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("a value"));
    }
    request.body(bytes::Bytes::from_static(BYTES)).expect("a request")
}

pub(crate) async fn uploading_to_an_object_store(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let step = Step::post(&ada.client, "/v1/files/uploads", &announcement()).keyed().expect(201);
    let begun = run.attempt(step).await.json();
    let object = text(&begun["upload"], "url").strip_prefix(BUCKET).expect("the bucket's URL");
    let key = BlobKey::parse(object).expect("a key");
    let terms = PutTerms::up_to(100, "text/plain");
    run.world.lab.blobs.put(&key, &terms, BYTES.to_vec().into()).await.expect("bytes");
    complete(run, &ada, &begun["file"]).await;
    let path = format!("/v1/files/{}/url", text(&begun["file"], "id"));
    let link = run.attempt(Step::get(&ada.client, &path)).await.json();
    assert_eq!(text(&link, "url"), format!("{BUCKET}{object}"));
}

async fn complete(run: &Run<'_>, owner: &User, file: &Value) {
    let path = format!("/v1/files/uploads/{}/complete", text(file, "id"));
    run.attempt(Step::post_empty(&owner.client, &path)).await;
    assert_only_file(run, owner, file).await;
}

/// Of an upload whose bytes came and that nobody completed.
pub(crate) async fn sweeping(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let begun = ada.client.post("/v1/files/uploads", announcement()).await.expect(201).json();
    ada.client.with_token(None).send(bytes_to(&begun["upload"])).await.expect(200);
    run.world.lab.clock.advance(BEYOND_SWEEP_SECONDS);
    run.attempt_drain().await;
    run.settle().await;
    assert_no_file(run, &begun["file"]).await;
}

pub(crate) async fn deleting(run: &Run<'_>) {
    delete(run, "/v1/files").await;
}

pub(crate) async fn deleting_by_the_older_path(run: &Run<'_>) {
    delete(run, "/v1/files/s3").await;
}

async fn delete(run: &Run<'_>, path: &str) {
    let ada = run.register("ada").await;
    let file = file_of(&ada).await;
    let path = format!("{path}/{}", text(&file, "id"));
    run.attempt(Step::delete(&ada.client, &path).or_told(404, "not_found")).await;
    ada.client.get(&path).await.expect(404);
    run.settle().await;
    assert_no_file(run, &file).await;
}

async fn assert_no_file(run: &Run<'_>, file: &Value) {
    assert_eq!(Scan::of(run.world).await.of_table(&FILES).count(), 0);
    assert!(!has_blob(run.world, text(file, "object")).await);
}

pub(crate) async fn downloading(run: &Run<'_>) {
    let ada = run.register("ada").await;
    let id = text(&file_of(&ada).await, "id").to_owned();
    let bytes = run.attempt(Step::get(&ada.client, &format!("/v1/files/{id}"))).await.bytes;
    assert_eq!(&bytes[..], BYTES);
    let part = Step::get(&ada.client, &format!("/v1/files/s3/{id}")).header("range", "bytes=7-").expect(206);
    assert_eq!(&run.attempt(part).await.bytes[..], &BYTES[7..]);
    for path in [format!("/v1/files/base64/{id}"), format!("/v1/files/s3/base64/{id}")] {
        assert_eq!(run.attempt(Step::get(&ada.client, &path)).await.json()["base64"], BASE64);
    }
    let link = run.attempt(Step::get(&ada.client, &format!("/v1/files/{id}/url"))).await.json();
    let url: http::Uri = text(&link, "url").parse().expect("a URL");
    let path = url.path_and_query().expect("a path").as_str().to_owned();
    let bytes = run.attempt(Step::get(&ada.client.with_token(None), &path)).await.bytes;
    assert_eq!(&bytes[..], BYTES);
}

pub(crate) async fn file_of(user: &User) -> Value {
    let body = json!({ "file_name": "a.txt", "base64": BASE64 });
    user.client.post("/v1/files/base64", body).await.expect(201).json()
}
