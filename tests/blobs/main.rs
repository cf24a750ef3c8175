//! Blobs in S3, over real sockets, by each adapter: the kit, and what only a bucket can be asked.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod failures;
mod memory;
mod parts;
mod presigned;
mod support;

use std::sync::Arc;

use portico_core::conformance::blobs::Harness;

use support::{Adapter, Bucket};

mod sdk {
    use crate::support::Adapter::Sdk;

    portico_core::blobs_conformance!(
        attribute = [tokio::test(flavor = "multi_thread")],
        new = || crate::harness(Sdk)
    );
}

mod fetch {
    use crate::support::Adapter::Fetch;

    portico_core::blobs_conformance!(
        attribute = [tokio::test(flavor = "multi_thread")],
        new = || crate::harness(Fetch)
    );
}

async fn harness(adapter: Adapter) -> Harness {
    let bucket = Bucket::new(adapter).await;
    Harness::new(Arc::new(bucket.blobs.clone()), Arc::default()).keeping(bucket)
}
