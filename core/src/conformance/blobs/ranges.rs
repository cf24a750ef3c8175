//! Parts of blobs.

use super::{Harness, LARGE, collect, pattern};
use crate::ports::blobs::{BlobErrorKind, BlobKey, ByteRange};

/// Every range of a small blob is just those bytes; what the blob is, is told of the whole.
pub async fn a_range_is_got_at_every_boundary(h: &Harness) {
    let (key, bytes) = (h.key("small"), pattern(10));
    h.put(&key, &bytes).await;
    for first in 0..bytes.len() {
        for last in first..bytes.len() {
            assert_range(h, &key, &bytes, first, last).await;
        }
    }
    h.put(&key, b"x").await;
    assert_range(h, &key, b"x", 0, 0).await;
}

/// The first bytes, the last, all of them, and some around the sizes in which implementations read.
pub async fn a_range_of_a_large_blob_is_got(h: &Harness) {
    let (key, bytes) = (h.key("large"), pattern(LARGE));
    h.put(&key, &bytes).await;
    let end = LARGE - 1;
    for (first, last) in [
        (0, 0),
        (0, end),
        (end, end),
        (1, end - 1),
        (0, 65_535),
        (0, 65_536),
        (65_535, 65_536),
        (1, 131_072),
        (131_071, 262_144),
        (262_144, 1_048_576),
        (LARGE / 2, end),
    ] {
        assert_range(h, &key, &bytes, first, last).await;
    }
}

/// A range that does not lie wholly within the blob is refused.
pub async fn a_range_beyond_the_end_is_refused(h: &Harness) {
    let key = h.key("ten");
    h.put(&key, &pattern(10)).await;
    for (first, last) in [(0, 10), (9, 10), (10, 10), (10, 20), (5, u64::MAX), (u64::MAX, u64::MAX), (5, 4)] {
        assert_out_of_range(h, &key, ByteRange { first, last }).await;
    }
    h.assert_holds(&key, &pattern(10)).await;
}

/// A blob without bytes has no first one.
pub async fn an_empty_blob_has_no_ranges(h: &Harness) {
    let key = h.key("empty");
    h.put(&key, b"").await;
    for (first, last) in [(0, 0), (0, 1), (1, 1), (0, u64::MAX)] {
        assert_out_of_range(h, &key, ByteRange { first, last }).await;
    }
}

/// Where there is no blob there is no range that is wrong.
pub async fn a_range_of_what_is_absent_is_absent(h: &Harness) {
    assert!(h.get(&h.key("nothing"), Some(ByteRange { first: 0, last: 9 })).await.is_none());
}

async fn assert_range(h: &Harness, key: &BlobKey, bytes: &[u8], first: usize, last: usize) {
    let range = ByteRange { first: first as u64, last: last as u64 };
    let blob = h.get(key, Some(range)).await.unwrap_or_else(|| panic!("{key} is absent"));
    h.assert_describes(&blob.info, bytes);
    let part = collect(blob.body).await.expect("a whole body");
    assert!(part == bytes[first..=last], "{first}-{last}: {} other bytes", part.len());
}

async fn assert_out_of_range(h: &Harness, key: &BlobKey, range: ByteRange) {
    let error = h.blobs.get(key, Some(range)).await.expect_err("a range that does not lie within");
    assert_eq!(error.kind, BlobErrorKind::OutOfRange, "{range:?}");
}
