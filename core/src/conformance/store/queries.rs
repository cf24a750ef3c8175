//! Queries: order, bounds, pages.

use serde_json::json;

use super::{Harness, delete, put};
use crate::{
    ports::store::{Condition, Query, RangeBound, StoreErrorKind, Write},
    schema::{DEVICES, NOTIFICATIONS, STATUSES, USERS},
};

const BY_TIME: &str = "user_id-created_at-index";

/// An index finds the items of one hash value and no others.
pub async fn an_index_finds_by_its_hash(h: &Harness) {
    for (id, owner) in [("a", "ann"), ("b", "bob"), ("c", "ann"), ("d", "Ann"), ("e", "an")] {
        h.put(&h.key(&DEVICES, id), json!({"user_id": h.name(owner)})).await;
    }
    let of = |owner: &str| Query::index(&DEVICES, "user_id-index", h.name(owner));
    h.assert_finds_set(&of("ann"), &["a", "c"]).await;
    h.assert_finds_set(&of("Ann"), &["d"]).await;
    h.assert_finds_set(&of("nobody"), &[]).await;
}

/// An index with a range attribute orders by it, in either direction.
pub async fn an_index_orders_by_its_range(h: &Harness) {
    notify(h, &[("x", "2026-03"), ("y", "2026-01"), ("z", "2026-02"), ("w", "2025-12")]).await;
    h.assert_finds(&by_time(h), &["w", "y", "z", "x"]).await;
    h.assert_finds(&by_time(h).descending(), &["x", "z", "y", "w"]).await;
}

/// Ranges compare by the bytes of their UTF-8: neither by locale nor by UTF-16.
pub async fn ranges_compare_bytewise(h: &Harness) {
    notify(
        h,
        &[
            ("1", "\0"),
            ("2", "\0\0"),
            ("3", "10"),
            ("4", "9"),
            ("5", "B"),
            ("6", "a"),
            ("7", "aa"),
            ("8", "b"),
            ("9", "é"),
            ("a", "ｱ"),
            ("b", "😀"),
        ],
    )
    .await;
    h.assert_finds(&by_time(h), &["1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b"]).await;
    h.assert_finds(
        &by_time(h).range(RangeBound::Below("ｱ".into())).descending(),
        &["9", "8", "7", "6", "5", "4", "3", "2", "1"],
    )
    .await;
    h.assert_finds(&by_time(h).range(RangeBound::AtMost("\0\0".into())), &["1", "2"]).await;
}

/// A bound leaves out what lies above, and `Below` the bound itself.
pub async fn ranges_may_be_bounded(h: &Harness) {
    notify(h, &[("a", "1"), ("b", "2"), ("c", "2x"), ("d", "3")]).await;
    h.assert_finds(&by_time(h), &["a", "b", "c", "d"]).await;
    for (bound, expected) in [
        (RangeBound::Below("2".into()), &["a"][..]),
        (RangeBound::AtMost("2".into()), &["a", "b"]),
        (RangeBound::Below("2y".into()), &["a", "b", "c"]),
        (RangeBound::AtMost("9".into()), &["a", "b", "c", "d"]),
        (RangeBound::Below("1".into()), &[]),
        (RangeBound::AtMost("0".into()), &[]),
    ] {
        h.assert_finds(&by_time(h).range(bound.clone()), expected).await;
        let reversed: Vec<&str> = expected.iter().rev().copied().collect();
        h.assert_finds(&by_time(h).range(bound).descending(), &reversed).await;
    }
}

/// Bounds and directions hold on every page.
pub async fn a_bounded_query_pages_in_both_directions(h: &Harness) {
    let ids: Vec<String> = (0..12).map(|n| format!("n{n:02}")).collect();
    let rows: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
    notify(h, &rows).await;
    for limit in [1, 3, 9, 100] {
        let query = by_time(h).range(RangeBound::Below("n09".into())).limit(limit);
        let mut expected: Vec<&str> = ids[..9].iter().map(String::as_str).collect();
        h.assert_finds(&query, &expected).await;
        expected.reverse();
        h.assert_finds(&query.descending(), &expected).await;
    }
}

/// Pages of any size visit every item once, also where ranges are equal.
pub async fn pages_visit_every_item_once(h: &Harness) {
    let ids: Vec<String> = (0..23).map(|n| format!("n{n:02}")).collect();
    for (n, id) in ids.iter().enumerate() {
        notify(h, &[(id, ["early", "late"][n % 2])]).await;
    }
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    for limit in [1, 2, 7, 22, 23, 24, 1000] {
        h.assert_finds_set(&by_time(h).limit(limit), &expected).await;
        h.assert_finds_set(&by_time(h).limit(limit).descending(), &expected).await;
    }
}

