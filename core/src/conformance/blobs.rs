//! The kit of [`crate::ports::blobs::Blobs`]: its properties.
//!
//! [`blobs_conformance!`](crate::blobs_conformance) makes a test of each. A property touches only keys that begin with its
//! harness's scope, so that tests may share one backend.

mod bodies;
mod concurrency;
mod keys;
mod ranges;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};

pub use self::{bodies::*, concurrency::*, keys::*, ranges::*};
use crate::http::body::{Body, BodyError};
use crate::memory::clock::ManualClock;
use crate::ports::blobs::{Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, Blobs, ByteRange, PutTerms};

/// More than any implementation holds of a body at once.
const LARGE: usize = 1_500_000;

/// Blobs under test.
pub struct Harness {
    /// The blobs.
    pub blobs: Arc<dyn Blobs>,
    /// The clock that expiry is reckoned by.
    pub clock: Arc<ManualClock>,
    scope: String,
    knows_hashes: bool,
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl Harness {
    /// Blobs that nobody else uses.
    pub fn new(blobs: Arc<dyn Blobs>, clock: Arc<ManualClock>) -> Self {
        Self { blobs, clock, scope: String::new(), knows_hashes: true, kept: None }
    }

    /// Shares the backend with other tests: keys begin with `scope`, which must be new.
    #[must_use]
    pub fn scoped(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Admits a backend that does not always know the hash of what it keeps.
    #[must_use]
    pub fn without_hashes(mut self) -> Self {
        self.knows_hashes = false;
        self
    }

    /// Keeps something for as long as the blobs: their directory, their server.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// A key within the scope.
    fn key(&self, name: &str) -> BlobKey {
        BlobKey::parse(&format!("{}{name}", self.scope)).expect("a key")
    }

    /// Stores bytes that must be accepted.
    async fn put(&self, key: &BlobKey, bytes: &[u8]) -> BlobInfo {
        let info = self.blobs.put(key, &terms(), whole(bytes)).await.expect("put");
        self.assert_describes(&info, bytes);
        info
    }

    /// Stores a body that must be refused, and says how; what is there is the same afterwards.
    async fn refused(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> BlobErrorKind {
        let before = self.read(key).await;
        let kind = self.blobs.put(key, terms, body).await.expect_err("the body must be refused").kind;
        assert_eq!(self.read(key).await, before, "a refused body changes nothing");
        kind
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Option<Blob> {
        self.blobs.get(key, range).await.expect("get")
    }

    async fn head(&self, key: &BlobKey) -> Option<BlobInfo> {
        self.blobs.head(key).await.expect("head")
    }

    /// Reads what is there; it must be what it says it is.
    async fn read(&self, key: &BlobKey) -> Option<Bytes> {
        let blob = self.get(key, None).await?;
        let bytes = collect(blob.body).await.expect("a whole body");
        self.assert_describes(&blob.info, &bytes);
        Some(bytes)
    }

    /// Asserts that a blob's bytes are these.
    async fn assert_holds(&self, key: &BlobKey, expected: &[u8]) {
        let found = self.read(key).await.unwrap_or_else(|| panic!("{key} is absent"));
        assert!(found == expected, "{key}: {} bytes are not the {} expected", found.len(), expected.len());
        self.assert_describes(&self.head(key).await.expect("head"), expected);
    }

    async fn assert_absent(&self, key: &BlobKey) {
        assert_eq!(self.head(key).await, None, "{key}");
        assert!(self.get(key, None).await.is_none(), "{key}");
    }

    fn assert_describes(&self, info: &BlobInfo, bytes: &[u8]) {
        assert_eq!(info.length, bytes.len() as u64);
        assert!(info.sha256.is_some() || !self.knows_hashes, "no hash");
        assert!(info.sha256.is_none_or(|hash| hash == sha256(bytes)), "another hash");
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blobs, clock, scope, knows_hashes, kept: _ } = self;
        f.debug_struct("Harness")
            .field("blobs", blobs)
            .field("clock", clock)
            .field("scope", scope)
            .field("knows_hashes", knows_hashes)
            .finish_non_exhaustive()
    }
}

/// Terms that whatever the kit stores fulfils.
fn terms() -> PutTerms {
    PutTerms::up_to(64 << 20, "application/octet-stream")
}

/// Terms that tell a body's length and hash.
fn exact_terms(bytes: &[u8]) -> PutTerms {
    PutTerms { length: Some(bytes.len() as u64), sha256: Some(sha256(bytes)), ..terms() }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes in which no two stretches are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..length.div_ceil(32)).flat_map(|n| sha256(&n.to_be_bytes())).take(length).collect()
}

fn whole(bytes: &[u8]) -> Body {
    Body::from(bytes.to_vec())
}

/// The bytes in pieces of a size.
fn pieces(bytes: &[u8], size: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::stream(stream::iter(pieces))
}

/// The bytes, and then the connection breaks off.
fn broken_after(bytes: &[u8]) -> Body {
    let bytes = Ok(Bytes::copy_from_slice(bytes));
    Body::stream(stream::iter([bytes, Err(BodyError::new("the connection was lost"))]))
}

/// The bytes in two halves; `between` runs once the first half was taken.
fn interleaved(bytes: &[u8], between: impl Future<Output = ()> + Send + 'static) -> Body {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let (first, second) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(second));
    let second = async move {
        between.await;
        Ok(second)
    };
    Body::stream(stream::iter([Ok(first)]).chain(stream::once(second)))
}

async fn collect(body: Body) -> Result<Bytes, BlobError> {
    body.read(usize::MAX, None).await.map_err(|error| {
        BlobError::new(BlobErrorKind::Interrupted, format!("an answer broke off: {error:?}"))
    })
}

/// Makes a test of each property of a [`Blobs`]. Invoke it in a module of its own.
///
/// `new` is called for each test, without arguments, and returns a future of a fresh [`Harness`]. Either
/// `attribute` marks the tests of an asynchronous runtime, or `block_on` runs their futures:
///
/// ```text
/// blobs_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = make_blobs);
/// blobs_conformance!(block_on = futures::executor::block_on, new = make_blobs);
/// ```
#[macro_export]
macro_rules! blobs_conformance {
    (attribute = [$attribute:meta], new = $new:expr) => {
        $crate::blobs_conformance!(@properties attribute [$attribute] [$new]);
    };
    (block_on = $block_on:path, new = $new:expr) => {
        $crate::blobs_conformance!(@properties block_on [$block_on] [$new]);
    };
    (@properties $mode:ident $runner:tt $new:tt) => {
        $crate::conformance_tests!(blobs $mode $runner $new
            what_was_never_put_is_absent
            what_is_put_is_got
            an_empty_body_is_a_blob
            a_body_may_come_in_pieces_of_any_size
            the_type_is_kept
            length_and_hash_are_told_rightly
            a_body_that_is_as_announced_is_stored
            a_body_of_the_allowed_length_is_stored
            a_longer_body_than_allowed_is_refused
            an_announced_length_beyond_the_allowed_is_refused_unread
            a_body_of_another_length_is_refused
            a_body_of_another_hash_is_refused
            an_interrupted_body_leaves_nothing
            a_refused_body_leaves_what_was_there
            a_put_replaces_what_was_there
            the_first_put_stays_where_only_the_first_may
            of_concurrent_first_puts_one_is_stored
            a_body_is_not_seen_before_it_is_whole
            a_deleted_blob_is_absent
            deleting_what_is_absent_succeeds
            a_deleted_blob_may_be_put_again
            a_range_is_got_at_every_boundary
            a_range_of_a_large_blob_is_got
            a_range_beyond_the_end_is_refused
            an_empty_blob_has_no_ranges
            a_range_of_what_is_absent_is_absent
            keys_may_be_anything_that_a_key_can_be
            texts_that_are_no_keys_are_refused
            many_keys_stay_apart
            a_reader_keeps_its_version_while_another_replaces_it
            a_reader_keeps_its_version_while_another_deletes_it
            concurrent_puts_and_gets_never_mix
            concurrent_puts_of_many_keys_all_arrive
        );
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::blobs::MemoryBlobs;

    mod memory {
        use super::*;

        async fn new() -> Harness {
            Harness::new(Arc::new(MemoryBlobs::default()), Arc::default())
        }

        crate::blobs_conformance!(block_on = futures::executor::block_on, new = new);
    }

    mod memory_shared {
        use super::*;

        async fn new() -> Harness {
            Harness::new(Arc::new(MemoryBlobs::default()), Arc::default()).scoped("scope/").without_hashes()
        }

        crate::blobs_conformance!(block_on = futures::executor::block_on, new = new);
    }

    #[test]
    fn the_macro_lists_every_property() {
        let files = [
            include_str!("blobs/bodies.rs"),
            include_str!("blobs/concurrency.rs"),
            include_str!("blobs/keys.rs"),
            include_str!("blobs/ranges.rs"),
        ];
        crate::conformance::assert_lists_every_property(include_str!("blobs.rs"), &files);
    }
}
