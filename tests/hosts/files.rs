//! Files: uploading in every form, downloading whole and in part, and who may do what.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderName, Method, Request};
use portico_tests::client::{Answer, Client, User};
use portico_tests::lab::Lab;
use portico_tests::{contract, emulators, on_every_host};
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";
const HOST: &str = "files.example.com";

/// A request to the service by a name that is the same on every host.
fn named(mut request: Request<Bytes>) -> Request<Bytes> {
    request.headers_mut().insert("host", HeaderValue::from_static(HOST));
    request
}

fn form(name: &str, media: &str, bytes: &[u8]) -> Bytes {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nignored\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media}\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat().into()
}

fn upload_request(client: &Client, path: &str, body: Bytes) -> Request<Bytes> {
    let mut request = named(client.request(Method::POST, path, None));
    let form = HeaderValue::from_static("multipart/form-data; boundary=edge");
    request.headers_mut().insert("content-type", form);
    *request.body_mut() = body;
    request
}

async fn upload(user: &User, path: &str, name: &str, media: &str, bytes: &[u8]) -> Answer {
    user.client.send(upload_request(&user.client, path, form(name, media, bytes))).await
}

async fn uploaded(user: &User, path: &str, name: &str, bytes: &[u8]) -> Value {
    upload(user, path, name, "application/octet-stream", bytes).await.expect(201).json()
}

fn id(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}

async fn download(user: &User, id: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = user.client.request(Method::GET, &format!("/v1/files/{id}"), None);
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    user.client.send(request).await
}

/// Sends what holds, or answers with, a presigned URL, which differs from host to host and time to time.
async fn unrecorded(client: &Client, request: Request<Bytes>) -> Answer {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let answer = client.host().send(named(request)).await;
    contract::check(&method, &path, &answer);
    answer
}

/// Does what a presigned URL permits, without an access token.
async fn follow(client: &Client, method: Method, url: &str, headers: &Value, body: &[u8]) -> Answer {
    let own = url.strip_prefix(&format!("http://{HOST}"));
    let mut request = Request::builder().method(method).uri(own.unwrap_or(url));
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    let request = request.body(Bytes::copy_from_slice(body)).unwrap();
    match own {
        Some(_) => unrecorded(client, request).await,
        // An object store answers, in its own words.
        None => emulators::send(request).await,
    }
}

async fn begin(user: &User, body: Value) -> Answer {
    unrecorded(&user.client, user.client.request(Method::POST, "/v1/files/uploads", Some(&body))).await
}

async fn complete(user: &User, id: &str) -> Answer {
    let path = format!("/v1/files/uploads/{id}/complete");
    user.client.send(named(user.client.request(Method::POST, &path, None))).await
}

on_every_host! {
    async fn a_file_comes_back_as_it_went(client: Client) {
        let ada = client.register("ada").await;
        for (path, private) in [("/v1/files/s3?private=True", true), ("/v1/files?thumbnail=True", false)] {
            let file = upload(&ada, path, "Übung 1.png", "image/png", PNG).await.expect(201).json();
            assert_eq!(file["name"], "Übung 1.png");
            assert_eq!(file["type"], "image/png");
            assert_eq!(file["size"], PNG.len());
            assert_eq!((&file["is_private"], &file["is_thumbnail"]), (&json!(private), &json!(u8::from(!private))));
            assert_eq!(file["user_who_uploaded_id"], ada.id);
            assert_eq!(file["url"], format!("http://{HOST}/v1/files/s3/{}", id(&file)));
            assert_eq!(file["object"], format!("files/{}/{}/_bung_1.png", ada.id, id(&file)));

            let back = download(&ada, id(&file), &[]).await.expect(200);
            assert_eq!(&back.bytes[..], PNG);
            assert_eq!(back.header("content-type"), Some("image/png"));
            assert_eq!(back.header("content-length"), Some(PNG.len().to_string().as_str()));
            let disposition = "attachment; filename=\"_bung 1.png\"; filename*=UTF-8''%C3%9Cbung%201.png";
            assert_eq!(back.header("content-disposition"), Some(disposition));
            assert_eq!(back.header("etag"), Some(format!("\"{}\"", file["hash"].as_str().unwrap()).as_str()));
            assert_eq!(back.header("x-content-type-options"), Some("nosniff"));
            assert!(back.header("content-security-policy").unwrap().starts_with("sandbox"));
            let old = ada.client.get(&format!("/v1/files/s3/{}", id(&file))).await.expect(200);
            assert_eq!(old.bytes, back.bytes);
            let head = ada.client.call(Method::HEAD, &format!("/v1/files/{}", id(&file)), None).await.expect(200);
            assert_eq!((head.bytes.len(), head.header("content-length")), (0, back.header("content-length")));
        }
        let export = ada.client.get("/v1/users/me/export").await.expect(200).json();
        assert_eq!(export["files"].as_array().unwrap().len(), 2);
    }
}

