//! Names and ids that lead elsewhere: on no kind of storage do bytes come to stand, or are read, where they should not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Uri};
use portico_core::http::routes::ROUTES;
use portico_tests::client::{Client, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::lab::Lab;
use portico_tests::native::NativeHost;
use regex::Regex;
use serde_json::{Value, json};

use crate::world::{follow, form_of};

const BUCKET: &str = "portico-files";

/// What names may not do: leave, name a device or a stream, hide, run, or be too long.
fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../../../../../../etc/passwd",
        "..\\..\\..\\windows\\win.ini",
        "/etc/passwd",
        "/",
        "//",
        ".",
        "..",
        "...",
        "../",
        "a/../../b",
        "C:\\windows\\win.ini",
        "C:x",
        "\\\\server\\share\\x",
        "file:///etc/passwd",
        "a\0.txt",
        "../key.pem\0.txt",
        "CON",
        "nul.txt",
        "aux.",
        "COM1.tar.gz",
        "lpt9",
        "x::$DATA",
        "~root",
        "$HOME",
        "`id`",
        "-rf",
        "a;b|c&d>e<f*g?h",
        ".htaccess",
        ".bashrc",
        "name.",
        "name ",
        " name",
        "%2e%2e%2f%2e%2e%2fkey.pem",
        "..%c0%af..%c0%afkey.pem",
        "%00",
        "\u{2024}\u{2024}\u{2215}key.pem",
        "\u{ff0e}\u{ff0e}\u{ff0f}key.pem",
        "..\u{ff3c}key.pem",
        "a\u{202e}gpj.exe",
        "\u{feff}",
        "\u{0}\u{1}\u{7f}",
        "\u{fdfa}\u{1f980}\u{301}",
        "portico.sqlite",
        "portico.sqlite-wal",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("n".repeat(10_000));
    names.push("../".repeat(3000));
    names.push("\u{e4}".repeat(10_000));
    names.push(format!("{}.{}", "n".repeat(5000), "x".repeat(5000)));
    names
}

/// The keys that the server makes.
fn is_own(key: &str) -> bool {
    let form = Regex::new("^files/[0-9A-Z]{26}/[0-9A-Z]{26}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}$").unwrap();
    let device = Regex::new("(?i)^(con|prn|aux|nul|com[0-9]?|lpt[0-9]?)([.]|$)").unwrap();
    let name = key.rsplit('/').next().unwrap_or_default();
    form.is_match(key) && !name.ends_with('.') && !device.is_match(name)
}

/// Uploads a name by every way that takes one; gives the keys.
async fn upload(user: &User, name: &str) -> Vec<String> {
    let host = user.client.host();
    let mut files: Vec<Value> = Vec::new();
    let body = json!({ "file_name": name, "base64": "aGVsbG8=" });
    for path in ["/v1/files/base64", "/v1/files/s3/base64"] {
        let answer = host.send(user.client.request(Method::POST, path, Some(&body))).await;
        assert!(matches!(answer.status, 201 | 422), "{path} {name:?}: {}", answer.text());
        files.push(answer.json());
    }
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let mut request = user.client.request(Method::POST, "/v1/files", None);
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=edge"));
    *request.body_mut() = form_of(&quoted, b"hello");
    let answer = host.send(request).await;
    assert!(matches!(answer.status, 201 | 400), "a form, {name:?}: {}", answer.text());
    files.push(answer.json());
    let body = json!({ "file_name": name, "content_type": "text/plain", "size": 5 });
    let answer = host.send(user.client.request(Method::POST, "/v1/files/uploads", Some(&body))).await;
    assert!(matches!(answer.status, 201 | 422), "an upload, {name:?}: {}", answer.text());
    if answer.status == 201 {
        let begun = answer.json();
        let put = follow(&user.client, &begun["upload"], b"hello").await;
        assert_eq!(put.status, 200, "{name:?}: {}", put.text());
        files.push(begun["file"].clone());
    }
    files.iter().filter_map(|file| Some(file["object"].as_str()?.to_owned())).collect()
}

/// Uploads every hostile name; gives the keys that came of it, all of the server's own making and all different.
async fn upload_all(client: &Client) -> BTreeSet<String> {
    let ada = client.register("ada").await;
    let mut keys = BTreeSet::new();
    for name in hostile_names() {
        for key in upload(&ada, &name).await {
            assert!(is_own(&key), "{name:?} is kept as {key}");
            assert!(keys.insert(key), "{name:?} stands where another does");
        }
    }
    assert!(keys.len() > 3 * hostile_names().len(), "{}", keys.len());
    keys
}

