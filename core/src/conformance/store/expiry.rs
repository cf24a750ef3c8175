//! Expiry: gone at the second, whether or not anything was purged.

use serde_json::{Value, json};

use super::Harness;
use crate::{
    ports::store::{Key, Query},
    schema::{NOTIFICATIONS, SESSIONS, USER_VERIFICATIONS, USERS},
};

/// An item is there until the second that it names, and not in it.
pub async fn an_item_expires_at_its_second(h: &Harness) {
    let expires = h.now() + 60;
    let session = h.key(&SESSIONS, "s");
    let code = Key::with_range(&USER_VERIFICATIONS, h.name("u"), "email");
    let user = h.key(&USERS, "u");
    h.put(&session, json!({"purge_at": expires})).await;
    h.put(&code, json!({"expires_at": expires})).await;
    h.put(&user, json!({"purge_at": expires, "expires_at": expires})).await;
    h.clock.advance_ms(59_999);
    h.present(&session).await;
    h.present(&code).await;
    h.clock.advance_ms(1);
    assert_eq!(h.get(&session).await, None);
    assert_eq!(h.get(&code).await, None);
    h.clock.advance(100_000);
    assert_eq!(h.get(&session).await, None);
    h.present(&user).await;
}

/// Queries leave expired items out at once, and go on behind them.
pub async fn an_expired_item_leaves_queries(h: &Harness) {
    let expires = h.now() + 60;
    for n in 0..9 {
        let mut attributes = json!({"user_id": h.name("ann"), "created_at": format!("{n}")});
        if n % 3 != 0 {
            attributes["purge_at"] = json!(expires);
        }
        h.put(&h.key(&NOTIFICATIONS, &format!("n{n}")), attributes).await;
    }
    let query = Query::index(&NOTIFICATIONS, "user_id-created_at-index", h.name("ann"));
    h.assert_finds(&query, &["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"]).await;
    h.clock.advance(60);
    for limit in [1, 2, 100] {
        h.assert_finds(&query.clone().limit(limit), &["n0", "n3", "n6"]).await;
        h.assert_finds(&query.clone().limit(limit).descending(), &["n6", "n3", "n0"]).await;
    }
}

/// Only a number names a second; fractions count, and the far future is one.
pub async fn expiry_reads_numbers_only(h: &Harness) {
    let past = h.now() - 1;
    let lasting: [(&str, Value); 6] = [
        ("missing", json!({})),
        ("null", json!({"purge_at": null})),
        ("string", json!({"purge_at": past.to_string()})),
        ("array", json!({"purge_at": [past]})),
        ("never", json!({"purge_at": u64::MAX})),
        ("fraction", json!({"purge_at": h.now() as f64 + 0.5})),
    ];
    for (name, attributes) in lasting {
        h.put(&h.key(&SESSIONS, name), attributes).await;
    }
    h.clock.advance(1);
    assert_eq!(h.get(&h.key(&SESSIONS, "fraction")).await, None);
    for name in ["missing", "null", "string", "array", "never"] {
        h.present(&h.key(&SESSIONS, name)).await;
    }
}