on_every_host! {
    async fn fault_8_equal_names_stand_side_by_side_and_strangers_delete_nothing(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let first = uploaded(&ada, "/v1/files/s3", "a.txt", b"first").await;
        let second = uploaded(&ada, "/v1/files/s3", "a.txt", b"second").await;
        let third = uploaded(&bob, "/v1/files/s3", "a.txt", b"third").await;
        bob.client.delete(&format!("/v1/files/s3/{}", id(&first))).await.expect_problem(404, "not_found");
        for (file, bytes) in [(&first, &b"first"[..]), (&second, b"second"), (&third, b"third")] {
            assert_eq!(&download(&bob, id(file), &[]).await.expect(200).bytes[..], bytes);
        }
        ada.client.delete(&format!("/v1/files/s3/{}", id(&first))).await.expect(200);
        download(&ada, id(&first), &[]).await.expect_problem(404, "not_found");
        ada.client.delete(&format!("/v1/files/{}", id(&first))).await.expect_problem(404, "not_found");
        download(&ada, id(&second), &[]).await.expect(200);
    }
}

on_every_host! {
    async fn x5_x6_a_private_file_is_its_owners_and_admins(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let root = client.admin("root").await;
        let file = uploaded(&ada, "/v1/files?private=true", "diary.txt", b"secret").await;
        for path in ["/v1/files/", "/v1/files/s3/", "/v1/files/base64/", "/v1/files/s3/base64/"] {
            bob.client.get(&format!("{path}{}", id(&file))).await.expect_problem(404, "not_found");
            client.get(&format!("{path}{}", id(&file))).await.expect_problem(401, "unauthenticated");
            let request = root.client.request(Method::GET, &format!("{path}{}", id(&file)), None);
            root.client.send(named(request)).await.expect(200);
        }
        bob.client.get(&format!("/v1/files/{}/url", id(&file))).await.expect_problem(404, "not_found");
        complete(&bob, id(&file)).await.expect_problem(404, "not_found");
        bob.client.delete(&format!("/v1/files/{}", id(&file))).await.expect_problem(404, "not_found");
        download(&ada, id(&file), &[]).await.expect(200);
        root.client.delete(&format!("/v1/files/{}", id(&file))).await.expect(200);
        download(&ada, id(&file), &[]).await.expect_problem(404, "not_found");
    }
}

on_every_host! {
    async fn x7_hostile_names_are_harmless(client: Client) {
        let ada = client.register("ada").await;
        let long = "n".repeat(10_000);
        for (name, shown) in [
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            ("/", "file"),
            ("NUL", "NUL"),
            ("a\u{202e}b.txt", "ab.txt"),
            ("x\"; filename=\"y.exe", "x\"; filename=\"y.exe"),
            ("%2e%2e%2f", "%2e%2e%2f"),
            (&long, &long[..255]),
        ] {
            let body = json!({ "file_name": name, "base64": "aGVsbG8=" });
            let answer = ada.client.send(named(ada.client.request(Method::POST, "/v1/files/base64", Some(&body)))).await;
            let file = answer.expect(201).json();
            assert_eq!(file["name"], *shown);
            let back = download(&ada, id(&file), &[]).await.expect(200);
            assert_eq!(&back.bytes[..], b"hello");
            assert_eq!(back.header("content-disposition").unwrap().matches('"').count(), 2);
        }
        let file = uploaded(&ada, "/v1/files", "../\u{e4}\"q.txt", b"x").await;
        assert_eq!(&download(&ada, id(&file), &[]).await.expect(200).bytes[..], b"x");
    }
}

