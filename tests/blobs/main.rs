//! Blobs in S3, over real sockets: the kit, and what only a bucket can be asked.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod failures;
mod memory;
mod parts;
mod presigned;
mod support;

mod kit {
    use std::sync::Arc;

    use portico_core::conformance::blobs::Harness;

    use crate::support::Bucket;

    async fn new() -> Harness {
        let bucket = Bucket::new().await;
        Harness::new(Arc::new(bucket.blobs.clone()), Arc::default()).keeping(bucket)
    }

    portico_core::blobs_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = new);
}
