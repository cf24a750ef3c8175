//! What goes in comes out, and what is not as it should be does not go in.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;

use super::{
    Body, Harness, LARGE, broken_after, exact_terms, interleaved, pattern, pieces, sha256, terms, whole,
};
use crate::ports::blobs::{BlobErrorKind, PutTerms};

/// Nothing is read where nothing was put.
pub async fn what_was_never_put_is_absent(h: &Harness) {
    h.assert_absent(&h.key("nothing")).await;
}

/// Bytes come back as they were, whatever they are.
pub async fn what_is_put_is_got(h: &Harness) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for (name, bytes) in [("one", vec![0]), ("every", every_byte), ("large", pattern(LARGE))] {
        let key = h.key(name);
        h.put(&key, &bytes).await;
        h.assert_holds(&key, &bytes).await;
    }
}

/// A body without bytes makes a blob without bytes, which is there.
pub async fn an_empty_body_is_a_blob(h: &Harness) {
    let no_pieces = || Body::stream(stream::iter([]));
    let empty_pieces = || Body::stream(stream::iter([Ok(Bytes::new()), Ok(Bytes::new())]));
    for (name, body) in [("none", Body::empty()), ("no-pieces", no_pieces()), ("pieces", empty_pieces())] {
        let key = h.key(name);
        h.blobs.put(&key, &exact_terms(b""), body).await.expect("put");
        h.assert_holds(&key, b"").await;
    }
}

/// How a body is cut into pieces makes no difference.
pub async fn a_body_may_come_in_pieces_of_any_size(h: &Harness) {
    let key = h.key("pieces");
    for (length, size) in [(3000, 1), (300_000, 7), (LARGE, 65_536), (LARGE, 1_000_000), (LARGE, LARGE)] {
        let bytes = pattern(length);
        let info = h.blobs.put(&key, &terms(), pieces(&bytes, size)).await.expect("put");
        h.assert_describes(&info, &bytes);
        h.assert_holds(&key, &bytes).await;
    }
}

