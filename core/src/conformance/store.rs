//! The kit of [`crate::ports::store::Store`]: its properties, and a run against the model.
//!
//! [`store_conformance!`](crate::store_conformance) makes a test of each. A property touches only items whose keys begin
//! with its harness's scope, so that tests may share one backend.

mod concurrency;
mod conditions;
mod differential;
mod expiry;
mod indexes;
mod queries;
mod transactions;
mod values;

use std::{any::Any, fmt, sync::Arc};

use futures::future::BoxFuture;
use serde_json::Value;

pub use self::{
    concurrency::*, conditions::*, differential::behaves_like_the_model, expiry::*, indexes::*, queries::*,
    transactions::*, values::*,
};
use crate::{
    memory::clock::ManualClock,
    ports::store::{Condition, Item, Key, Query, Raw, Store, StoreError, StoreErrorKind, Versioned, Write},
    schema::Table,
};

/// How often a query is repeated until its index has caught up, or a throttled call until it is let through.
const TRIES: usize = 100;

/// A store under test.
pub struct Harness {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock that the store reads. A backend that removes expired items by its own clock needs this one
    /// to start ahead of it.
    pub clock: Arc<ManualClock>,
    scope: String,
    settle: Option<Settle>,
    kept: Option<Kept>,
}

type Kept = Box<dyn Any + Send + Sync>;
type Settle = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

