//! Devices in the store. A new device's id is derived from its owner and its name, so that signing in is an
//! upsert by key, and no name leads to another user's device.
//!
//! What is under a device's key is a live device: deleting one moves what is kept of it to another key.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::App;
use crate::auth::access::Caller;
use crate::devices::model::{Device, DeviceChanges, DeviceUuid};
use crate::error::Error;
use crate::outbox::model::Entry;
use crate::ports::store::{Condition, Item, Key, Query, Store, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, decode, decode_page, encode, put};
use crate::schema::DEVICES;
use crate::sessions::ending;
use crate::time::Timestamp;

/// How often a change that somebody else overtook is tried anew.
const TRIES: usize = 8;

/// At most so many pages of equally named devices are searched for one of the older system's.
const LEGACY_PAGES: usize = 10;

/// The key of a device.
#[must_use]
pub fn key(device_id: &str) -> Key {
    Key::new(&DEVICES, device_id)
}

/// The id of a user's device of a name: a ULID in form, whose time says nothing.
#[must_use]
pub fn device_id(user_id: &str, uuid: &DeviceUuid) -> String {
    let mut hash = Sha256::new();
    for part in ["portico/device/1", user_id, uuid.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Ulid::from_bytes(id).to_string()
}

/// Reads a device that the caller may see: their own, or anybody's for an Admin.
///
/// # Errors
/// 404, 503.
pub async fn find_owned(
    store: &dyn Store,
    caller: &Caller,
    device_id: &str,
) -> Result<Stored<Device>, Error> {
    store
        .find::<Device>(&key(device_id))
        .await?
        .filter(|device| device.value.enable && caller.is_self_or_admin(&device.value.user_id))
        .ok_or_else(Error::not_found)
}

/// Reads a user's device of a name by the index, which finds those of the older system too.
///
/// # Errors
/// The store's.
pub async fn find_legacy(
    store: &dyn Store,
    user_id: &str,
    uuid: &DeviceUuid,
) -> Result<Option<Device>, StoreError> {
    let mut query = Query::index(&DEVICES, "device_uuid-index", uuid.as_str());
    // Anybody may give a device any name: strangers must not be able to make this search long.
    for _ in 0..LEGACY_PAGES {
        let page = store.query(&query).await?;
        query.after = page.next.clone();
        let mut devices = decode_page::<Device>(page)?.into_iter().map(|stored| stored.value);
        let found = devices.find(|device| device.user_id == user_id && device.enable);
        if found.is_some() || query.after.is_none() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A user's devices, in no particular order.
#[must_use]
pub fn of_user(user_id: &str) -> Query {
    Query::index(&DEVICES, "user_id-index", user_id)
}

/// Reads all of a user's devices.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn Store, user_id: &str) -> Result<Vec<Device>, StoreError> {
    let items = store.query_all(of_user(user_id)).await?;
    let devices: Vec<Stored<Device>> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    Ok(devices.into_iter().map(|stored| stored.value).filter(|device| device.enable).collect())
}

/// Changes a device that the caller may see.
///
/// # Errors
/// 404, 409 when others keep changing it, 503.
pub async fn update(
    app: &Arc<App>,
    caller: &Caller,
    device_id: &str,
    changes: &DeviceChanges,
) -> Result<Device, Error> {
    let store = &*app.ports.store;
    for _ in 0..TRIES {
        let stored = find_owned(store, caller, device_id).await?;
        let changed = changes.apply(&stored.value, app.now());
        match store.write(put(key(device_id), &changed, stored.unchanged())?).await {
            Ok(()) => return Ok(changed),
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended())
}

/// Deletes a device that the caller may see, and ends the sessions on it; returns whose it was.
///
/// # Errors
/// 404, 409 when others keep changing it, 503. Once it is deleted its sessions end in any case, if need be a
/// little later.
pub async fn remove(app: &Arc<App>, caller: &Caller, device_id: &str) -> Result<Device, Error> {
    let store = &*app.ports.store;
    for _ in 0..TRIES {
        let stored = find_owned(store, caller, device_id).await?;
        let now = app.now();
        let sweep = ending::sweep_device(app, &stored.value.user_id, device_id, now)?;
        match store.transact_witnessed(&removal(&stored, &sweep, now)?, &sweep.key()).await {
            Ok(()) => {
                ending::fulfil(app, sweep).await;
                return Ok(stored.value);
            }
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended())
}

fn removal(stored: &Stored<Device>, sweep: &Entry, now: Timestamp) -> Result<[Write; 3], Error> {
    let device = &stored.value;
    let kept = kept_key(&device.device_id);
    Ok([
        Write::Delete { key: key(&device.device_id), when: stored.unchanged() },
        Write::Put { item: kept_of(device, &kept, now)?, key: kept, when: Condition::Always },
        sweep.promise()?,
    ])
}

/// Where what is kept of a deleted device is. No request can name it: an id has no `#`.
fn kept_key(device_id: &str) -> Key {
    key(&format!("{device_id}#deleted"))
}

/// What is kept of a deleted device; no index finds it, and nothing is pushed to it any more.
fn kept_of(device: &Device, key: &Key, now: Timestamp) -> Result<Item, StoreError> {
    let mut item = encode(device)?;
    for (name, kept_as) in [("user_id", "owner_id"), ("device_uuid", "uuid")] {
        if let Some(value) = item.remove(name) {
            item.insert(kept_as.to_owned(), value);
        }
    }
    item.remove("token");
    item.insert(DEVICES.hash.to_owned(), Value::from(key.hash.as_str()));
    item.insert("enable".to_owned(), Value::Bool(false));
    item.insert("deleted_at".to_owned(), Value::from(now.to_string()));
    Ok(item)
}

fn contended() -> Error {
    Error::conflict("conflict", "the device is being changed by somebody else: retry")
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::memory::clock::ManualClock;
    use crate::memory::entropy::SeededEntropy;
    use crate::memory::store::MemoryStore;

    fn uuid(text: &str) -> DeviceUuid {
        DeviceUuid::parse(text).unwrap()
    }

    #[test]
    fn fault_3_an_id_belongs_to_one_user_and_one_name() {
        let id = device_id("01ADA", &uuid("phone"));
        assert_eq!(id, device_id("01ADA", &uuid("phone")));
        assert!(Ulid::from_string(&id).is_ok());
        for (user, name) in [("01BOB", "phone"), ("01ADA", "phone2"), ("01ADAp", "hone"), ("01AD", "Aphone")]
        {
            assert_ne!(id, device_id(user, &uuid(name)), "{user} {name}");
        }
    }

    #[test]
    fn fault_3_a_name_never_leads_to_another_users_device() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(7)));
        let row = |id: &str, user: &str, enable: bool| {
            let row = serde_json::json!({
                "device_id": id, "user_id": user, "device_uuid": "phone", "enable": enable,
            });
            put(key(id), &row, Condition::Absent).unwrap()
        };
        let found = |user| block_on(find_legacy(&store, user, &uuid("phone"))).unwrap();
        block_on(store.transact(&[row("1", "ADA", false), row("2", "BOB", true)])).unwrap();
        assert_eq!(found("ADA"), None);
        block_on(store.write(row("3", "ADA", true))).unwrap();
        assert_eq!(found("ADA").unwrap().device_id, "3");
    }

    #[test]
    fn what_is_kept_is_in_no_index() {
        let mut device = Device::new("01ADA", &uuid("phone"), Timestamp::from_millis(0));
        device.token = "fcm".to_owned();
        let kept = kept_key(&device.device_id);
        let item = kept_of(&device, &kept, Timestamp::from_millis(1)).unwrap();
        assert_eq!(Key::of(&DEVICES, &item), Some(kept));
        for index in DEVICES.indexes {
            assert!(!item.contains_key(index.hash), "{}", index.name);
        }
        assert_eq!((&item["owner_id"], &item["uuid"]), (&Value::from("01ADA"), &Value::from("phone")));
        assert_eq!((item.get("token"), &item["enable"]), (None, &Value::Bool(false)));
    }
}