on_every_host! {
    async fn parts_and_conditions_are_answered_as_rfc_9110_has_it(client: Client) {
        let ada = client.register("ada").await;
        let file = uploaded(&ada, "/v1/files", "digits.txt", b"0123456789").await;
        let etag = format!("\"{}\"", file["hash"].as_str().unwrap());
        for (range, status, content_range, bytes) in [
            ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
            ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
            ("bytes=8-", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=8-99", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=-99", 206, Some("bytes 0-9/10"), "0123456789"),
            ("bytes=0-1,3-4", 200, None, "0123456789"),
            ("bytes=4-2", 200, None, "0123456789"),
            ("lines=1-2", 200, None, "0123456789"),
        ] {
            let answer = download(&ada, id(&file), &[("range", range)]).await.expect(status);
            assert_eq!((answer.header("content-range"), answer.text().as_str()), (content_range, bytes), "{range}");
            assert_eq!(answer.header("content-length"), Some(bytes.len().to_string().as_str()));
        }
        for range in ["bytes=10-", "bytes=-0"] {
            let refused = download(&ada, id(&file), &[("range", range)]).await;
            let refused = refused.expect_problem(416, "range_not_satisfiable");
            assert_eq!(refused.header("content-range"), Some("bytes */10"));
        }
        let part = [("range", "bytes=0-1"), ("if-range", etag.as_str())];
        download(&ada, id(&file), &part).await.expect(206);
        download(&ada, id(&file), &[("range", "bytes=0-1"), ("if-range", "\"other\"")]).await.expect(200);
        let known = download(&ada, id(&file), &[("if-none-match", &etag), ("range", "bytes=0-1")]).await.expect(304);
        assert_eq!((known.bytes.len(), known.header("etag")), (0, Some(etag.as_str())));
        download(&ada, id(&file), &[("if-none-match", "\"other\"")]).await.expect(200);
    }
}

on_every_host! {
    async fn base64_goes_both_ways_and_is_strict(client: Client) {
        let ada = client.register("ada").await;
        for path in ["/v1/files/s3/base64", "/v1/files/base64"] {
            let body = json!({ "file_name": "a.bin", "base64": "AAEC/+8=", "private": true });
            let file = ada.client.send(named(ada.client.request(Method::POST, path, Some(&body)))).await.expect(201).json();
            assert_eq!((&file["size"], &file["is_private"]), (&json!(5), &json!(true)));
            let path = format!("{path}/{}", id(&file));
            let back = ada.client.send(named(ada.client.request(Method::GET, &path, None))).await.expect(200).json();
            assert_eq!((&back["base64"], &back["file"]), (&json!("AAEC/+8="), &file));
        }
        for wrong in ["AAEC/-8=", "AAEC/+8", "AAEC/+9=", "AAEC\n/+8=", " ", "data:;base64,AAEC"] {
            let body = json!({ "file_name": "a.bin", "base64": wrong });
            ada.client.post("/v1/files/s3/base64", body).await.expect_problem(400, "invalid_base64");
        }
        ada.client.post("/v1/files/base64", json!({})).await
            .expect_invalid(&[("/file_name", "required"), ("/base64", "required")]);
        let empty = json!({ "file_name": "empty", "base64": "" });
        let file = ada.client.send(named(ada.client.request(Method::POST, "/v1/files/base64", Some(&empty)))).await;
        let file = file.expect(201).json();
        assert_eq!(download(&ada, id(&file), &[]).await.expect(200).bytes.len(), 0);
    }
}

on_every_host! {
    async fn what_is_no_upload_is_refused(client: Client) {
        let ada = client.register("ada").await;
        upload(&ada, "/v1/files", "a.png", "image/png", b"<script>").await.expect_problem(415, "type_mismatch");
        upload(&ada, "/v1/files", "a.txt", "text/plain", PNG).await.expect_problem(415, "type_mismatch");
        upload(&ada, "/v1/files?private=maybe", "a", "text/plain", b"a").await.expect_problem(400, "invalid_parameter");
        ada.client.post("/v1/files/s3", json!({})).await.expect_problem(415, "unsupported_media_type");
        let send = async |body: &'static [u8]| {
            ada.client.send(upload_request(&ada.client, "/v1/files", Bytes::from_static(body))).await
        };
        send(b"--edge\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--edge--\r\n").await
            .expect_problem(400, "missing_file");
        send(b"nonsense").await.expect_problem(400, "malformed_multipart");
        send(b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf").await
            .expect_problem(400, "body_broke_off");
        assert_eq!(ada.client.get("/v1/files").await.expect(200).json()["returned"], 0);
    }
}

on_every_host! {
    async fn one_sees_ones_own_files_page_by_page(client: Client) {
        let (ada, bob) = (client.register("ada").await, client.register("bob").await);
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(id(&uploaded(&ada, "/v1/files", &format!("{number}.txt"), b"x").await).to_owned());
        }
        uploaded(&bob, "/v1/files", "bob.txt", b"x").await;
        begin(&ada, json!({ "file_name": "later", "content_type": "text/plain", "size": 1 })).await.expect(201);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = unrecorded(&ada.client, ada.client.request(Method::GET, &format!("/v1/files?limit=2{cursor}"), None));
            let page = page.await.expect(200).json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|file| id(file).to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            let foreign = format!("/v1/files?cursor={next}");
            unrecorded(&bob.client, bob.client.request(Method::GET, &foreign, None)).await
                .expect_problem(400, "invalid_cursor");
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, ids);
    }
}

