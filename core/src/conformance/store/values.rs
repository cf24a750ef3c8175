//! What goes in comes out: items, keys, sizes.

use serde_json::{Value, json};

use super::{Harness, item, put};
use crate::{
    ports::store::{Condition, Key, MAX_ITEM_BYTES, StoreErrorKind},
    schema::{STATUSES, USER_VERIFICATIONS, USERS},
};

/// Nothing is read where nothing was written.
pub async fn a_key_that_was_never_written_is_absent(h: &Harness) {
    assert_eq!(h.get(&h.key(&USERS, "nobody")).await, None);
    assert_eq!(h.get(&Key::with_range(&USER_VERIFICATIONS, h.name("nobody"), "email")).await, None);
}

/// Every type of JSON comes back as it was, nested and empty.
pub async fn every_json_type_comes_back_as_it_was(h: &Harness) {
    comes_back(
        h,
        json!({
            "null": null, "true": true, "false": false, "number": 1, "string": "s",
            "array": [null, true, 1, "s", [], {}, [[["deep"]]]],
            "object": {"a": {"b": {"c": [{"d": null}]}}, "empty": {}},
            "empty array": [], "empty object": {},
        }),
    )
    .await;
    comes_back(h, json!({})).await;
}

/// Text comes back as it was: empty, with NUL and quotes, in every script; in names of attributes too.
pub async fn text_comes_back_as_it_was(h: &Harness) {
    comes_back(
        h,
        json!({
            "empty": "", "nul": "\0 a\0b \0", "control": "\u{1}\u{1f}\u{7f}\t\r\n", "quotes": r#"'"`\\"#,
            "scripts": "åßΩЖعऔ漢字 e\u{301}", "emoji": "👩‍👩‍👧🏳️‍🌈", "edges": "\u{d7ff}\u{e000}\u{fffd}\u{10ffff}",
            "spaces": "  leading and trailing  ", "$.a[0]": "path", "名\0'\"": "name",
            "nested": {"名": ["\0", ""]},
        }),
    )
    .await;
}

/// Numbers come back as they were: the extremes of 64 bits, fractions, and what is larger.
pub async fn numbers_come_back_as_they_were(h: &Harness) {
    comes_back(
        h,
        json!({
            "integers": [0, -1, i64::MIN, i64::MAX, u64::MAX, 9_007_199_254_740_993_i64],
            "fractions": [0.1, -2.5, 1.5e100, -1.25e-100, 123_456.789, 0.300_000_000_000_000_04],
            // The first is read as its neighbour by readers that do not read every digit.
            "large": [1.284_467_440_737_095_5e20, 1e300, f64::MAX, f64::MIN_POSITIVE],
        }),
    )
    .await;
}

/// A key may hold any character, and be long; similar keys stay apart.
pub async fn keys_may_hold_any_character(h: &Harness) {
    let long = "k".repeat(1024 - h.name("").len());
    let longer = format!("{}x", &long[1..]);
    let names = [
        "a",
        "A",
        "a ",
        " a",
        "a#b",
        "a/b",
        "a'b",
        "a\"b",
        "a\\b",
        "a%b_",
        "a\0",
        "a\0b",
        "a\nb",
        "é",
        "e\u{301}",
        "👩‍👩‍👧",
        "\u{10ffff}",
        "1",
        "01",
        "null",
        "{}",
        &long,
        &longer,
    ];
    for name in names {
        h.apply(&[put(&h.key(&USERS, name), json!({"name": name}), Condition::Absent)]).await;
        let pair = Key::with_range(&USER_VERIFICATIONS, h.name("pair"), name);
        h.apply(&[put(&pair, json!({"name": name}), Condition::Absent)]).await;
    }
    for name in names {
        assert_eq!(h.present(&h.key(&USERS, name)).await.item["name"], name);
        let pair = Key::with_range(&USER_VERIFICATIONS, h.name("pair"), name);
        assert_eq!(h.present(&pair).await.item["name"], name);
    }
}

/// In a table with a range attribute, both parts make the key.
pub async fn both_parts_of_a_key_count(h: &Harness) {
    let pairs = [("a", "b"), ("a", "c"), ("b", "a"), ("ab", "b"), ("a", "bb"), ("a#b", "c"), ("a", "b#c")];
    let key = |(hash, range): (&str, &str)| Key::with_range(&USER_VERIFICATIONS, h.name(hash), range);
    for pair in pairs {
        h.apply(&[put(&key(pair), json!({"pair": format!("{pair:?}")}), Condition::Absent)]).await;
    }
    for pair in pairs {
        assert_eq!(h.present(&key(pair)).await.item["pair"], format!("{pair:?}"));
    }
}

/// An item whose text is [`MAX_ITEM_BYTES`] long is stored.
pub async fn an_item_of_the_largest_size_is_stored(h: &Harness) {
    let key = h.key(&STATUSES, "large");
    let attributes = sized(&key, MAX_ITEM_BYTES);
    assert_eq!(h.put(&key, attributes.clone()).await.item, item(&key, attributes));
}

/// A larger one is refused, and with it what else the transaction holds.
pub async fn a_larger_item_is_refused_and_nothing_written(h: &Harness) {
    let (small, large) = (h.key(&STATUSES, "small"), h.key(&STATUSES, "large"));
    let writes = [
        put(&small, json!({}), Condition::Always),
        put(&large, sized(&large, MAX_ITEM_BYTES + 1), Condition::Always),
    ];
    assert_eq!(h.refused(&writes).await, StoreErrorKind::TooLarge);
    assert_eq!(h.get(&small).await, None);
    assert_eq!(h.get(&large).await, None);
}

async fn comes_back(h: &Harness, attributes: Value) {
    let key = h.key(&USERS, "values");
    let stored = h.put(&key, attributes.clone()).await;
    assert_eq!(stored.item, item(&key, attributes));
}

/// Attributes that make the key's item so many bytes of text.
fn sized(key: &Key, bytes: usize) -> Value {
    let empty = serde_json::to_string(&item(key, json!({"text": ""}))).unwrap().len();
    json!({"text": "x".repeat(bytes - empty)})
}
