//! Many callers at once.

use futures::future::{join, join_all};

use super::{Harness, LARGE, collect, exact_terms, pattern, pieces};
use crate::ports::blobs::{BlobErrorKind, ByteRange, PutTerms};

const CALLERS: u8 = 8;

/// A blob that was got stays as it was while it is read, though another has taken its place.
pub async fn a_reader_keeps_its_version_while_another_replaces_it(h: &Harness) {
    let (key, old) = (h.key("replaced"), pattern(LARGE));
    h.put(&key, &old).await;
    let blob = h.get(&key, None).await.expect("a blob");
    let part = h.get(&key, Some(ByteRange { first: 1, last: LARGE as u64 - 1 })).await.expect("a blob");
    h.put(&key, b"the new").await;
    assert!(collect(blob.body).await.expect("a whole body") == old);
    assert!(collect(part.body).await.expect("a whole body") == old[1..]);
    h.assert_holds(&key, b"the new").await;
}

/// A blob that was got stays as it was while it is read, though it is deleted.
pub async fn a_reader_keeps_its_version_while_another_deletes_it(h: &Harness) {
    let (key, bytes) = (h.key("deleted"), pattern(LARGE));
    h.put(&key, &bytes).await;
    let blob = h.get(&key, None).await.expect("a blob");
    h.blobs.delete(&key).await.expect("delete");
    h.assert_absent(&key).await;
    assert!(collect(blob.body).await.expect("a whole body") == bytes);
}

/// However many put and get one key, each reader gets the bytes of one put, with its length and hash.
pub async fn concurrent_puts_and_gets_never_mix(h: &Harness) {
    let key = h.key("raced");
    let bytes = |writer: u8| vec![writer; 100_000 + usize::from(writer) * 1111];
    h.put(&key, &bytes(0)).await;
    let writers = join_all((1..=CALLERS).map(|writer| {
        let (key, bytes) = (&key, bytes(writer));
        async move {
            for _ in 0..4 {
                let body = pieces(&bytes, 10_000);
                h.blobs.put(key, &exact_terms(&bytes), body).await.expect("put");
            }
        }
    }));
    let readers = join_all((0..CALLERS).map(|_| async {
        for _ in 0..16 {
            let found = h.read(&key).await.expect("there is always one");
            let writer = found[0];
            assert!(found == bytes(writer), "bytes of more than one put");
        }
    }));
    join(writers, readers).await;
    assert!((1..=CALLERS).contains(&h.read(&key).await.expect("a blob")[0]));
}

/// Of many that must be the first under one key, one is, and the others are told.
pub async fn of_concurrent_first_puts_one_is_stored(h: &Harness) {
    let key = h.key("first");
    let bytes = |writer: u8| vec![writer; 100_000];
    let outcomes = join_all((1..=CALLERS).map(|writer| {
        let (key, bytes) = (&key, bytes(writer));
        async move {
            let terms = PutTerms { only_if_absent: true, ..exact_terms(&bytes) };
            let outcome = h.blobs.put(key, &terms, pieces(&bytes, 10_000)).await;
            outcome.map(|_| writer).map_err(|error| error.kind)
        }
    }))
    .await;
    let (stored, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|outcome| *outcome == Err(BlobErrorKind::Exists)), "{refused:?}");
    assert_eq!(stored.len(), 1, "{stored:?}");
    h.assert_holds(&key, &bytes(stored[0].expect("a writer"))).await;
}

/// Puts of different keys do not hinder one another.
pub async fn concurrent_puts_of_many_keys_all_arrive(h: &Harness) {
    let bytes = |n: usize| pattern(10_000 + n);
    join_all((0..40).map(|n| async move {
        h.put(&h.key(&format!("many/{n}")), &bytes(n)).await;
    }))
    .await;
    for n in 0..40 {
        h.assert_holds(&h.key(&format!("many/{n}")), &bytes(n)).await;
    }
}
