//! A store that fails when told to, in words that nobody outside may ever read.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use portico_core::App;
use portico_core::ports::store::{Key, Page, Query, Store, StoreError, StoreErrorKind, Versioned, Write};
use portico_tests::client::Client;
use portico_tests::lab::{Lab, settings};

/// What the failures say.
pub(crate) const TELLTALES: [&str; 5] =
    ["telltale", "dynamodb.internal.example", "/var/lib/portico/portico.sqlite", "SELECT item", "StoreError"];

/// Every kind of failure.
pub(crate) const KINDS: [StoreErrorKind; 6] = [
    StoreErrorKind::Throttled,
    StoreErrorKind::Unavailable,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unexpected,
    StoreErrorKind::TooLarge,
    StoreErrorKind::Conflict { write: 0 },
];

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Writes.
    Writes(StoreErrorKind),
    /// Everything.
    All(StoreErrorKind),
}

/// A store in front of another.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: Mutex<Fault>,
}

impl FaultyStore {
    pub(crate) fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn check(&self, writes: bool) -> Result<(), StoreError> {
        let kind = match *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Fault::All(kind) => kind,
            Fault::Writes(kind) if writes => kind,
            _ => return Ok(()),
        };
        let detail = "telltale: SELECT item FROM users at /var/lib/portico/portico.sqlite";
        Err(StoreError::new(kind, detail).caused_by("telltale: dynamodb.internal.example refused us"))
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.check(false)?;
        self.inner.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.check(false)?;
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.check(true)?;
        self.inner.transact(writes).await
    }
}

/// A lab whose store can be made to fail.
pub(crate) fn lab() -> (Arc<Lab>, Client, Arc<FaultyStore>) {
    let mut lab = Lab::new();
    let store = Arc::new(FaultyStore { inner: lab.ports.store.clone(), fault: Mutex::new(Fault::None) });
    lab.ports.store = store.clone();
    lab.app = App::new(settings(&[]), lab.keys.clone(), lab.ports.clone());
    let lab = Arc::new(lab);
    let client = lab.client();
    (lab, client, store)
}