on_every_host! {
    async fn x4_a_presigned_upload_and_download(client: Client) {
        let ada = client.register("ada").await;
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for sha256 in [json!(null), json!(hash)] {
            let body = json!({ "file_name": "hello.txt", "content_type": "text/plain", "size": 5, "sha256": sha256, "private": true });
            let begun = begin(&ada, body).await.expect(201).json();
            let (file, upload) = (&begun["file"], &begun["upload"]);
            download(&ada, id(file), &[]).await.expect_problem(404, "not_found");
            complete(&ada, id(file)).await.expect_problem(409, "not_uploaded");
            let url = upload["url"].as_str().unwrap();
            follow(&client, Method::PUT, url, &upload["headers"], b"hello").await.expect(200);
            follow(&client, Method::PUT, url, &upload["headers"], b"hello").await.expect(412);
            download(&ada, id(file), &[]).await.expect_problem(404, "not_found");
            let done = complete(&ada, id(file)).await.expect(200).json();
            assert_eq!((&done["hash"], &done["size"], &done["is_private"]), (&json!(hash), &json!(5), &json!(true)));
            assert_eq!(complete(&ada, id(file)).await.expect(200).json(), done);
            // The URL has not expired; what it brought stays all the same.
            follow(&client, Method::PUT, url, &upload["headers"], b"hello").await.expect(412);
            assert_eq!(&download(&ada, id(file), &[]).await.expect(200).bytes[..], b"hello");

            let path = format!("/v1/files/{}/url?ttl=60", id(file));
            let link = unrecorded(&client, ada.client.request(Method::GET, &path, None)).await.expect(200).json();
            let back = follow(&client, Method::GET, link["url"].as_str().unwrap(), &json!({}), b"").await.expect(200);
            assert_eq!((&back.bytes[..], back.header("content-type")), (&b"hello"[..], Some("text/plain")));
            assert!(back.header("content-disposition").unwrap().starts_with("attachment; filename=\"hello.txt\""));
        }
        for ttl in ["0", "901", "x", "-1"] {
            ada.client.get(&format!("/v1/files/{}/url?ttl={ttl}", ada.id)).await
                .expect_problem(400, "invalid_parameter");
        }
        let wrong = json!({ "file_name": " ", "content_type": "text", "size": 5_368_709_121_u64, "sha256": "abc" });
        ada.client.post("/v1/files/uploads", wrong).await.expect_invalid(&[
            ("/file_name", "too_short"),
            ("/content_type", "invalid_format"),
            ("/size", "out_of_range"),
            ("/sha256", "invalid_format"),
        ]);
    }
}

/// A lab with these quotas, and somebody in it.
async fn with_quota(bytes: &str, files: &str) -> (Arc<Lab>, User) {
    let lab = Arc::new(Lab::with_variables(&[("USER_QUOTA_BYTES", bytes), ("USER_QUOTA_FILES", files)]));
    let ada = lab.client().register("ada").await;
    (lab, ada)
}

#[tokio::test]
async fn x2_quotas_hold_and_deletion_gives_back() {
    let (lab, ada) = with_quota("10", "2").await;
    let first = uploaded(&ada, "/v1/files", "a", b"123456").await;
    upload(&ada, "/v1/files", "b", "text/plain", b"12345").await.expect_problem(413, "quota_exceeded");
    let base64 = json!({ "file_name": "b", "base64": "MTIzNDU=" });
    ada.client.post("/v1/files/base64", base64).await.expect_problem(413, "quota_exceeded");
    let announced = json!({ "file_name": "b", "content_type": "text/plain", "size": 5 });
    ada.client.post("/v1/files/uploads", announced).await.expect_problem(413, "quota_exceeded");
    uploaded(&ada, "/v1/files", "b", b"1234").await;
    upload(&ada, "/v1/files", "c", "text/plain", b"").await.expect_problem(413, "quota_exceeded");
    ada.client.delete(&format!("/v1/files/{}", id(&first))).await.expect(200);
    assert_eq!(lab.blobs.keys().len(), 1);
    uploaded(&ada, "/v1/files", "c", b"123456").await;
}

#[tokio::test]
async fn x2_parallel_uploads_do_not_pass_the_quota() {
    let (lab, ada) = with_quota("100", "3").await;
    let uploads = (0..10).map(|_| upload(&ada, "/v1/files", "a", "text/plain", b"0123456789"));
    let answers = futures::future::join_all(uploads).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert_eq!(lab.blobs.keys().len(), 3);
}

