//! The store in memory: the model that every other store is compared with.
//!
//! It is written to be read: tables are ordered maps, queries sort. Nothing survives the process.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::ports::store_index::{Place, Plan, is_expired, new_versions};
use crate::{
    ports::{
        clock::Clock,
        entropy::Entropy,
        store::{Key, Order, Page, Query, Store, StoreError, Version, Versioned, Write},
        store_ext::check_writes,
    },
    schema::Table,
    time::Timestamp,
};

/// Keeps items in memory.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    lag: Lag,
    state: Mutex<State>,
}

/// How far queries trail transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Queries see what the last [`MemoryStore::catch_up`] saw.
    UntilCaughtUp,
    /// Queries do not see the latest transactions, so many of them; `Transactions(0)` sees all.
    Transactions(usize),
}

impl MemoryStore {
    /// An empty store whose queries see every transaction at once.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::with_lagging_indexes(clock, entropy, Lag::Transactions(0))
    }

    /// An empty store whose queries trail, as those of a distributed store do. `get` never does.
    #[must_use]
    pub fn with_lagging_indexes(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, lag: Lag) -> Self {
        Self { clock, entropy, lag, state: Mutex::default() }
    }

    /// Lets queries see everything that was written so far.
    pub fn catch_up(&self) {
        self.state().reveal_all_but(0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock cannot leave it half-changed: all that can fail comes before any change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self.state().latest.find(key, self.clock.now()).cloned())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let plan = Plan::of(query)?;
        Ok(self.state().visible.page(&plan, self.clock.now()))
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        check_writes(writes)?;
        let versions = new_versions(&*self.entropy, writes.len())?;
        let now = self.clock.now();
        let mut state = self.state();
        for (index, write) in writes.iter().enumerate() {
            let current = state.latest.find(write.key(), now).map(|stored| stored.version);
            if !write.when().holds(current) {
                return Err(StoreError::conflict(index));
            }
        }
        let changes: Changes =
            writes.iter().zip(versions).filter_map(|(write, version)| change(write, version)).collect();
        state.latest.apply(&changes);
        state.hidden.push_back(changes);
        if let Lag::Transactions(count) = self.lag {
            state.reveal_all_but(count);
        }
        Ok(())
    }
}

/// What a transaction does to each key that it changes: the item it stores, or `None`.
type Changes = Vec<(Key, Option<Versioned>)>;

fn change(write: &Write, version: Version) -> Option<(Key, Option<Versioned>)> {
    match write {
        Write::Put { key, item, .. } => Some((key.clone(), Some(Versioned { item: item.clone(), version }))),
        Write::Delete { key, .. } => Some((key.clone(), None)),
        Write::Check { .. } => None,
    }
}

#[derive(Debug, Default)]
struct State {
    /// What `get` and conditions see.
    latest: Tables,
    /// What queries see: `latest` without the changes in `hidden`.
    visible: Tables,
    hidden: VecDeque<Changes>,
}

impl State {
    fn reveal_all_but(&mut self, count: usize) {
        while self.hidden.len() > count {
            if let Some(changes) = self.hidden.pop_front() {
                self.visible.apply(&changes);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Tables(BTreeMap<&'static str, BTreeMap<RowKey, Versioned>>);

type RowKey = (String, Option<String>);

impl Tables {
    fn find(&self, key: &Key, now: Timestamp) -> Option<&Versioned> {
        let row = self.0.get(key.table.name)?.get(&row_key(key))?;
        (!is_expired(key.table, &row.item, now)).then_some(row)
    }

    fn apply(&mut self, changes: &Changes) {
        for (key, change) in changes {
            let table = self.0.entry(key.table.name).or_default();
            match change {
                Some(stored) => table.insert(row_key(key), stored.clone()),
                None => table.remove(&row_key(key)),
            };
        }
    }

    fn page(&self, plan: &Plan<'_>, now: Timestamp) -> Page {
        let mut rows = self.rows(plan.table, plan, now);
        rows.sort_by(|(one, _), (other, _)| in_order(plan.order, one.cmp(other)));
        if let Some(after) = &plan.after {
            rows.retain(|(place, _)| in_order(plan.order, place.cmp(after)).is_gt());
        }
        let more = rows.len() > plan.limit;
        let items: Vec<_> = rows.into_iter().take(plan.limit).map(|(_, row)| row.clone()).collect();
        let next = items.last().filter(|_| more).map(|last| plan.position_of(&last.item));
        Page { items, next }
    }

    fn rows(&self, table: &'static Table, plan: &Plan<'_>, now: Timestamp) -> Vec<(Place, &Versioned)> {
        let index = plan.index.map(|(index, _)| index);
        let rows = self.0.get(table.name).into_iter().flat_map(BTreeMap::values);
        rows.filter(|row| !is_expired(table, &row.item, now) && plan.selects(&row.item))
            .filter_map(|row| Some((Place::of(table, index, &row.item)?, row)))
            .collect()
    }
}

fn row_key(key: &Key) -> RowKey {
    (key.hash.clone(), key.range.clone())
}

fn in_order(order: Order, ascending: std::cmp::Ordering) -> std::cmp::Ordering {
    match order {
        Order::Ascending => ascending,
        Order::Descending => ascending.reverse(),
    }
}