impl Harness {
    /// A store that nobody else uses and whose queries never trail.
    pub fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        Self { store, clock, scope: String::new(), settle: None, kept: None }
    }

    /// Shares the backend with other tests: keys and index values begin with `scope`, which must be new.
    #[must_use]
    pub fn scoped(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Admits queries that trail; between two tries of a query the kit awaits `settle`.
    #[must_use]
    pub fn lagging(mut self, settle: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        self.settle = Some(Box::new(settle));
        self
    }

    /// Keeps something for as long as the store: its directory, its server.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// A name within the scope.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.scope)
    }

    /// The key of an item within the scope.
    fn key(&self, table: &'static Table, name: &str) -> Key {
        Key::new(table, self.name(name))
    }

    /// The second that the clock shows.
    fn now(&self) -> i64 {
        use crate::ports::clock::Clock;
        self.clock.now().as_seconds()
    }

    /// Reads an item that nobody else writes, in both forms.
    async fn get(&self, key: &Key) -> Option<Versioned> {
        let found = self.store.get(key).await.expect("get");
        let raw = self.store.get_raw(key).await.expect("get_raw").map(|raw| match raw {
            Raw::Item(item) => item,
            #[cfg(feature = "text")]
            Raw::Text(text, version) => {
                Versioned { item: serde_json::from_str(&text).expect("an item"), version }
            }
        });
        assert_eq!(raw, found, "{key:?} in both forms");
        found
    }

    /// Reads an item that others write meanwhile.
    async fn latest(&self, key: &Key) -> Versioned {
        self.store.get(key).await.expect("get").unwrap_or_else(|| panic!("{key:?} is absent"))
    }

    /// Reads an item that must be there.
    async fn present(&self, key: &Key) -> Versioned {
        self.get(key).await.unwrap_or_else(|| panic!("{key:?} is absent"))
    }

    /// Stores an item of a key and more attributes, whatever was there.
    async fn put(&self, key: &Key, attributes: Value) -> Versioned {
        self.apply(&[put(key, attributes, Condition::Always)]).await;
        self.present(key).await
    }

    /// Applies writes that must succeed.
    async fn apply(&self, writes: &[Write]) {
        self.transact(writes).await.expect("transact");
    }

    /// Applies writes that must fail, and says how.
    async fn refused(&self, writes: &[Write]) -> StoreErrorKind {
        self.transact(writes).await.expect_err("the transaction must fail").kind
    }

    /// As the store's, but patient when throttled: what the kit tests is the answer in the end.
    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut result = self.store.transact(writes).await;
        for _ in 1..TRIES {
            match &result {
                Err(error) if error.kind == StoreErrorKind::Throttled => {
                    self.settle().await;
                    result = self.store.transact(writes).await;
                }
                _ => break,
            }
        }
        result
    }

    /// Reads every page of a query. No page exceeds the limit, no item comes twice, positions are strings.
    async fn all(&self, query: &Query) -> Vec<Versioned> {
        let (mut query, mut items) = (query.clone(), Vec::<Versioned>::new());
        for _ in 0..10_000 {
            let page = self.store.query(&query).await.expect("query");
            assert!(page.items.len() <= query.limit, "a page of {} for {}", page.items.len(), query.limit);
            for stored in page.items {
                let key = Key::of(query.table, &stored.item).expect("an item without a key");
                if key.hash.starts_with(&self.scope) {
                    assert!(
                        items.iter().all(|earlier| !same_key(query.table, earlier, &stored)),
                        "{key:?} twice"
                    );
                    items.push(stored);
                }
            }
            match page.next {
                Some(next) => {
                    assert!(next.values().all(Value::is_string), "a position that is not of strings");
                    query.after = Some(next);
                }
                None => return items,
            }
        }
        panic!("{query:?} does not end");
    }

    /// Reads the names of a query's items, in order, once they are the expected ones or the tries used up.
    async fn names(&self, query: &Query, expected: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut tries = if self.settle.is_some() { TRIES } else { 1 };
        loop {
            let found: Vec<String> =
                self.all(query).await.iter().map(|stored| self.name_of(query.table, stored)).collect();
            tries -= 1;
            if tries == 0 || expected(&found) {
                return found;
            }
            self.settle().await;
        }
    }

    /// Asserts that a query finds these names, in this order.
    async fn assert_finds(&self, query: &Query, expected: &[&str]) {
        let found = self.names(query, |found| found == expected).await;
        assert_eq!(found, expected, "{query:?}");
    }

    /// Asserts that a query finds these names, in whatever order.
    async fn assert_finds_set(&self, query: &Query, expected: &[&str]) {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        let expected = sorted(&expected.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        let found = self.names(query, |found| sorted(found) == expected).await;
        assert_eq!(sorted(&found), expected, "{query:?}");
    }

    fn name_of(&self, table: &'static Table, stored: &Versioned) -> String {
        let hash = stored.item.get(table.hash).and_then(Value::as_str).unwrap_or_default();
        hash.strip_prefix(&self.scope).unwrap_or(hash).to_owned()
    }

    async fn settle(&self) {
        if let Some(settle) = &self.settle {
            settle().await;
        }
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, clock, scope, settle, kept: _ } = self;
        f.debug_struct("Harness")
            .field("store", store)
            .field("clock", clock)
            .field("scope", scope)
            .field("lags", &settle.is_some())
            .finish_non_exhaustive()
    }
}

/// An item of a key and more attributes.
fn item(key: &Key, attributes: Value) -> Item {
    let Value::Object(mut item) = attributes else { panic!("{attributes} is no object") };
    item.insert(key.table.hash.to_owned(), Value::String(key.hash.clone()));
    if let (Some(name), Some(value)) = (key.table.range, &key.range) {
        item.insert(name.to_owned(), Value::String(value.clone()));
    }
    item
}

fn put(key: &Key, attributes: Value, when: Condition) -> Write {
    Write::Put { key: key.clone(), item: item(key, attributes), when }
}

fn delete(key: &Key, when: Condition) -> Write {
    Write::Delete { key: key.clone(), when }
}

fn check(key: &Key, when: Condition) -> Write {
    Write::Check { key: key.clone(), when }
}

fn same_key(table: &'static Table, one: &Versioned, other: &Versioned) -> bool {
    Key::of(table, &one.item) == Key::of(table, &other.item)
}