#[tokio::test]
async fn a_file_longer_than_allowed_leaves_nothing() {
    let lab = Arc::new(Lab::with_variables(&[("MAX_UPLOAD_BYTES", "10")]));
    let ada = lab.client().register("ada").await;
    upload(&ada, "/v1/files", "a", "text/plain", b"0123456789").await.expect(201);
    upload(&ada, "/v1/files", "a", "text/plain", b"0123456789a").await.expect_problem(413, "body_too_large");
    let long = vec![b'x'; 1 << 20];
    upload(&ada, "/v1/files", "a", "text/plain", &long).await.expect_problem(413, "body_too_large");
    assert_eq!(lab.blobs.keys().len(), 1);
    assert_eq!(ada.client.get("/v1/files").await.expect(200).json()["returned"], 1);
}

#[tokio::test]
async fn other_bytes_than_announced_are_not_completed() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let begun = begin(&ada, json!({ "file_name": "a.png", "content_type": "image/png", "size": 5 })).await;
    let begun = begun.expect(201).json();
    let (url, headers) = (begun["upload"]["url"].as_str().unwrap(), &begun["upload"]["headers"]);
    follow(&ada.client, Method::PUT, url, headers, b"hello!").await.expect_problem(422, "upload_mismatch");
    follow(&ada.client, Method::PUT, url, headers, b"hello").await.expect(200);
    complete(&ada, id(&begun["file"])).await.expect_problem(415, "type_mismatch");
    assert_eq!(lab.blobs.keys().len(), 0);
    complete(&ada, id(&begun["file"])).await.expect_problem(409, "not_uploaded");

    // An object store may let in what this server would not: bytes of another length or hash.
    for sha256 in [json!(null), json!("0".repeat(64))] {
        let size = if sha256.is_null() { 4 } else { 5 };
        let body = json!({ "file_name": "a", "content_type": "text/plain", "size": size, "sha256": sha256 });
        let begun = begin(&ada, body).await.expect(201).json();
        put_behind(&lab, begun["file"]["object"].as_str().unwrap(), "hello").await;
        complete(&ada, id(&begun["file"])).await.expect_problem(422, "upload_mismatch");
        assert_eq!(lab.blobs.keys().len(), 0);
    }
}

/// Stores bytes as an object store would that was written to by URL.
async fn put_behind(lab: &Lab, object: &str, bytes: &'static str) {
    use portico_core::ports::blobs::{BlobKey, PutTerms};
    let terms = PutTerms::up_to(100, "text/plain");
    lab.ports.blobs.put(&BlobKey::parse(object).unwrap(), &terms, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn what_is_never_completed_is_swept() {
    let (lab, ada) = with_quota("10", "2").await;
    let whole = json!({ "file_name": "a", "content_type": "text/plain", "size": 10 });
    let begun = begin(&ada, whole.clone()).await.expect(201).json();
    put_behind(&lab, begun["file"]["object"].as_str().unwrap(), "0123456789").await;
    begin(&ada, whole.clone()).await.expect_problem(413, "quota_exceeded");
    lab.clock.advance_ms(74 * 60 * 1000);
    lab.app.drain_outbox().await;
    assert_eq!(lab.blobs.keys().len(), 1);
    lab.clock.advance_ms(2 * 60 * 1000);
    lab.app.drain_outbox().await;
    assert_eq!(lab.blobs.keys().len(), 0);
    complete(&ada, id(&begun["file"])).await.expect_problem(404, "not_found");
    begin(&ada, whole).await.expect(201);
}

#[tokio::test]
async fn bytes_that_come_after_a_deletion_are_swept_too() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let body = json!({ "file_name": "a", "content_type": "text/plain", "size": 5 });
    let begun = begin(&ada, body).await.expect(201).json();
    let (url, headers) = (begun["upload"]["url"].as_str().unwrap(), &begun["upload"]["headers"]);
    ada.client.delete(&format!("/v1/files/{}", id(&begun["file"]))).await.expect(200);
    follow(&ada.client, Method::PUT, url, headers, b"hello").await.expect(200);
    assert_eq!(lab.blobs.keys().len(), 1);
    lab.clock.advance_ms(76 * 60 * 1000);
    lab.app.drain_outbox().await;
    assert_eq!(lab.blobs.keys().len(), 0);
}

#[tokio::test]
async fn bytes_that_were_replaced_are_not_given_out() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let file = uploaded(&ada, "/v1/files", "a", b"hello").await;
    put_behind(&lab, file["object"].as_str().unwrap(), "hallo").await;
    download(&ada, id(&file), &[]).await.expect_problem(404, "not_found");
}
