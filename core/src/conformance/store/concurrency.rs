//! Many callers at once.

use futures::future::join_all;
use serde_json::json;

use super::{Harness, put};
use crate::{
    ports::store::{Condition, Key, StoreError, StoreErrorKind},
    schema::{COUNTERS, USERS},
};

const CALLERS: u64 = 32;

/// Of many writes at the same version, one is applied and the others conflict.
pub async fn of_concurrent_writes_at_a_version_one_wins(h: &Harness) {
    let key = h.key(&USERS, "raced");
    for round in 0..4 {
        let before = h.put(&key, json!({"round": round})).await;
        one_wins(h, &key, Condition::At(before.version)).await;
    }
}

/// Of many creations of one key, one is applied and the others conflict.
pub async fn of_concurrent_creations_one_wins(h: &Harness) {
    for round in 0..4 {
        one_wins(h, &h.key(&USERS, &format!("created{round}")), Condition::Absent).await;
    }
}

/// Transfers between two items, each of which reads both and writes both, keep their sum.
pub async fn concurrent_transfers_keep_the_sum(h: &Harness) {
    let keys = [h.key(&COUNTERS, "one"), h.key(&COUNTERS, "other")];
    for key in &keys {
        h.put(key, json!({"n": 1000})).await;
    }
    join_all((1..=12).map(|amount| transfer(h, &keys, amount))).await;
    let [one, other] = [amount(h, &keys[0]).await, amount(h, &keys[1]).await];
    assert_eq!((one, other), (1000 - 78, 1000 + 78));
}

/// Writes of different items do not hinder one another.
pub async fn concurrent_writes_of_many_items_all_arrive(h: &Harness) {
    let keys: Vec<Key> = (0..CALLERS).map(|n| h.key(&USERS, &format!("{n}"))).collect();
    join_all(keys.iter().map(|key| async move {
        h.apply(&[put(key, json!({"n": 0}), Condition::Absent)]).await;
        for n in 1..5 {
            let version = h.present(key).await.version;
            h.apply(&[put(key, json!({"n": n}), Condition::At(version))]).await;
        }
    }))
    .await;
    for key in &keys {
        assert_eq!(h.present(key).await.item["n"], 4);
    }
}

async fn one_wins(h: &Harness, key: &Key, when: Condition) {
    let attempts =
        (0..CALLERS).map(|n| async move { h.transact(&[put(key, json!({"winner": n}), when)]).await });
    let results: Vec<Result<(), StoreError>> = join_all(attempts).await;
    let winners: Vec<usize> =
        results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(error.kind, StoreErrorKind::Conflict { write: 0 });
    }
    assert_eq!(h.present(key).await.item["winner"], winners[0]);
}

async fn transfer(h: &Harness, keys: &[Key; 2], amount: i64) {
    for _ in 0..1000 {
        let (one, other) = (h.latest(&keys[0]).await, h.latest(&keys[1]).await);
        let moved = |stored: &crate::ports::store::Versioned, by: i64| json!({"n": stored.item["n"].as_i64().expect("a balance") + by});
        let writes = [
            put(&keys[0], moved(&one, -amount), Condition::At(one.version)),
            put(&keys[1], moved(&other, amount), Condition::At(other.version)),
        ];
        match h.transact(&writes).await {
            Ok(()) => return,
            Err(error) => assert!(error.conflicting_write().is_some(), "{error}"),
        }
    }
    panic!("a transfer never got through");
}

async fn amount(h: &Harness, key: &Key) -> i64 {
    h.present(key).await.item["n"].as_i64().expect("a balance")
}
