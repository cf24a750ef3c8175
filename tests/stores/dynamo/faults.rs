//! A network and a DynamoDB that fail now and then: what passes is done once, and nothing else is made of it.

use portico_core::dynamo::store::DynamoStore;
use portico_core::ports::store::{
    Condition, Item, Key, Query, Store, StoreError, StoreErrorKind, Versioned, Write,
};
use portico_core::schema::{COUNTERS, NOTIFICATIONS};
use portico_tests::emulators::Emulators;
use serde_json::json;

use super::{Account, Adapter};

/// What happens to a call, and passes.
const ACTIONS: [&str; 9] = [
    "throttle",
    "internal_error",
    "unavailable",
    "reset",
    "html",
    "truncate",
    "apply_then_reset",
    "apply_then_500",
    "transaction_conflict",
];

/// As long as the rule stands, every call of this operation.
fn always(operation: &str, action: &str) -> serde_json::Value {
    json!({ "service": "dynamodb", "operation": operation, "action": action })
}

/// The next two calls of this operation.
fn twice(operation: &str, action: &str) -> serde_json::Value {
    json!({ "service": "dynamodb", "operation": operation, "action": action, "times": 2 })
}

fn key(name: &str) -> Key {
    Key::new(&COUNTERS, name)
}

fn put(name: &str, count: u64, when: Condition) -> Write {
    let item: Item =
        [(COUNTERS.hash.to_owned(), json!(name)), ("count".to_owned(), json!(count))].into_iter().collect();
    Write::Put { key: key(name), item, when }
}

async fn found(store: &DynamoStore, name: &str) -> Versioned {
    store.get(&key(name)).await.unwrap().expect("an item")
}

fn conflict(outcome: Result<(), StoreError>) -> Option<usize> {
    outcome.unwrap_err().conflicting_write()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_fails_for_a_moment_is_done_once() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::patient_by(adapter, &emulators).await.prepared_store().await;
        for action in ACTIONS {
            emulators.forget_calls().await;
            emulators.misbehave(twice("PutItem", action)).await;
            store
                .transact(&[put(action, 1, Condition::Absent)])
                .await
                .unwrap_or_else(|e| panic!("{action}: {e:?}"));
            assert_eq!(emulators.calls("dynamodb", "PutItem").await, 3, "{action}: one attempt a call");
            let first = found(&store, action).await;
            assert_eq!(first.item["count"], 1, "{action}");
            assert_eq!(
                conflict(store.transact(&[put(action, 2, Condition::Absent)]).await),
                Some(0),
                "{action}"
            );
            emulators.misbehave(twice("PutItem", action)).await;
            let change = put(action, 2, Condition::At(first.version));
            store.transact(std::slice::from_ref(&change)).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
            assert_eq!(found(&store, action).await.item["count"], 2, "{action}");
            emulators.misbehave(twice("PutItem", action)).await;
            let late = store.transact(&[change]).await.unwrap_err();
            // Where the attempts before may have been applied, nobody can tell what became of them.
            let unknown = late.kind == StoreErrorKind::Unavailable;
            assert!(late.conflicting_write() == Some(0) || unknown, "{action}: {late:?}");
            assert_eq!(found(&store, action).await.item["count"], 2, "{action}");
            emulators.behave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_for_a_moment_is_done_once() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::patient_by(adapter, &emulators).await.prepared_store().await;
        for action in ACTIONS.into_iter().chain(["transaction_in_progress"]) {
            let (one, other) = (format!("{action} 1"), format!("{action} 2"));
            let writes = |when| [put(&one, 1, when), put(&other, 1, when)];
            emulators.misbehave(twice("TransactWriteItems", action)).await;
            store.transact(&writes(Condition::Absent)).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
            let (first, second) = (found(&store, &one).await, found(&store, &other).await);
            emulators.misbehave(twice("TransactWriteItems", action)).await;
            let deletions = [
                Write::Delete { key: key(&one), when: Condition::At(first.version) },
                Write::Check { key: key(&other), when: Condition::At(second.version) },
            ];
            store.transact(&deletions).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
            assert!(store.get(&key(&one)).await.unwrap().is_none(), "{action}");
            emulators.misbehave(twice("TransactWriteItems", action)).await;
            assert_eq!(conflict(store.transact(&writes(Condition::Absent)).await), Some(1), "{action}");
            assert!(store.get(&key(&one)).await.unwrap().is_none(), "{action}: all or nothing");
            emulators.behave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_fails_for_a_moment_is_done_once() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::patient_by(adapter, &emulators).await.prepared_store().await;
        for action in ACTIONS {
            store.transact(&[put(action, 1, Condition::Absent)]).await.unwrap();
            let version = found(&store, action).await.version;
            // One that is conditional goes as a transaction, the other as it is.
            emulators
                .misbehave(json!([twice("TransactWriteItems", action), twice("DeleteItem", action)]))
                .await;
            for when in [Condition::At(version), Condition::Always] {
                let deletion = [Write::Delete { key: key(action), when }];
                store.transact(&deletion).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
                assert!(store.get(&key(action)).await.unwrap().is_none(), "{action}");
            }
            emulators.behave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_fail_for_a_moment_are_made_again() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::patient_by(adapter, &emulators).await.prepared_store().await;
        let key = Key::new(&NOTIFICATIONS, "n");
        let item = json!({ "notification_id": "n", "user_id": "u", "created_at": "1" });
        let item = item.as_object().cloned().unwrap();
        store.transact(&[Write::Put { key: key.clone(), item, when: Condition::Absent }]).await.unwrap();
        let query = Query::index(&NOTIFICATIONS, "user_id-created_at-index", "u");
        for action in ACTIONS {
            emulators.misbehave(json!([twice("GetItem", action), twice("Query", action)])).await;
            let found = store.get(&key).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
            assert_eq!(found.unwrap().item["user_id"], "u", "{action}");
            let page = store.query(&query).await.unwrap_or_else(|e| panic!("{action}: {e:?}"));
            assert_eq!(page.items.len(), 1, "{action}");
            emulators.behave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_an_answer_is_given_up_and_made_again() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::patient_by(adapter, &emulators).await.prepared_store().await;
        emulators.misbehave(json!({ "service": "dynamodb", "action": "stall", "times": 1 })).await;
        store.transact(&[put("stalled", 1, Condition::Absent)]).await.unwrap();
        assert_eq!(found(&store, "stalled").await.item["count"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_in_time_is_given_up() {
    for adapter in Adapter::EACH {
        let emulators = Emulators::start();
        let store = Account::restless_by(adapter, &emulators).await.prepared_store().await;
        for (action, kind) in [
            ("throttle", StoreErrorKind::Throttled),
            ("transaction_conflict", StoreErrorKind::Throttled),
            ("internal_error", StoreErrorKind::Unavailable),
            ("unavailable", StoreErrorKind::Unavailable),
            ("reset", StoreErrorKind::Unavailable),
            ("html", StoreErrorKind::Unavailable),
        ] {
            for operation in ["PutItem", "TransactWriteItems", "GetItem"] {
                emulators.misbehave(always(operation, action)).await;
            }
            let one = store.transact(&[put("a", 1, Condition::Absent)]).await.unwrap_err();
            let two = [put("a", 1, Condition::Absent), put("b", 1, Condition::Absent)];
            let two = store.transact(&two).await.unwrap_err();
            let read = store.get(&key("a")).await.unwrap_err();
            assert_eq!([one.kind, two.kind, read.kind], [kind; 3], "{action}");
            emulators.behave().await;
            assert!(store.get(&key("a")).await.unwrap().is_none(), "{action}");
        }
    }
}
