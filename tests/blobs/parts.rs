//! Bodies too long to go at once: in parts, which are completed or leave nothing behind; and answers that were lost.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{BlobErrorKind, Blobs, ByteRange, PutTerms};
use sha2::{Digest, Sha256};

use crate::support::{Bucket, MIB, PART, body, bytes, key, pieces, terms};

#[tokio::test]
async fn a_body_is_put_at_once_or_in_parts_by_its_length() {
    for bucket in Bucket::each().await {
        for (length, parts) in [(0, 0), (1, 0), (PART, 0), (PART + 1, 2), (2 * PART, 2), (20 * MIB, 3)] {
            bucket.emulators.forget_calls().await;
            let (name, content) = (key(&length.to_string()), vec![7; length]);
            bucket.blobs.put(&name, &terms(), Body::from(content.clone())).await.unwrap();
            assert!(bucket.read(&name).await.unwrap() == content, "{length}");
            assert_eq!(bucket.calls("UploadPart").await, parts, "{length}");
            assert_eq!(bucket.calls("PutObject").await, u64::from(parts == 0), "{length}");
            assert_eq!(bucket.leftovers(), 0);
        }
    }
}

#[tokio::test]
async fn what_is_put_in_parts_is_what_was_sent() {
    for bucket in Bucket::each().await {
        let (name, content) = (key("files/a/1/long.bin"), bytes(19));
        let hash: [u8; 32] = Sha256::digest(&content).into();

        let info = bucket.blobs.put(&name, &terms(), body(19)).await.unwrap();
        assert_eq!((info.length, info.sha256), (content.len() as u64, Some(hash)));
        let found = bucket.blobs.head(&name).await.unwrap().unwrap();
        assert_eq!((found.length, found.content_type.as_str()), (content.len() as u64, "text/plain"));
        assert_eq!(found.sha256, None, "nobody told it beforehand");
        assert!(bucket.read(&name).await.unwrap() == content);
        let (first, last) = (PART as u64 - 1, 2 * PART as u64);
        let part = bucket.blobs.get(&name, Some(ByteRange { first, last })).await.unwrap().unwrap();
        assert!(part.body.read(usize::MAX, None).await.unwrap() == content[PART - 1..=2 * PART]);

        let told = PutTerms { length: Some(content.len() as u64), sha256: Some(hash), ..terms() };
        bucket.blobs.put(&name, &told, body(19)).await.unwrap();
        assert_eq!(bucket.blobs.head(&name).await.unwrap().unwrap().sha256, Some(hash));
        let part = bucket.blobs.get(&name, Some(ByteRange { first: 0, last: 0 })).await.unwrap().unwrap();
        assert_eq!(part.info.sha256, Some(hash));
    }
}

#[tokio::test]
async fn a_long_body_that_is_refused_leaves_nothing() {
    for bucket in Bucket::each().await {
        let name = key("a");
        let broken = || Body::stream(pieces(18).chain(stream::iter([Err(BodyError::new("lost"))])));
        for (terms, body, kind) in [
            (terms(), broken(), BlobErrorKind::Interrupted),
            (PutTerms { max_length: 18 * MIB as u64, ..terms() }, body(19), BlobErrorKind::TooLarge),
            (PutTerms { length: Some(18 * MIB as u64), ..terms() }, body(19), BlobErrorKind::Mismatch),
            (PutTerms { length: Some(20 * MIB as u64), ..terms() }, body(19), BlobErrorKind::Mismatch),
            (PutTerms { sha256: Some([7; 32]), ..terms() }, body(19), BlobErrorKind::Mismatch),
        ] {
            assert_eq!(bucket.blobs.put(&name, &terms, body).await.unwrap_err().kind, kind);
            assert_eq!(bucket.leftovers(), 0, "{kind:?}");
            assert_eq!(bucket.blobs.head(&name).await.unwrap(), None, "{kind:?}");
        }
        assert_eq!(bucket.calls("AbortMultipartUpload").await, 5);
        assert_eq!(bucket.calls("CompleteMultipartUpload").await, 0);
    }
}

#[tokio::test]
async fn a_backend_that_fails_midway_is_left_nothing() {
    for bucket in Bucket::each().await {
        for operation in ["UploadPart", "CompleteMultipartUpload"] {
            bucket.misbehave(operation, "unavailable", 99).await;
            let refused = bucket.blobs.put(&key("a"), &terms(), body(18)).await.unwrap_err();
            assert_eq!(refused.kind, BlobErrorKind::Unavailable);
            bucket.emulators.behave().await;
            assert_eq!(bucket.leftovers(), 0, "{operation}");
            assert_eq!(bucket.blobs.head(&key("a")).await.unwrap(), None, "{operation}");
        }
    }
}

