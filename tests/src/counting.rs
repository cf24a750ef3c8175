//! Ports that keep a list of what they were asked, so that two ways through the product can be compared by their work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use portico_core::auth::keys::PublicKey;
use portico_core::auth::password::{HashOutcome, HashWork};
use portico_core::ports::hasher::{Busy, Hasher};
use portico_core::ports::signer::{Signer, SignerError};
use portico_core::ports::store::{Key, Page, Query, Raw, Store, StoreError, Versioned, Write};

use crate::lab::{Lab, LabOptions};

/// Lists every call, by kind, table and index; never by key.
#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn Store>,
    calls: Mutex<Vec<String>>,
}

impl CountingStore {
    /// Counts the calls of a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls since the last time, in alphabetical order: `get users`, `query users/email-index`,
    /// `transact put counters, check users`.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        calls.sort();
        calls
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for CountingStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.note(format!("get {}", key.table.name));
        self.inner.get(key).await
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        self.note(format!("get {}", key.table.name));
        self.inner.get_raw(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let index = query.index.as_ref().map_or("", |(name, _)| name);
        self.note(format!("query {}/{index}", query.table.name));
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        let kinds: Vec<String> = writes.iter().map(kind).collect();
        self.note(format!("transact {}", kinds.join(", ")));
        self.inner.transact(writes).await
    }
}

fn kind(write: &Write) -> String {
    let kind = match write {
        Write::Put { .. } => "put",
        Write::Delete { .. } => "delete",
        Write::Check { .. } => "check",
    };
    format!("{kind} {}", write.key().table.name)
}

/// Counts the signatures that are verified.
#[derive(Debug)]
pub struct CountingSigner {
    inner: Arc<dyn Signer>,
    verified: AtomicUsize,
}

impl CountingSigner {
    /// Counts the verifications of a signer.
    #[must_use]
    pub fn new(inner: Arc<dyn Signer>) -> Self {
        Self { inner, verified: AtomicUsize::new(0) }
    }

    /// The number of verifications since the last time.
    #[must_use]
    pub fn take_verified(&self) -> usize {
        self.verified.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Signer for CountingSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.inner.sign(message).await
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.inner.verify(key, message, signature).await
    }
}

/// Lists every piece of hashing.
#[derive(Debug)]
pub struct CountingHasher {
    inner: Arc<dyn Hasher>,
    runs: Mutex<Vec<&'static str>>,
}

impl CountingHasher {
    /// Counts the work of a hasher.
    #[must_use]
    pub fn new(inner: Arc<dyn Hasher>) -> Self {
        Self { inner, runs: Mutex::default() }
    }

    /// The work since the last time, in order: `hash`, or `compare`, in earnest or in vain.
    #[must_use]
    pub fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Hasher for CountingHasher {
    async fn run(&self, work: HashWork) -> Result<HashOutcome, Busy> {
        let run = match work {
            HashWork::Hash { .. } => "hash",
            HashWork::Verify { .. } | HashWork::Decoy { .. } => "compare",
        };
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        self.inner.run(work).await
    }
}

/// A lab on the memory store whose store and hasher count.
#[derive(Debug)]
pub struct CountedLab {
    /// The lab.
    pub lab: Arc<Lab>,
    /// Its store.
    pub store: Arc<CountingStore>,
    /// Its hasher.
    pub hasher: Arc<CountingHasher>,
}

impl CountedLab {
    /// A new lab with empty counts.
    ///
    /// # Panics
    /// Never: a lab is given its ports before it is there.
    #[must_use]
    pub fn new() -> Self {
        let (made, slot) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
        let (make_store, make_hasher) = (made.clone(), slot.clone());
        let options = LabOptions {
            ports: Some(Box::new(move |ports| {
                ports.store =
                    make_store.get_or_init(|| Arc::new(CountingStore::new(ports.store.clone()))).clone();
                ports.hasher =
                    make_hasher.get_or_init(|| Arc::new(CountingHasher::new(ports.hasher.clone()))).clone();
            })),
            ..LabOptions::default()
        };
        let lab = Arc::new(Lab::with(options));
        let store = made.get().expect("the lab took its ports").clone();
        let hasher = slot.get().expect("the lab took its ports").clone();
        Self { lab, store, hasher }
    }
}

impl Default for CountedLab {
    fn default() -> Self {
        Self::new()
    }
}
