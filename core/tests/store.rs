//! The store kit against the model itself, with and without trailing indexes.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::sync::Arc;

use portico_core::{
    conformance::store::Harness,
    memory::{
        clock::ManualClock,
        entropy::SeededEntropy,
        store::{Lag, MemoryStore},
    },
};

fn harness(lag: Lag) -> Harness {
    let clock = Arc::new(ManualClock::default());
    let entropy = Arc::new(SeededEntropy::new(7));
    let store = Arc::new(MemoryStore::with_lagging_indexes(clock.clone(), entropy, lag));
    let lagging = store.clone();
    Harness::new(store, clock).lagging(move || {
        let store = lagging.clone();
        Box::pin(async move { store.catch_up() })
    })
}

mod immediate {
    use super::*;

    async fn new() -> Harness {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(7))));
        Harness::new(store, clock)
    }

    portico_core::store_conformance!(block_on = futures::executor::block_on, new = new);
}

mod until_caught_up {
    use super::*;

    async fn new() -> Harness {
        harness(Lag::UntilCaughtUp)
    }

    portico_core::store_conformance!(block_on = futures::executor::block_on, new = new);
}

mod by_transactions {
    use super::*;

    async fn new() -> Harness {
        harness(Lag::Transactions(3)).scoped("scope/")
    }

    portico_core::store_conformance!(block_on = futures::executor::block_on, new = new);
}

mod lag {
    use futures::executor::block_on;
    use portico_core::{
        ports::{
            store::{Condition, Item, Key, Query, Store, Write},
            store_ext::StoreExt,
        },
        schema::USERS,
    };
    use serde_json::json;

    use super::*;

    fn lagging(lag: Lag) -> MemoryStore {
        let (clock, entropy) = (ManualClock::default(), SeededEntropy::new(7));
        MemoryStore::with_lagging_indexes(Arc::new(clock), Arc::new(entropy), lag)
    }

    async fn add(store: &MemoryStore, id: &str) {
        let mut item = Item::new();
        item.insert("user_id".into(), json!(id));
        item.insert("username".into(), json!("ann"));
        let key = Key::new(&USERS, id);
        store.write(Write::Put { key: key.clone(), item, when: Condition::Absent }).await.unwrap();
        assert!(store.get(&key).await.unwrap().is_some());
    }

    async fn seen(store: &MemoryStore) -> usize {
        store.query(&Query::index(&USERS, "username-index", "ann")).await.unwrap().items.len()
    }

    #[test]
    fn queries_trail_until_caught_up() {
        block_on(async {
            let store = lagging(Lag::UntilCaughtUp);
            add(&store, "a").await;
            add(&store, "b").await;
            assert_eq!(seen(&store).await, 0);
            store.catch_up();
            assert_eq!(seen(&store).await, 2);
        });
    }

    #[test]
    fn queries_trail_by_a_number_of_transactions() {
        block_on(async {
            let store = lagging(Lag::Transactions(1));
            add(&store, "a").await;
            assert_eq!(seen(&store).await, 0);
            add(&store, "b").await;
            assert_eq!(seen(&store).await, 1);
        });
    }
}