#[tokio::test]
async fn an_abandoned_upload_is_aborted() {
    for bucket in Bucket::each().await {
        let (stalled, has_stalled) = tokio::sync::oneshot::channel();
        let silence = stream::once(async move {
            stalled.send(()).unwrap();
            std::future::pending::<Result<Bytes, BodyError>>().await
        });
        let endless = Body::stream(pieces(17).chain(silence));
        let (name, terms) = (key("a"), terms());
        let put = bucket.blobs.put(&name, &terms, endless);
        tokio::select! {
            _ = put => panic!("a body without end"),
            stalled = has_stalled => stalled.unwrap(),
        }
        assert_eq!(bucket.calls("CreateMultipartUpload").await, 1);
        eventually_closed(&bucket).await;
        assert_eq!(bucket.calls("AbortMultipartUpload").await, 1);
        assert_eq!(bucket.blobs.head(&name).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_upload_abandoned_while_it_is_begun_is_aborted() {
    for bucket in Bucket::each().await {
        let rule = serde_json::json!({
            "service": "s3", "operation": "CreateMultipartUpload", "action": "delay", "delay_ms": 500
        });
        bucket.emulators.misbehave(rule).await;
        let (name, terms) = (key("a"), terms());
        let put = bucket.blobs.put(&name, &terms, body(17));
        assert!(tokio::time::timeout(Duration::from_millis(300), put).await.is_err());
        assert_eq!(bucket.calls("CreateMultipartUpload").await, 1);
        tokio::time::sleep(Duration::from_millis(500)).await;
        eventually_closed(&bucket).await;
        assert_eq!(bucket.calls("AbortMultipartUpload").await, 1);
    }
}

async fn eventually_closed(bucket: &Bucket) {
    for _ in 0..100 {
        if bucket.leftovers() == 0 && bucket.calls("AbortMultipartUpload").await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("an upload is still open");
}

#[tokio::test]
async fn of_long_first_puts_one_is_stored() {
    for bucket in Bucket::each().await {
        let name = key("first");
        let first = PutTerms { only_if_absent: true, ..terms() };
        let puts = [17, 18, 19].map(|count| bucket.blobs.put(&name, &first, body(count)));
        let outcomes = futures::future::join_all(puts).await;
        let stored: Vec<_> = outcomes.iter().flatten().map(|info| info.length).collect();
        assert_eq!(stored.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(is_exists), "{outcomes:?}");
        assert_eq!(bucket.blobs.head(&name).await.unwrap().unwrap().length, stored[0]);
        assert_eq!(bucket.leftovers(), 0);

        bucket.emulators.forget_calls().await;
        assert!(is_exists(&bucket.blobs.put(&name, &first, body(17)).await.unwrap_err()));
        assert_eq!(bucket.calls("CreateMultipartUpload").await, 0, "told before the body is sent");
    }
}

fn is_exists(error: &portico_core::ports::blobs::BlobError) -> bool {
    error.kind == BlobErrorKind::Exists
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_was_done() {
    for bucket in Bucket::each().await {
        for only_if_absent in [false, true] {
            let terms = PutTerms { only_if_absent, ..terms() };
            for (operation, count) in [("PutObject", 1), ("CompleteMultipartUpload", 17)] {
                for (action, times) in
                    [("apply_then_reset", 1), ("apply_then_500", 1), ("apply_then_500", 99), ("truncate", 1)]
                {
                    if operation == "PutObject" && action == "truncate" {
                        continue; // Its answer has no body.
                    }
                    let name = key(&format!("{operation}/{action}/{times}/{only_if_absent}"));
                    bucket.misbehave(operation, action, times).await;
                    let outcome = bucket.blobs.put(&name, &terms, body(count)).await;
                    bucket.emulators.behave().await;
                    assert_eq!(outcome.unwrap().length, (count * MIB) as u64, "{name}");
                    assert!(bucket.read(&name).await.unwrap() == bytes(count), "{name}");
                    assert_eq!(bucket.leftovers(), 0, "{name}");

                    let second = PutTerms { only_if_absent: true, ..terms.clone() };
                    let refused = bucket.blobs.put(&name, &second, body(count)).await.unwrap_err();
                    assert_eq!(
                        refused.kind,
                        BlobErrorKind::Exists,
                        "the same bytes are another put's: {name}"
                    );
                }
            }
        }
    }
}
