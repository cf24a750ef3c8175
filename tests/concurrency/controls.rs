//! That the judges condemn: stores that are broken on purpose, and scenarios that must find it out.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use portico_core::ports::store::{Condition, Key, Page, Query, Store, StoreError, Versioned, Write};

use crate::stage::{Ground, Scenario, play};
use crate::{codes, limits, names, registers, sessions};

/// Loses the race that a condition decides: what was to be written at a version is written whatever is there.
#[derive(Debug)]
struct Careless(Arc<dyn Store>);

#[async_trait]
impl Store for Careless {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.0.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.0.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        let careless = |condition: Condition| match condition {
            Condition::At(_) | Condition::Absent => Condition::Always,
            other => other,
        };
        let writes: Vec<Write> = writes
            .iter()
            .cloned()
            .map(|write| match write {
                Write::Put { key, item, when } => Write::Put { key, item, when: careless(when) },
                Write::Delete { key, when } => Write::Delete { key, when: careless(when) },
                Write::Check { key, when } => Write::Check { key, when: careless(when) },
            })
            .collect();
        self.0.transact(&writes).await
    }
}

/// Reads of a key every other time what was read before.
#[derive(Debug)]
struct Stale {
    inner: Arc<dyn Store>,
    read: Mutex<HashMap<String, (bool, Option<Versioned>)>>,
}

#[async_trait]
impl Store for Stale {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let fresh = self.inner.get(key).await?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_stale, before) = read.entry(key.hash.clone()).or_default();
        *is_stale = !*is_stale;
        if *is_stale {
            return Ok(before.clone());
        }
        before.clone_from(&fresh);
        Ok(fresh)
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.inner.transact(writes).await
    }
}

/// How many of twenty seeds find it out.
fn found_out(scenario: &Scenario, wrap: fn(Arc<dyn Store>) -> Arc<dyn Store>) -> usize {
    let finds = |seed: &u64| {
        let played = || play(scenario, &Ground::Wrapped(wrap), [*seed]);
        catch_unwind(AssertUnwindSafe(played)).is_err()
    };
    (1..=20).filter(finds).count()
}

#[test]
fn a_store_that_ignores_conditions_is_found_out() {
    let careless = |store| Arc::new(Careless(store)) as Arc<dyn Store>;
    for scenario in [
        &names::REGISTRATIONS,
        &names::CHANGES,
        &sessions::ROTATION,
        &sessions::PASSWORDS,
        &codes::GUESSES,
        &limits::QUOTA,
        &limits::FAILURES,
        &registers::STORE,
    ] {
        let found = found_out(scenario, careless);
        assert!(found >= 10, "{}: {found} of 20 seeds find it out", scenario.name);
    }
}

#[test]
fn a_store_that_reads_what_was_before_is_found_out() {
    let stale = |inner| Arc::new(Stale { inner, read: Mutex::default() }) as Arc<dyn Store>;
    let found = found_out(&registers::STORE, stale);
    assert!(found >= 10, "{found} of 20 seeds find it out");
}
