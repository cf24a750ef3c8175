//! What indexes hold.

use serde_json::json;

use super::{Harness, delete, put};
use crate::{
    ports::store::{Condition, Query},
    schema::{NOTIFICATIONS, USERS},
};

/// An item that lacks an index's attribute, or holds no string in it, is not in that index, but in others.
pub async fn an_index_holds_only_items_with_its_attributes(h: &Harness) {
    for (id, attributes) in [
        ("whole", json!({"user_id": h.name("ann"), "created_at": "1", "unread_of": h.name("ann")})),
        ("read", json!({"user_id": h.name("ann"), "created_at": "2"})),
        ("null", json!({"user_id": h.name("ann"), "created_at": "3", "unread_of": null})),
        ("number", json!({"user_id": h.name("ann"), "created_at": 4, "unread_of": h.name("ann")})),
        (
            "nested",
            json!({"user_id": [h.name("ann")], "created_at": "5", "unread_of": {"user": h.name("ann")}}),
        ),
        ("timeless", json!({"user_id": h.name("ann")})),
        ("ownerless", json!({"created_at": "6"})),
    ] {
        let stored = h.put(&h.key(&NOTIFICATIONS, id), attributes.clone()).await;
        assert_eq!(stored.item, super::item(&h.key(&NOTIFICATIONS, id), attributes));
    }
    let by_time = Query::index(&NOTIFICATIONS, "user_id-created_at-index", h.name("ann"));
    h.assert_finds(&by_time, &["whole", "read", "null"]).await;
    let unread = Query::index(&NOTIFICATIONS, "unread_of-notification_id-index", h.name("ann"));
    h.assert_finds(&unread, &["number", "whole"]).await;
}

/// Index values may hold any character; similar ones stay apart.
pub async fn an_index_reads_any_character(h: &Harness) {
    let names =
        ["a", "A", "a ", "a\0", "a\0b", "a'b", "a\"b", "a#b", "é", "e\u{301}", "😀", "1", "null", "{}"];
    for (n, name) in names.iter().enumerate() {
        h.put(&h.key(&USERS, &format!("u{n}")), json!({"username": h.name(name)})).await;
    }
    for (n, name) in names.iter().enumerate() {
        h.assert_finds(&by_name(h, name), &[&format!("u{n}")]).await;
    }
}

/// An index follows its attributes when they change, go and come back.
pub async fn an_index_follows_changed_attributes(h: &Harness) {
    let key = h.key(&USERS, "u");
    h.put(&key, json!({"username": h.name("old"), "email": h.name("mail")})).await;
    h.assert_finds(&by_name(h, "old"), &["u"]).await;
    h.put(&key, json!({"username": h.name("new"), "email": h.name("mail")})).await;
    h.assert_finds(&by_name(h, "old"), &[]).await;
    h.assert_finds(&by_name(h, "new"), &["u"]).await;
    h.put(&key, json!({"email": h.name("mail")})).await;
    h.assert_finds(&by_name(h, "new"), &[]).await;
    h.assert_finds(&Query::index(&USERS, "email-index", h.name("mail")), &["u"]).await;
    h.put(&key, json!({"username": h.name("old")})).await;
    h.assert_finds(&by_name(h, "old"), &["u"]).await;
    h.assert_finds(&Query::index(&USERS, "email-index", h.name("mail")), &[]).await;
}

/// A deleted item leaves every index.
pub async fn an_index_follows_deletions(h: &Harness) {
    let key = h.key(&USERS, "u");
    h.put(&key, json!({"username": h.name("name"), "list_shard": h.name("0")})).await;
    h.assert_finds(&by_name(h, "name"), &["u"]).await;
    h.apply(&[delete(&key, Condition::Always)]).await;
    h.assert_finds(&by_name(h, "name"), &[]).await;
    h.assert_finds(&Query::index(&USERS, "list_shard-user_id-index", h.name("0")), &[]).await;
}

/// A transaction that failed leaves no trace in an index.
pub async fn an_index_ignores_what_was_refused(h: &Harness) {
    let (key, absent) = (h.key(&USERS, "u"), h.key(&USERS, "absent"));
    h.put(&key, json!({"username": h.name("old")})).await;
    h.refused(&[
        put(&key, json!({"username": h.name("new")}), Condition::Present),
        delete(&absent, Condition::Present),
    ])
    .await;
    h.assert_finds(&by_name(h, "old"), &["u"]).await;
    h.assert_finds(&by_name(h, "new"), &[]).await;
}

/// The claims that make names unique live among the users, and no index of theirs shows them.
pub async fn claims_are_in_no_index(h: &Harness) {
    let (user, claim) = (h.key(&USERS, "u"), h.key(&USERS, "username#ann"));
    h.apply(&[
        put(
            &user,
            json!({"username": h.name("ann"), "email": h.name("ann@x"), "list_shard": h.name("0")}),
            Condition::Absent,
        ),
        put(&claim, json!({"owner": user.hash}), Condition::Absent),
    ])
    .await;
    h.assert_finds(&by_name(h, "ann"), &["u"]).await;
    h.assert_finds(&Query::index(&USERS, "email-index", h.name("ann@x")), &["u"]).await;
    h.assert_finds(&Query::index(&USERS, "list_shard-user_id-index", h.name("0")), &["u"]).await;
    assert_eq!(h.present(&claim).await.item["owner"], user.hash.as_str());
}

fn by_name(h: &Harness, name: &str) -> Query {
    Query::index(&USERS, "username-index", h.name(name))
}
