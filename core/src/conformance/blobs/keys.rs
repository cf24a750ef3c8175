//! Keys: which there are, that they stay apart, and deletion.

use super::{Harness, pattern};
use crate::ports::blobs::BlobKey;

/// Every character that a key can hold, the longest key and the longest part; names that file systems hold dear; keys
/// that begin with one another, or differ in case alone.
pub async fn keys_may_be_anything_that_a_key_can_be(h: &Harness) {
    let part = "p".repeat(200);
    let longest = format!("{part}/{part}/{}", "l".repeat(512 - 402 - h.key("x").as_str().len() + 1));
    assert_eq!(h.key(&longest).as_str().len(), 512);
    let names = [
        "a",
        "A",
        "a/b",
        "a/b/c",
        "a/B",
        "a.b",
        "a.",
        "a..",
        ".a",
        "..a",
        "...",
        "-",
        "--help",
        "_",
        ".put-x",
        "tmp",
        "tmp/x",
        "00",
        "con",
        "NUL.txt",
        "files/01A/01B/report.tar.gz",
        "abcdefghijklmnopqrstuvwxyz0123456789._-",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        &part,
        &part[1..],
        &longest,
        &longest[..longest.len() - 1],
    ];
    for name in names {
        h.put(&h.key(name), name.as_bytes()).await;
    }
    for name in names {
        h.assert_holds(&h.key(name), name.as_bytes()).await;
    }
    for name in names {
        h.blobs.delete(&h.key(name)).await.expect("delete");
        h.assert_absent(&h.key(name)).await;
    }
}

/// No key leaves its place, names a folder, or holds what some backend reads in its own way.
pub async fn texts_that_are_no_keys_are_refused(_: &Harness) {
    let long_part = "p".repeat(201);
    let too_long = ["p".repeat(200).as_str(), &"p".repeat(200), &"p".repeat(111)].join("/");
    for text in [
        "",
        ".",
        "..",
        "/",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/./b",
        "a/..",
        "a\\b",
        "C:a",
        "a b",
        "a\0",
        "a\nb",
        "a%2e",
        "a?b",
        "a#b",
        "a*",
        "~a",
        "a+b",
        "a=b",
        "a&b",
        "é",
        "e\u{301}",
        "\u{202e}a",
        "漢",
        &long_part,
        &too_long,
    ] {
        assert_eq!(BlobKey::parse(text), None, "{text:?}");
    }
}

/// Many blobs, each with bytes of its own, beside one another.
pub async fn many_keys_stay_apart(h: &Harness) {
    let bytes = |n: usize| pattern(n * 7);
    let key = |n: usize| h.key(&format!("files/owner{}/{n}/name.{n}", n % 3));
    for n in 0..60 {
        h.put(&key(n), &bytes(n)).await;
    }
    for n in (0..60).step_by(2) {
        h.blobs.delete(&key(n)).await.expect("delete");
    }
    for n in 0..60 {
        match n % 2 {
            0 => h.assert_absent(&key(n)).await,
            _ => h.assert_holds(&key(n), &bytes(n)).await,
        }
    }
}

/// What is deleted is gone at once.
pub async fn a_deleted_blob_is_absent(h: &Harness) {
    let key = h.key("deleted");
    h.put(&key, b"bytes").await;
    h.blobs.delete(&key).await.expect("delete");
    h.assert_absent(&key).await;
}

/// That there is nothing to delete is no failure, the second time neither.
pub async fn deleting_what_is_absent_succeeds(h: &Harness) {
    let key = h.key("absent/a/b");
    for _ in 0..2 {
        h.blobs.delete(&key).await.expect("delete");
    }
    h.put(&key, b"bytes").await;
    for _ in 0..2 {
        h.blobs.delete(&key).await.expect("delete");
    }
    h.assert_absent(&key).await;
}

/// A key is free again after a deletion.
pub async fn a_deleted_blob_may_be_put_again(h: &Harness) {
    let key = h.key("again");
    for bytes in [&b"one"[..], b"the other", b""] {
        h.put(&key, bytes).await;
        h.assert_holds(&key, bytes).await;
        h.blobs.delete(&key).await.expect("delete");
        h.assert_absent(&key).await;
    }
}
