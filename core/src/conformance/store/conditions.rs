//! Conditions and versions.

use serde_json::json;

use super::{Harness, check, delete, put};
use crate::{
    ports::store::{Condition, Key, StoreErrorKind, Version, Write},
    schema::{SESSIONS, USERS},
};

const CONFLICT: StoreErrorKind = StoreErrorKind::Conflict { write: 0 };

/// On an absent item, `Always` and `Absent` hold.
pub async fn a_condition_on_an_absent_item(h: &Harness) {
    let key = h.key(&USERS, "absent");
    for when in [Condition::Present, Condition::At(Version(0)), Condition::At(Version(7))] {
        for write in all_writes(&key, when) {
            assert_eq!(h.refused(&[write]).await, CONFLICT, "{when:?}");
        }
    }
    for when in [Condition::Always, Condition::Absent] {
        h.apply(&[check(&key, when)]).await;
        h.apply(&[delete(&key, when)]).await;
        h.apply(&[put(&key, json!({}), when)]).await;
        h.apply(&[delete(&key, Condition::Present)]).await;
    }
}

/// On a present item, `Always`, `Present` and `At` its version hold.
pub async fn a_condition_on_a_present_item(h: &Harness) {
    let key = h.key(&USERS, "present");
    let stored = h.put(&key, json!({"n": 0})).await;
    for write in all_writes(&key, Condition::Absent) {
        assert_eq!(h.refused(&[write]).await, CONFLICT);
    }
    assert_eq!(h.present(&key).await, stored);
    for when in [Condition::Always, Condition::Present] {
        h.apply(&[check(&key, when)]).await;
        h.apply(&[put(&key, json!({"n": 1}), when)]).await;
    }
    let at = Condition::At(h.present(&key).await.version);
    h.apply(&[check(&key, at)]).await;
    h.apply(&[put(&key, json!({"n": 2}), at)]).await;
    assert_eq!(h.present(&key).await.item["n"], 2);
    for when in [Condition::Always, Condition::Present] {
        h.apply(&[delete(&key, when)]).await;
        h.put(&key, json!({})).await;
    }
    let at = Condition::At(h.present(&key).await.version);
    h.apply(&[delete(&key, at)]).await;
    assert_eq!(h.get(&key).await, None);
}

/// At another version than the item's, nothing is written.
pub async fn a_condition_on_another_version(h: &Harness) {
    let key = h.key(&USERS, "present");
    let stored = h.put(&key, json!({"n": 0})).await;
    let Version(version) = stored.version;
    for other in [0, 1, version ^ 1, version.wrapping_add(1), i64::MAX as u64, u64::MAX] {
        for write in all_writes(&key, Condition::At(Version(other))) {
            assert_eq!(h.refused(&[write]).await, CONFLICT, "{other}");
        }
    }
    assert_eq!(h.present(&key).await, stored);
}

/// An expired item is absent, whatever is asked of it, and may be created anew.
pub async fn a_condition_on_an_expired_item(h: &Harness) {
    let key = h.key(&SESSIONS, "expired");
    let mut version = h.put(&key, json!({"purge_at": h.now() + 1})).await.version;
    h.clock.advance(1);
    for when in [Condition::Present, Condition::At(version)] {
        for write in all_writes(&key, when) {
            assert_eq!(h.refused(&[write]).await, CONFLICT, "{when:?}");
        }
    }
    for when in [Condition::Always, Condition::Absent] {
        h.apply(&[check(&key, when)]).await;
        h.apply(&[put(&key, json!({"purge_at": h.now() + 1}), when)]).await;
        let stored = h.present(&key).await;
        assert_ne!(stored.version, version);
        version = stored.version;
        h.clock.advance(1);
    }
    for when in [Condition::Always, Condition::Absent] {
        h.apply(&[delete(&key, when)]).await;
        h.put(&key, json!({"purge_at": h.now() + 1})).await;
        h.clock.advance(1);
    }
    assert_eq!(h.get(&key).await, None);
}

/// The version that an item had before its last write no longer counts.
pub async fn a_stale_version_conflicts(h: &Harness) {
    let key = h.key(&USERS, "stale");
    let first = h.put(&key, json!({"n": 1})).await;
    let second = h.put(&key, json!({"n": 2})).await;
    for write in all_writes(&key, Condition::At(first.version)) {
        assert_eq!(h.refused(&[write]).await, CONFLICT);
    }
    assert_eq!(h.present(&key).await, second);
}

/// A check leaves the item and its version as they are, and makes no item.
pub async fn a_check_changes_nothing(h: &Harness) {
    let (key, absent) = (h.key(&USERS, "checked"), h.key(&USERS, "absent"));
    let stored = h.put(&key, json!({"n": 1})).await;
    for when in [Condition::Always, Condition::Present, Condition::At(stored.version)] {
        h.apply(&[check(&key, when)]).await;
        h.apply(&[check(&key, when), check(&absent, Condition::Absent)]).await;
    }
    assert_eq!(h.present(&key).await, stored);
    assert_eq!(h.get(&absent).await, None);
}

/// Deleting what is not there succeeds, alone and among others.
pub async fn deleting_what_is_absent_succeeds(h: &Harness) {
    let (absent, other) = (h.key(&USERS, "absent"), h.key(&USERS, "other"));
    h.apply(&[delete(&absent, Condition::Always)]).await;
    h.apply(&[delete(&absent, Condition::Absent), put(&other, json!({}), Condition::Absent)]).await;
    assert_eq!(h.get(&absent).await, None);
    h.present(&other).await;
}

/// Each put makes a new version, even of an equal item.
pub async fn every_put_changes_the_version(h: &Harness) {
    let key = h.key(&USERS, "versions");
    let mut seen = Vec::new();
    for _ in 0..20 {
        let version = h.put(&key, json!({"same": true})).await.version;
        assert!(!seen.contains(&version), "{version:?} again");
        seen.push(version);
    }
    assert!(!seen.contains(&Version(0)), "0 marks rows of an older system");
}

/// An item that was deleted and made anew has a version that it never had.
pub async fn versions_do_not_repeat_after_deletion(h: &Harness) {
    let key = h.key(&USERS, "versions");
    let mut seen = Vec::new();
    for _ in 0..10 {
        let version = h.put(&key, json!({"same": true})).await.version;
        assert!(!seen.contains(&version), "{version:?} again");
        h.apply(&[delete(&key, Condition::At(version))]).await;
        assert_eq!(h.refused(&[put(&key, json!({}), Condition::At(version))]).await, CONFLICT);
        seen.push(version);
    }
}

fn all_writes(key: &Key, when: Condition) -> [Write; 3] {
    [put(key, json!({"written": true}), when), delete(key, when), check(key, when)]
}