/// A blob has the media type that it was put with.
pub async fn the_type_is_kept(h: &Harness) {
    let key = h.key("typed");
    let long = format!("application/{}", "x".repeat(100));
    for content_type in
        ["text/plain; charset=utf-8", "image/png", r#"multipart/mixed; boundary="a b""#, &long]
    {
        let terms = PutTerms { content_type: content_type.to_owned(), ..terms() };
        let info = h.blobs.put(&key, &terms, whole(b"typed")).await.expect("put");
        assert_eq!(info.content_type, content_type);
        assert_eq!(h.head(&key).await.expect("head").content_type, content_type);
        assert_eq!(h.get(&key, None).await.expect("get").info.content_type, content_type);
    }
}

/// Length and hash are those of the bytes, also where a piece of the body ends within a block of the hash.
pub async fn length_and_hash_are_told_rightly(h: &Harness) {
    let key = h.key("measured");
    for length in [1, 55, 56, 63, 64, 65, 4096, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145] {
        let bytes = pattern(length);
        h.put(&key, &bytes).await;
        h.assert_describes(&h.head(&key).await.expect("head"), &bytes);
        h.assert_describes(&h.get(&key, None).await.expect("get").info, &bytes);
    }
}

/// A body that has the length and the hash that were announced is stored.
pub async fn a_body_that_is_as_announced_is_stored(h: &Harness) {
    let (key, bytes) = (h.key("announced"), pattern(LARGE));
    h.blobs.put(&key, &exact_terms(&bytes), pieces(&bytes, 100_000)).await.expect("put");
    h.assert_holds(&key, &bytes).await;
}

/// The longest body that is allowed is allowed.
pub async fn a_body_of_the_allowed_length_is_stored(h: &Harness) {
    let (key, bytes) = (h.key("full"), pattern(100_000));
    let terms = PutTerms { max_length: 100_000, ..terms() };
    h.blobs.put(&key, &terms, pieces(&bytes, 999)).await.expect("put");
    h.assert_holds(&key, &bytes).await;
    let terms = PutTerms { max_length: 0, ..terms };
    h.blobs.put(&key, &terms, Body::empty()).await.expect("put");
    h.assert_holds(&key, b"").await;
}

/// A body of one byte more than is allowed is refused, whole and in pieces.
pub async fn a_longer_body_than_allowed_is_refused(h: &Harness) {
    for (name, length) in [("small", 1_usize), ("medium", 100_000), ("large", LARGE)] {
        let (key, bytes) = (h.key(name), pattern(length));
        let terms = PutTerms { max_length: length as u64 - 1, ..terms() };
        assert_eq!(h.refused(&key, &terms, whole(&bytes)).await, BlobErrorKind::TooLarge);
        assert_eq!(h.refused(&key, &terms, pieces(&bytes, 9999)).await, BlobErrorKind::TooLarge);
        h.assert_absent(&key).await;
    }
}

/// A body that announces itself as too long is refused before it comes.
pub async fn an_announced_length_beyond_the_allowed_is_refused_unread(h: &Harness) {
    let key = h.key("announced");
    for length in [(64 << 20) + 1, 5 << 30, u64::MAX] {
        let unread = || Body::stream(stream::poll_fn(|_| panic!("the body must not be read")));
        let terms = PutTerms { length: Some(length), ..terms() };
        assert_eq!(h.refused(&key, &terms, unread()).await, BlobErrorKind::TooLarge);
    }
    h.assert_absent(&key).await;
}

/// A body that is shorter or longer than announced is refused.
pub async fn a_body_of_another_length_is_refused(h: &Harness) {
    let key = h.key("another-length");
    for (length, announced) in
        [(0, 1), (1, 0), (10, 11), (10, 9), (LARGE, 10), (LARGE, LARGE as u64 + 1), (3, 5 << 30)]
    {
        let bytes = pattern(length);
        let terms = PutTerms { length: Some(announced), max_length: 5 << 30, ..terms() };
        assert_eq!(h.refused(&key, &terms, whole(&bytes)).await, BlobErrorKind::Mismatch);
        assert_eq!(h.refused(&key, &terms, pieces(&bytes, 9999)).await, BlobErrorKind::Mismatch);
    }
    h.assert_absent(&key).await;
}

/// A body of the announced length, but of another hash, is refused.
pub async fn a_body_of_another_hash_is_refused(h: &Harness) {
    let key = h.key("another-hash");
    for length in [1, 100, LARGE] {
        let mut bytes = pattern(length);
        let terms = exact_terms(&bytes);
        bytes[length - 1] ^= 1;
        assert_eq!(h.refused(&key, &terms, whole(&bytes)).await, BlobErrorKind::Mismatch);
        assert_eq!(h.refused(&key, &terms, pieces(&bytes, 100_000)).await, BlobErrorKind::Mismatch);
    }
    let terms = PutTerms { sha256: Some(sha256(b"something")), ..terms() };
    assert_eq!(h.refused(&key, &terms, Body::empty()).await, BlobErrorKind::Mismatch);
    h.assert_absent(&key).await;
}

/// A body that breaks off leaves nothing, even if all of it had come.
pub async fn an_interrupted_body_leaves_nothing(h: &Harness) {
    let key = h.key("interrupted");
    for length in [0, 10, LARGE] {
        let bytes = pattern(length);
        for terms in [terms(), exact_terms(&bytes)] {
            assert_eq!(h.refused(&key, &terms, broken_after(&bytes)).await, BlobErrorKind::Interrupted);
        }
    }
    h.assert_absent(&key).await;
}

/// A body that is refused, for whatever reason, leaves the blob that was there.
pub async fn a_refused_body_leaves_what_was_there(h: &Harness) {
    let (key, bytes) = (h.key("kept"), pattern(1000));
    h.put(&key, b"before").await;
    h.refused(&key, &terms(), broken_after(&bytes)).await;
    h.refused(&key, &PutTerms { max_length: 999, ..terms() }, whole(&bytes)).await;
    h.refused(&key, &PutTerms { length: Some(1001), ..terms() }, whole(&bytes)).await;
    h.refused(&key, &PutTerms { sha256: Some([0; 32]), ..terms() }, whole(&bytes)).await;
    h.assert_holds(&key, b"before").await;
}

/// A put replaces bytes, length and type.
pub async fn a_put_replaces_what_was_there(h: &Harness) {
    let key = h.key("replaced");
    for bytes in [pattern(LARGE), b"shorter".to_vec(), Vec::new(), pattern(300_000)] {
        let content_type = format!("application/x-{}", bytes.len());
        let terms = PutTerms { content_type: content_type.clone(), ..terms() };
        h.blobs.put(&key, &terms, whole(&bytes)).await.expect("put");
        h.assert_holds(&key, &bytes).await;
        assert_eq!(h.head(&key).await.expect("head").content_type, content_type);
    }
}

/// A body that must be the first is refused where there is one, be it an empty one; and stored again once that is gone.
pub async fn the_first_put_stays_where_only_the_first_may(h: &Harness) {
    let key = h.key("first");
    for first in [pattern(LARGE), Vec::new()] {
        let only_first = PutTerms { only_if_absent: true, ..exact_terms(&first) };
        h.blobs.put(&key, &only_first, whole(&first)).await.expect("put");
        let second = PutTerms { only_if_absent: true, ..terms() };
        assert_eq!(h.refused(&key, &second, whole(b"second")).await, BlobErrorKind::Exists);
        assert_eq!(h.refused(&key, &second, whole(&first)).await, BlobErrorKind::Exists);
        h.assert_holds(&key, &first).await;
        h.blobs.delete(&key).await.expect("delete");
    }
}

/// While a body is on its way, readers see what was there before: nothing, or the blob that it will replace.
pub async fn a_body_is_not_seen_before_it_is_whole(h: &Harness) {
    let (key, bytes) = (h.key("on-its-way"), pattern(LARGE));
    let (blobs, watched) = (Arc::clone(&h.blobs), key.clone());
    let nothing = async move {
        assert_eq!(blobs.head(&watched).await.expect("head"), None);
        assert!(blobs.get(&watched, None).await.expect("get").is_none());
    };
    h.blobs.put(&key, &terms(), interleaved(&bytes, nothing)).await.expect("put");
    h.assert_holds(&key, &bytes).await;

    let (blobs, watched) = (Arc::clone(&h.blobs), key.clone());
    let the_old = async move {
        let blob = blobs.get(&watched, None).await.expect("get").expect("the old blob");
        assert_eq!(super::collect(blob.body).await.expect("a whole body"), pattern(LARGE));
    };
    h.blobs.put(&key, &terms(), interleaved(b"the new", the_old)).await.expect("put");
    h.assert_holds(&key, b"the new").await;
}
