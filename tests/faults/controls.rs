//! That the invariants can fail: flows in worlds where something is broken on purpose are caught.

use std::sync::Arc;

use async_trait::async_trait;
use portico_core::http::body::Body;
use portico_core::memory::blobs::MemoryBlobs;
use portico_core::ports::Ports;
use portico_core::ports::blobs::{Blob, BlobError, BlobInfo, BlobKey, Blobs, ByteRange, PutTerms};
use portico_core::ports::store::{Key, Page, Query, Raw, Store, StoreError, Versioned, Write};
use portico_core::schema::{OUTBOX, SESSIONS, USERS};

use crate::flows;
use crate::run::run_sabotaged;
use crate::world::Sabotage;

/// Applies, of each transaction, only the writes that a rule lets through.
#[derive(Debug)]
struct PartialStore {
    inner: Arc<dyn Store>,
    keeps: fn(usize, &Write) -> bool,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for PartialStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key).await
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        self.inner.get_raw(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        let kept = writes.iter().enumerate().filter(|(place, write)| (self.keeps)(*place, write));
        let kept: Vec<Write> = kept.map(|(_, write)| write.clone()).collect();
        self.inner.transact(&kept).await
    }
}

fn partial(ports: &mut Ports, keeps: fn(usize, &Write) -> bool) {
    ports.store = Arc::new(PartialStore { inner: ports.store.clone(), keeps });
}

/// Acknowledges bytes that it does not keep.
#[derive(Debug)]
struct ForgetfulBlobs(MemoryBlobs);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Blobs for ForgetfulBlobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        self.0.put(key, terms, body).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        self.0.get(key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        self.0.head(key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.0.delete(key).await
    }
}

async fn assert_caught(flow: &str, sabotage: Sabotage, by: &str) {
    let flow = flows::all().into_iter().find(|other| other.name == flow).expect("a flow");
    let failures = run_sabotaged(&flow, sabotage).await;
    assert!(failures.iter().any(|failure| failure.contains(by)), "not caught by {by:?}: {failures:?}");
}

#[tokio::test]
async fn half_a_transaction_is_caught() {
    let sabotage: Sabotage = |ports| partial(ports, |place, _| place == 0);
    assert_caught("accounts::registering", sabotage, "an account holds its claims").await;
}

#[tokio::test]
async fn a_claim_without_its_account_is_caught() {
    let sabotage: Sabotage = |ports| {
        partial(ports, |_, write| write.key().table != &USERS || write.key().hash.contains('#'));
    };
    assert_caught("accounts::registering", sabotage, "a claim has its account").await;
}

#[tokio::test]
async fn a_lost_promise_is_caught() {
    let sabotage: Sabotage = |ports| partial(ports, |_, write| write.key().table != &OUTBOX);
    assert_caught("accounts::registering", sabotage, "was lost").await;
    assert_caught("files::sweeping", sabotage, "promised to be").await;
}

fn ends_a_session(write: &Write) -> bool {
    let Write::Put { key, item, .. } = write else { return false };
    key.table == &SESSIONS && item.get("enable") == Some(&false.into())
}

#[tokio::test]
async fn a_session_that_does_not_end_is_caught() {
    let sabotage: Sabotage = |ports| partial(ports, |_, write| !ends_a_session(write));
    assert_caught("sessions::logging_out", sabotage, "session_ended").await;
}

#[tokio::test]
async fn a_record_without_bytes_is_caught() {
    // Another's bytes are kept elsewhere than where they are looked for.
    let sabotage: Sabotage = |ports| ports.blobs = Arc::new(ForgetfulBlobs(MemoryBlobs::default()));
    assert_caught("files::uploading", sabotage, "a file that can be downloaded has its bytes").await;
}