/// What is there from the first page to the last is visited once, whatever comes and goes meanwhile, were it
/// the very item where a page ended.
pub async fn pages_visit_every_item_once_while_others_come_and_go(h: &Harness) {
    let lasting: Vec<String> = (0..20).map(|n| format!("n{n:02}-lasting")).collect();
    let fleeting: Vec<String> = (0..20).map(|n| format!("n{n:02}-fleeting")).collect();
    for id in lasting.iter().chain(&fleeting) {
        notify(h, &[(id, id)]).await;
    }
    for descending in [false, true] {
        let mut query = by_time(h).limit(3);
        if descending {
            query = query.descending();
        }
        h.names(&query, |found| lasting.iter().all(|id| found.contains(id))).await;
        let mut visited: Vec<String> = Vec::new();
        let mut ended = false;
        for round in 0..60 {
            let page = h.store.query(&query).await.expect("query");
            visited.extend(page.items.iter().map(|stored| h.name_of(&NOTIFICATIONS, stored)));
            let Some(next) = page.next else {
                ended = true;
                break;
            };
            query.after = Some(next);
            let ended_at = visited.last().cloned().unwrap_or_default();
            if fleeting.contains(&ended_at) {
                h.apply(&[delete(&h.key(&NOTIFICATIONS, &ended_at), Condition::Always)]).await;
            }
            if let Some(gone) = fleeting.get(round) {
                h.apply(&[delete(&h.key(&NOTIFICATIONS, gone), Condition::Always)]).await;
                let new = format!("n{:02}-new", 19 - round);
                notify(h, &[(&new, &new)]).await;
            }
            h.settle().await;
        }
        assert!(ended, "the pages do not end");
        for id in &lasting {
            assert_eq!(visited.iter().filter(|name| *name == id).count(), 1, "{id} in {visited:?}");
        }
        let mut distinct = visited.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), visited.len(), "{visited:?}");
    }
}

/// A query returns what `get` returns: whole items with their versions.
pub async fn a_query_returns_whole_items_and_their_versions(h: &Harness) {
    let key = h.key(&NOTIFICATIONS, "n");
    let attributes = json!({"user_id": h.name("ann"), "created_at": "1", "data": {"deep": [1, null, "\0"]}});
    h.put(&key, attributes.clone()).await;
    let stored = h.put(&key, attributes).await;
    h.names(&by_time(h), |found| found == ["n"]).await;
    let mut found = h.all(&by_time(h)).await;
    for _ in 0..super::TRIES {
        if found == [stored.clone()] {
            break;
        }
        h.settle().await;
        found = h.all(&by_time(h)).await;
    }
    assert_eq!(found, [stored]);
}

/// Without a range attribute the order is the store's own, but the same from page to page.
pub async fn an_index_without_range_pages_in_one_order(h: &Harness) {
    let ids: Vec<String> = (0..17).map(|n| format!("d{}", n * 7 % 17)).collect();
    for id in &ids {
        h.put(&h.key(&DEVICES, id), json!({"user_id": h.name("ann")})).await;
    }
    let query = Query::index(&DEVICES, "user_id-index", h.name("ann"));
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    h.assert_finds_set(&query, &expected).await;
    let whole = h.names(&query, |_| true).await;
    for limit in [1, 2, 5, 16, 17] {
        assert_eq!(h.names(&query.clone().limit(limit), |found| found == whole).await, whole);
    }
}

/// An index that the schema does not have is a mistake.
pub async fn an_unknown_index_is_refused(h: &Harness) {
    for query in [
        Query::index(&USERS, "no-index", h.name("x")),
        Query::index(&STATUSES, "user_id-index", h.name("x")),
        Query::index(&USERS, "", h.name("x")),
    ] {
        let error = h.store.query(&query).await.expect_err("an unknown index");
        assert_eq!(error.kind, StoreErrorKind::Unexpected);
    }
}

/// A table that is small by nature is read whole, in pages of any size.
pub async fn a_small_table_is_read_whole(h: &Harness) {
    h.assert_finds_set(&Query::whole(&STATUSES), &[]).await;
    let ids: Vec<String> = (0..11).map(|n| format!("s{n:02}")).collect();
    let writes: Vec<Write> =
        ids.iter().map(|id| put(&h.key(&STATUSES, id), json!({}), Condition::Absent)).collect();
    h.apply(&writes).await;
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    for limit in [1, 4, 10, 11, 1000] {
        h.assert_finds_set(&Query::whole(&STATUSES).limit(limit), &expected).await;
    }
}

/// Reading another table whole is a mistake.
pub async fn a_table_that_is_not_small_is_not_read_whole(h: &Harness) {
    let error = h.store.query(&Query::whole(&USERS)).await.expect_err("a table that is not small");
    assert_eq!(error.kind, StoreErrorKind::Unexpected);
}

/// The notifications of the user whom [`notify`] notifies.
fn by_time(h: &Harness) -> Query {
    Query::index(&NOTIFICATIONS, BY_TIME, h.name("ann"))
}

/// Stores notifications with these ids and times, for one user; and another user's beside each.
async fn notify(h: &Harness, rows: &[(&str, &str)]) {
    for (id, created_at) in rows {
        let (mine, other) = (h.key(&NOTIFICATIONS, id), h.key(&NOTIFICATIONS, &format!("{id}-of-bob")));
        h.apply(&[
            put(&mine, json!({"user_id": h.name("ann"), "created_at": created_at}), Condition::Always),
            put(&other, json!({"user_id": h.name("bob"), "created_at": created_at}), Condition::Always),
        ])
        .await;
    }
}
