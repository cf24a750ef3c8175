//! Transactions: all or nothing, and what none may hold.

use serde_json::json;

use super::{Harness, check, delete, item, put};
use crate::{
    ports::store::{Condition, Key, MAX_WRITES, StoreErrorKind, Write},
    schema::{COUNTERS, OUTBOX, STATUSES, Table, USER_VERIFICATIONS, USERS},
};

/// Puts, deletions and checks of one transaction all happen.
pub async fn a_transaction_applies_wholly(h: &Harness) {
    let (old, new, kept) = (h.key(&USERS, "old"), h.key(&STATUSES, "new"), h.key(&COUNTERS, "kept"));
    let changed = Key::with_range(&USER_VERIFICATIONS, h.name("changed"), "email");
    h.put(&old, json!({})).await;
    let before = h.put(&changed, json!({"n": 1})).await;
    let checked = h.put(&kept, json!({"n": 1})).await;
    h.apply(&[
        delete(&old, Condition::Present),
        put(&new, json!({"n": 3}), Condition::Absent),
        put(&changed, json!({"n": 2}), Condition::At(before.version)),
        check(&kept, Condition::At(checked.version)),
    ])
    .await;
    assert_eq!(h.get(&old).await, None);
    assert_eq!(h.present(&new).await.item["n"], 3);
    assert_eq!(h.present(&changed).await.item["n"], 2);
    assert_eq!(h.present(&kept).await, checked);
}

/// One condition that does not hold, at any place, and nothing is written.
pub async fn a_failing_transaction_writes_nothing(h: &Harness) {
    let (absent, present, other) =
        (h.key(&USERS, "absent"), h.key(&STATUSES, "present"), h.key(&OUTBOX, "other"));
    let stored = h.put(&present, json!({"n": 1})).await;
    for place in 0..3 {
        let mut writes =
            vec![put(&absent, json!({}), Condition::Absent), delete(&present, Condition::At(stored.version))];
        writes.insert(place, check(&other, Condition::Present));
        assert_eq!(h.refused(&writes).await, StoreErrorKind::Conflict { write: place });
        assert_eq!(h.get(&absent).await, None);
        assert_eq!(h.present(&present).await, stored);
    }
}

/// Of several conditions that do not hold, the first is named; all are judged against the state before.
pub async fn the_first_failing_write_is_named(h: &Harness) {
    let keys: Vec<Key> = (0..6).map(|n| h.key(&USERS, &format!("{n}"))).collect();
    h.put(&keys[1], json!({})).await;
    h.put(&keys[4], json!({})).await;
    let writes = |conditions: [Condition; 6]| -> Vec<Write> {
        keys.iter().zip(conditions).map(|(key, when)| put(key, json!({}), when)).collect()
    };
    use Condition::{Absent, Always, Present};
    for (conditions, write) in [
        ([Always, Absent, Absent, Present, Absent, Present], 1),
        ([Absent, Present, Always, Present, Absent, Always], 3),
        ([Absent, Present, Absent, Absent, Absent, Absent], 4),
        ([Absent, Always, Absent, Absent, Present, Present], 5),
    ] {
        assert_eq!(h.refused(&writes(conditions)).await, StoreErrorKind::Conflict { write });
    }
}

/// No writes: nothing happens, successfully.
pub async fn a_transaction_without_writes_succeeds(h: &Harness) {
    h.apply(&[]).await;
}

/// The largest transaction, across tables.
pub async fn a_hundred_writes_across_tables_succeed(h: &Harness) {
    let keys = many_keys(h, MAX_WRITES);
    let writes: Vec<Write> = keys.iter().map(|key| put(key, json!({"n": 1}), Condition::Absent)).collect();
    h.apply(&writes).await;
    for key in &keys {
        assert_eq!(h.present(key).await.item["n"], 1);
    }
    let writes: Vec<Write> = keys.iter().map(|key| delete(key, Condition::Present)).collect();
    h.apply(&writes).await;
    for key in &keys {
        assert_eq!(h.get(key).await, None);
    }
}

/// One write more is refused, whatever it is, and nothing is written.
pub async fn a_hundred_and_one_writes_are_refused(h: &Harness) {
    let keys = many_keys(h, MAX_WRITES + 1);
    let mut writes: Vec<Write> = keys.iter().map(|key| put(key, json!({}), Condition::Always)).collect();
    writes[MAX_WRITES] = check(&keys[MAX_WRITES], Condition::Always);
    assert_eq!(h.refused(&writes).await, StoreErrorKind::Unexpected);
    for key in &keys {
        assert_eq!(h.get(key).await, None);
    }
}

/// A transaction holds a key once; the same name in another table is another key.
pub async fn one_key_twice_is_refused(h: &Harness) {
    let (key, namesake) = (h.key(&USERS, "twice"), h.key(&STATUSES, "twice"));
    let write = put(&key, json!({}), Condition::Always);
    for again in [write.clone(), delete(&key, Condition::Always), check(&key, Condition::Always)] {
        let writes = [write.clone(), put(&namesake, json!({}), Condition::Always), again];
        assert_eq!(h.refused(&writes).await, StoreErrorKind::Unexpected);
    }
    assert_eq!(h.get(&key).await, None);
    assert_eq!(h.get(&namesake).await, None);
    h.apply(&[write, put(&namesake, json!({}), Condition::Always)]).await;
}

/// An item's key attributes repeat its key.
pub async fn an_item_that_contradicts_its_key_is_refused(h: &Harness) {
    let (key, other) = (h.key(&USERS, "one"), h.key(&USERS, "other"));
    let pair = Key::with_range(&USER_VERIFICATIONS, h.name("one"), "email");
    let other_pair = Key::with_range(&USER_VERIFICATIONS, h.name("one"), "phone");
    for (key, wrong) in [
        (&key, item(&other, json!({}))),
        (&key, item(&h.key(&STATUSES, "one"), json!({}))),
        (&pair, item(&other_pair, json!({}))),
        (&pair, item(&key, json!({}))),
    ] {
        let write = Write::Put { key: key.clone(), item: wrong, when: Condition::Always };
        assert_eq!(h.refused(&[write]).await, StoreErrorKind::Unexpected);
    }
    for key in [&key, &other, &pair, &other_pair] {
        assert_eq!(h.get(key).await, None);
    }
}

/// A key has the parts that its table asks for, and none of them empty.
pub async fn a_key_that_is_not_of_its_table_is_refused(h: &Harness) {
    for key in [
        h.key(&USER_VERIFICATIONS, "without range"),
        Key::with_range(&USERS, h.name("with range"), "email"),
        Key::with_range(&USER_VERIFICATIONS, h.name("empty range"), ""),
        Key::new(&USERS, ""),
    ] {
        for write in [
            put(&key, json!({}), Condition::Always),
            delete(&key, Condition::Always),
            check(&key, Condition::Always),
        ] {
            assert_eq!(h.refused(&[write]).await, StoreErrorKind::Unexpected, "{key:?}");
        }
    }
}

fn many_keys(h: &Harness, count: usize) -> Vec<Key> {
    let tables: [&'static Table; 4] = [&USERS, &STATUSES, &COUNTERS, &OUTBOX];
    let mut keys: Vec<Key> =
        (1..count).map(|n| h.key(tables[n % tables.len()], &format!("many{n:03}"))).collect();
    keys.push(Key::with_range(&USER_VERIFICATIONS, h.name("many"), "email"));
    keys
}