/// Ids and keys that lead elsewhere, in the place of every one that a path takes.
async fn ask_elsewhere(client: &Client) {
    let root = client.admin("root").await;
    let elsewhere = [
        "..%2F..%2Fkey.pem",
        "%2e%2e%2f%2e%2e%2fkey.pem",
        "..%5c..%5ckey.pem",
        "%252e%252e%252fkey.pem",
        "..%c0%af..%c0%afkey.pem",
        "%2e%2e",
        "%2Fetc%2Fpasswd",
        "key.pem",
        "key.pem%00",
        "%00",
        "%ff%fe",
        "C:%5Cwindows%5Cwin.ini",
        "file:%2F%2F%2Fetc%2Fpasswd",
        "%EF%BC%8E%EF%BC%8E%EF%BC%8Fkey.pem",
        "01KHXAZZ7M2V4S6T8R0P1Q3W5Y%2F..%2F..",
        "%0d%0aX-Injected:1",
    ];
    let long = "n".repeat(10_000);
    for route in ROUTES.iter().filter(|route| route.path.contains('{')) {
        let names = elsewhere.iter().copied().chain([long.as_str()]);
        for name in names {
            let path = route.path.replace("{id}", name).replace("{action}", name).replace("{*key}", name);
            let Ok(uri) = path.parse::<Uri>() else { panic!("{path}") };
            let answer =
                client.host().send(root.client.request(route.method.clone(), &uri.to_string(), None)).await;
            let refused = matches!(answer.status, 400 | 403 | 404 | 414 | 415 | 422);
            assert!(refused, "{} {path}: {} {}", route.method, answer.status, answer.text());
            assert!(!answer.text().contains("PRIVATE KEY") && !answer.text().contains("root:x:"), "{path}");
        }
    }
    for path in ["/blobs/../key.pem", "/blobs/files/../../key.pem", "/blobs//etc/passwd", "/blobs/./x"] {
        let query = "?expires=99999999999&length=5&type=text/plain&signature=AAAA";
        for method in [Method::GET, Method::PUT] {
            let answer =
                client.host().send(root.client.request(method, &format!("{path}{query}"), None)).await;
            assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.text());
        }
    }
}

/// Every file below a folder, relative to it.
fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn x1_x7_hostile_names_lead_nowhere_in_process() {
    let lab = Arc::new(Lab::new());
    let keys = upload_all(&lab.client()).await;
    ask_elsewhere(&lab.client()).await;
    let kept: BTreeSet<String> = lab.blobs.keys().iter().map(ToString::to_string).collect();
    assert_eq!(kept, keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_x7_hostile_names_lead_nowhere_in_a_folder() {
    let host = Arc::new(NativeHost::start().await);
    let client = Client::new(host.clone());
    let folder = host.data_dir().parent().unwrap().to_owned();
    let before = files_below(&folder);
    let keys = upload_all(&client).await;
    ask_elsewhere(&client).await;
    let new: Vec<PathBuf> = files_below(&folder).difference(&before).cloned().collect();
    // A blob's file is named by the hash of its key.
    let blob = Regex::new("^data/[a-z]+/[0-9a-f]{2}/[0-9a-f]{64}$").unwrap();
    let other = Regex::new("^data/(outbox/[0-9A-Z]{26}[.](eml|json)|portico[.a-z-]*)$").unwrap();
    let (blobs, others): (Vec<_>, Vec<_>) =
        new.iter().map(|path| path.to_str().unwrap()).partition(|path| blob.is_match(path));
    assert_eq!(blobs.len(), keys.len());
    assert!(others.iter().all(|path| other.is_match(path)), "{others:?}");
}

/// Asserts that the bucket holds an object under each key, and no other.
async fn assert_holds(emulators: &Emulators, keys: &BTreeSet<String>) {
    let config = aws_sdk_s3::config::Builder::from(&emulators.config()).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let mut pages = client.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page.unwrap().contents().len();
    }
    for key in keys {
        let head = client.head_object().bucket(BUCKET).key(key).send().await;
        assert_eq!(head.unwrap().content_length(), Some(5), "{key}");
    }
    // Emulators list objects under names of their own.
    assert_eq!(count, keys.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_x7_hostile_names_lead_nowhere_in_a_bucket() {
    let emulators = Arc::new(Emulators::start());
    let host = NativeHost::start_on_emulators(&emulators, &[("S3_BUCKET_NAME", BUCKET)]).await;
    let client = Client::new(Arc::new(host));
    let keys = upload_all(&client).await;
    ask_elsewhere(&client).await;
    assert_holds(&emulators, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_x7_hostile_names_lead_nowhere_on_the_edge() {
    let emulators = Arc::new(Emulators::start());
    let client = Client::new(Arc::new(EdgeHost::start_on(&emulators, &[("S3_BUCKET_NAME", BUCKET)]).await));
    let keys = upload_all(&client).await;
    assert_holds(&emulators, &keys).await;
}

/// What somebody else reads, whatever its owner named it, is saved and not run.
#[tokio::test]
async fn x3_every_download_is_an_attachment_that_runs_nothing() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, bob) = (client.register("ada").await, client.register("bob").await);
    let pages: [(&str, &'static [u8]); 4] = [
        ("page.html", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("image.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
        ("script.js", b"alert(1)"),
        ("style.css", b"body{}"),
    ];
    for (name, bytes) in pages {
        let mut request = ada.client.request(Method::POST, "/v1/files", None);
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=edge"));
        *request.body_mut() = form_of(name, bytes);
        let file = ada.client.send(request).await.expect(201).json();
        let id = file["id"].as_str().unwrap();
        let url = bob.client.get(&format!("/v1/files/{id}/url")).await.expect(200).json();
        let url = url["url"].as_str().unwrap();
        let own = url[url.find("/blobs/").unwrap()..].to_owned();
        for path in [format!("/v1/files/{id}"), format!("/v1/files/s3/{id}"), own] {
            let answer = bob.client.get(&path).await.expect(200);
            assert_eq!(answer.bytes, Bytes::from_static(bytes));
            let header = |name| answer.header(name).unwrap_or_else(|| panic!("{path}: no {name}"));
            assert!(header("content-disposition").starts_with("attachment; filename=\""), "{path}");
            assert!(header("content-disposition").contains("; filename*=UTF-8''"), "{path}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            let policy = header("content-security-policy");
            assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{path}: {policy}");
        }
    }
}