/// Makes a test of each property of a [`Store`]. Invoke it in a module of its own.
///
/// `new` is called for each test, without arguments, and returns a future of a fresh [`Harness`]. Either
/// `attribute` marks the tests of an asynchronous runtime, or `block_on` runs their futures:
///
/// ```text
/// store_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = make_store);
/// store_conformance!(block_on = futures::executor::block_on, new = make_store);
/// ```
#[macro_export]
macro_rules! store_conformance {
    (attribute = [$attribute:meta], new = $new:expr) => {
        $crate::store_conformance!(@properties attribute [$attribute] [$new]);
    };
    (block_on = $block_on:path, new = $new:expr) => {
        $crate::store_conformance!(@properties block_on [$block_on] [$new]);
    };
    (@properties $mode:ident $runner:tt $new:tt) => {
        $crate::conformance_tests!(store $mode $runner $new
            a_key_that_was_never_written_is_absent
            every_json_type_comes_back_as_it_was
            text_comes_back_as_it_was
            numbers_come_back_as_they_were
            keys_may_hold_any_character
            both_parts_of_a_key_count
            an_item_of_the_largest_size_is_stored
            a_larger_item_is_refused_and_nothing_written
            a_condition_on_an_absent_item
            a_condition_on_a_present_item
            a_condition_on_another_version
            a_condition_on_an_expired_item
            a_stale_version_conflicts
            a_check_changes_nothing
            deleting_what_is_absent_succeeds
            every_put_changes_the_version
            versions_do_not_repeat_after_deletion
            a_transaction_applies_wholly
            a_failing_transaction_writes_nothing
            the_first_failing_write_is_named
            a_transaction_without_writes_succeeds
            a_hundred_writes_across_tables_succeed
            a_hundred_and_one_writes_are_refused
            one_key_twice_is_refused
            an_item_that_contradicts_its_key_is_refused
            a_key_that_is_not_of_its_table_is_refused
            an_index_finds_by_its_hash
            an_index_orders_by_its_range
            ranges_compare_bytewise
            ranges_may_be_bounded
            a_bounded_query_pages_in_both_directions
            pages_visit_every_item_once
            pages_visit_every_item_once_while_others_come_and_go
            a_query_returns_whole_items_and_their_versions
            an_index_without_range_pages_in_one_order
            an_unknown_index_is_refused
            a_small_table_is_read_whole
            a_table_that_is_not_small_is_not_read_whole
            an_index_holds_only_items_with_its_attributes
            an_index_reads_any_character
            an_index_follows_changed_attributes
            an_index_follows_deletions
            an_index_ignores_what_was_refused
            claims_are_in_no_index
            an_item_expires_at_its_second
            an_expired_item_leaves_queries
            expiry_reads_numbers_only
            of_concurrent_writes_at_a_version_one_wins
            of_concurrent_creations_one_wins
            concurrent_transfers_keep_the_sum
            concurrent_writes_of_many_items_all_arrive
        );
        mod behaves_like_the_model {
            use super::*;
            $crate::store_conformance!(@model $mode $runner $new seed_1 1, seed_2 2, seed_3 3);
        }
    };
    (@model attribute [$attribute:meta] [$new:expr] $($name:ident $seed:literal),+) => {$(
        #[$attribute]
        async fn $name() {
            $crate::conformance::store::behaves_like_the_model(&($new)().await, $seed, 200).await;
        }
    )+};
    (@model block_on [$block_on:path] [$new:expr] $($name:ident $seed:literal),+) => {$(
        #[test]
        fn $name() {
            $block_on(async {
                $crate::conformance::store::behaves_like_the_model(&($new)().await, $seed, 200).await;
            });
        }
    )+};
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_lists_every_property() {
        let files = [
            include_str!("store/concurrency.rs"),
            include_str!("store/conditions.rs"),
            include_str!("store/expiry.rs"),
            include_str!("store/indexes.rs"),
            include_str!("store/queries.rs"),
            include_str!("store/transactions.rs"),
            include_str!("store/values.rs"),
        ];
        crate::conformance::assert_lists_every_property(include_str!("store.rs"), &files);
    }
}
